//! Long work: without Python's lock, on a pool of threads, until it is done or somebody presses Ctrl-C.

use std::ffi::CString;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fvtool::progress::Progress;
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::errors::{FvtoolWarning, argument, of_library};

/// How often Python is asked whether there was a signal.
const LOOK: Duration = Duration::from_millis(50);

/// The pool of calls that name no number of threads, and the process that it was started in: a process
/// that was forked off has none of its threads.
static USUAL: Mutex<Option<(u32, Arc<ThreadPool>)>> = Mutex::new(None);

/// What a stage is told, and what it tells.
#[derive(Default)]
pub struct Watch {
    interrupted: AtomicBool,
    notes: Mutex<Vec<String>>,
}

impl Progress for Watch {
    fn begin(&self, _: &str, _: u64, _: &str) {}
    fn advance(&self, _: u64) {}
    fn end(&self) {}
    fn summary(&self, _: &str, _: &str) {}

    fn note(&self, message: &str) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(message.to_owned());
    }

    fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }
}

/// Does `job` without Python's lock, on `threads` threads (as many as there are cores when `None`). Notes
/// become warnings; on Ctrl-C the job is asked to stop, and `KeyboardInterrupt` is what comes of it.
pub fn busy<T: Send>(
    py: Python<'_>,
    threads: Option<usize>,
    job: impl FnOnce(&Watch) -> fvtool::Result<T> + Send,
) -> PyResult<T> {
    let (pool, watch) = (pool(threads)?, Watch::default());
    let mut signal = None;
    let result = py.detach(|| {
        std::thread::scope(|scope| {
            let (done, waiting) = channel();
            let (pool, of_job) = (&pool, &watch);
            let worker = scope.spawn(move || {
                let result = pool.install(|| job(of_job));
                // Nobody waits any more only when this scope is being left.
                let _ = done.send(());
                result
            });
            while waiting.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
                if signal.is_none()
                    && let Err(error) = Python::attach(|py| py.check_signals())
                {
                    signal = Some(error);
                    watch.interrupted.store(true, Ordering::Relaxed);
                }
            }
            worker.join()
        })
    });
    let result = result.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    if let Some(signal) = signal {
        return Err(signal);
    }
    let value = result.map_err(of_library)?;
    for note in watch.notes.into_inner().unwrap_or_else(PoisonError::into_inner) {
        let text = CString::new(note.replace('\0', " ")).expect("zeros were replaced");
        PyErr::warn(py, &py.get_type::<FvtoolWarning>(), &text, 1)?;
    }
    Ok(value)
}

fn pool(threads: Option<usize>) -> PyResult<Arc<ThreadPool>> {
    let start = |pool: ThreadPoolBuilder| {
        let refuse = |error| argument("threads", format!("the system starts no more ({error})"));
        pool.build().map(Arc::new).map_err(refuse)
    };
    match threads {
        Some(0) => Err(argument("threads", "is 0; give a number from 1, or None for all cores")),
        Some(threads) => start(ThreadPoolBuilder::new().num_threads(threads)),
        None => {
            let mut usual = USUAL.lock().unwrap_or_else(PoisonError::into_inner);
            let process = std::process::id();
            if let Some((of, pool)) = &*usual
                && *of == process
            {
                return Ok(Arc::clone(pool));
            }
            let pool = start(ThreadPoolBuilder::new())?;
            if let Some(of_parent) = usual.replace((process, Arc::clone(&pool))) {
                // Its threads are not of this process: there is nothing to wait for.
                std::mem::forget(of_parent);
            }
            Ok(pool)
        }
    }
}
