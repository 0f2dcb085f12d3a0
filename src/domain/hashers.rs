//! Threads that hash passwords, and give way to everything else.
//!
//! A hash takes a core for tens of milliseconds. At the usual priority, as many of them as there are cores would have
//! every other request wait for its time slice.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use tokio::sync::oneshot;

/// The threads. They end when the last handle on them is dropped.
#[derive(Debug, Clone)]
pub(super) struct Hashers(mpsc::Sender<Job>);

type Job = Box<dyn FnOnce() + Send>;

impl Hashers {
    /// So many threads.
    ///
    /// # Errors
    /// The system gives us no more threads.
    pub(super) fn start(count: usize) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..count {
            let queue = queue.clone();
            std::thread::Builder::new().name("password-hasher".into()).spawn(move || work(&queue))?;
        }
        Ok(Self(jobs))
    }

    /// Runs `work` in one of the threads; a panic there goes on here.
    pub(super) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (caller, answer) = oneshot::channel();
        let job = move || {
            // A caller that has gone away needs no answer.
            let _ = caller.send(catch_unwind(AssertUnwindSafe(work)));
        };
        self.0.send(Box::new(job)).expect("the threads live as long as this handle");
        match answer.await.expect("each job answers") {
            Ok(done) => done,
            Err(panic) => resume_unwind(panic),
        }
    }
}

/// What each thread does: whichever is free waits for the next job, the others wait for their turn to do so.
fn work(queue: &Mutex<mpsc::Receiver<Job>>) {
    give_way();
    loop {
        let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        job();
    }
}

/// Lowers this thread's priority: a core that somebody else wants is theirs for nine tenths of the time. Not lower, so that
/// people can log in also when programs keep every core busy.
///
/// Only Linux gives each thread a priority of its own; elsewhere the whole gateway would give way.
fn give_way() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(10) {
        tracing::debug!(%error, "passwords are hashed at the usual priority");
    }
}
