//! Threads of their own for those who take part: nobody there wakes another thread, so that they cost as little as can be.

use tokio::task::LocalSet;

/// Lets `work` run on a thread and runtime of its own.
pub fn start(work: impl AsyncFnOnce() + Send + 'static) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        LocalSet::new().block_on(&runtime, work());
    });
}

/// The same. Returns what it returns.
pub async fn run<T: Send + 'static>(work: impl AsyncFnOnce() -> T + Send + 'static) -> T {
    let (done, result) = tokio::sync::oneshot::channel();
    start(async move || {
        // Whoever asked may have gone.
        let _ = done.send(work().await);
    });
    result.await.expect("nothing fails there")
}
