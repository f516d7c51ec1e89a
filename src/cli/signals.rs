//! Ctrl-C and its like: finished work is put in safety, and the program ends within a second.
//!
//! A signal raises a flag, at which stages look between images. What does not come to look in time
//! is left where it is: files appear whole or not at all, so that a process may end at any moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::artifacts::{abandon_partial_files, is_writing};
#[cfg(unix)]
use signal_hook::consts::SIGHUP;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// Exit code after a second signal, which ends the program at once.
const AT_ONCE: i32 = 130;

/// How often a thread looks whether there was a signal.
const LOOK: Duration = Duration::from_millis(50);

/// How long stages have to end by themselves.
const PATIENCE: Duration = Duration::from_millis(700);

/// How long the writing of a file that has been begun is waited for.
const PATIENCE_WITH_DISK: Duration = Duration::from_secs(10);

/// The flag that signals raise. What the program was started to ignore (`nohup`, a job in the
/// background of a script) it goes on ignoring.
pub fn attend() -> Arc<AtomicBool> {
    let raised = Arc::new(AtomicBool::new(false));
    let ignored = ignored_signals();
    let attended = |signal: i32| match ignored {
        Some(mask) => mask & (1 << (signal - 1)) == 0,
        // Without an answer the usual ones, and not the one that `nohup` is about.
        None => signal == SIGINT || signal == SIGTERM,
    };
    let signals = [
        SIGINT,
        SIGTERM,
        #[cfg(unix)]
        SIGHUP,
    ];
    for signal in signals.into_iter().filter(|&signal| attended(signal)) {
        // Without a handler a signal ends the program at once, which loses no more.
        let _ = flag::register_conditional_shutdown(signal, AT_ONCE, Arc::clone(&raised))
            .and_then(|_| flag::register(signal, Arc::clone(&raised)));
    }
    raised
}

/// The signals that this process was started to ignore, as bits, where the system tells (Linux).
fn ignored_signals() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

/// Ends the process when a stage has not come to an end by itself in time; `say` says so.
pub fn give_up_after(raised: &Arc<AtomicBool>, say: impl FnOnce() + Send + 'static) {
    let raised = Arc::clone(raised);
    let wait = move || {
        while !raised.load(Ordering::SeqCst) {
            std::thread::sleep(LOOK);
        }
        let since = Instant::now();
        while since.elapsed() < PATIENCE || is_writing() && since.elapsed() < PATIENCE_WITH_DISK {
            std::thread::sleep(LOOK);
        }
        say();
        abandon_partial_files();
        std::process::exit(1);
    };
    // Without a thread stages still look at the flag.
    let _ = std::thread::Builder::new().name("signals".into()).spawn(wait);
}
