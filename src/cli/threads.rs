//! The threads that work is shared between.

use super::global::Global;
use super::ui::Ui;

/// Starts the threads that work is shared between: here, where it can fail with a word. Without a
/// number that was asked for, as many as can be had do the work, this one alone if need be.
pub fn start_threads(global: &Global, ui: &Ui) -> crate::Result<()> {
    let usual = std::thread::available_parallelism().map_or(1, usize::from);
    // A pool that cannot be started cannot be tried again with fewer.
    let (startable, error) = startable(global.threads.map_or(usual, usize::from));
    let pool = rayon::ThreadPoolBuilder::new();
    let pool = match (global.threads, error) {
        (Some(threads), None) => pool.num_threads(threads.into()),
        (Some(threads), Some(error)) => return Err(cannot_start(threads.into(), &error)),
        (None, None) => pool,
        (None, Some(error)) => {
            ui.do_without_bars();
            let note = format!("fewer threads than usual: the system starts no more ({error})");
            ui.progress().note(&note);
            match startable {
                0 | 1 => pool.num_threads(1).use_current_thread(),
                several => pool.num_threads(several - 1),
            }
        }
    };
    pool.build_global().map_err(|e| cannot_start(startable, &e))
}

/// How many threads can be started at once, up to those `wanted`, and why not more.
fn startable(wanted: usize) -> (usize, Option<std::io::Error>) {
    let gate = std::sync::Mutex::new(());
    let closed = gate.lock();
    std::thread::scope(|scope| {
        // Declared here to be dropped, and so opened, before the scope waits for its threads.
        let _closed = closed;
        for started in 0..wanted {
            let wait = || drop(gate.lock());
            if let Err(error) = std::thread::Builder::new().spawn_scoped(scope, wait) {
                return (started, Some(error));
            }
        }
        (wanted, None)
    })
}

fn cannot_start(threads: usize, error: &dyn std::fmt::Display) -> crate::Error {
    let problem = format!("the system does not start so many threads ({error}); give fewer");
    crate::Error::Config { origin: format!("--threads {threads}"), problem }
}
