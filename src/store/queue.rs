//! Queues of things that are worth more together: outcomes for one commit, lead commands for one group.

use tokio::sync::mpsc::UnboundedReceiver;

/// The next in the queue, or what comes while others run once: where one has come, there are often more on their way, and many
/// cost little more than one. `None` if that brought nothing.
pub(crate) async fn soon<T>(queue: &mut UnboundedReceiver<T>) -> Option<T> {
    if let Ok(next) = queue.try_recv() {
        return Some(next);
    }
    tokio::task::yield_now().await;
    queue.try_recv().ok()
}
