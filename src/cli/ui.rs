//! What a person sees on stderr: progress bars on a terminal, plain lines otherwise. Whatever is said
//! passes [`plain`] here, since names of files and classes are in it.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fvtool::plain;
use fvtool::progress::Progress;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Global;

/// The person at the terminal.
pub struct Ui {
    stderr: Stderr,
}

struct Stderr {
    bars: AtomicBool,
    quiet: bool,
    verbose: bool,
    bar: Mutex<Option<ProgressBar>>,
    /// Raised by Ctrl-C; the pipeline looks at it between images.
    interrupted: Arc<AtomicBool>,
}

impl Ui {
    pub fn new(global: &Global, interrupted: &Arc<AtomicBool>) -> Self {
        Self {
            stderr: Stderr {
                bars: AtomicBool::new(std::io::stderr().is_terminal() && !global.quiet),
                quiet: global.quiet,
                verbose: global.verbose,
                bar: Mutex::new(None),
                interrupted: Arc::clone(interrupted),
            },
        }
    }

    /// Draws no more bars: they need a thread of their own.
    pub fn do_without_bars(&self) {
        self.stderr.bars.store(false, Ordering::Relaxed);
    }

    /// Where the library reports.
    pub fn progress(&self) -> &dyn Progress {
        &self.stderr
    }

    /// One line, unless quiet.
    pub fn say(&self, text: &str) {
        if !self.stderr.quiet {
            self.stderr.line(&plain::lines(text));
        }
    }

    /// One line, only when verbose.
    pub fn detail(&self, text: &str) {
        if self.stderr.verbose {
            self.stderr.line(&plain::lines(text));
        }
    }

    /// The last line of a failed command.
    pub fn error(&self, error: &dyn std::fmt::Display) {
        self.stderr.end();
        self.stderr.line(&format!("error: {}", plain::lines(&error.to_string())));
    }
}

impl Stderr {
    fn line(&self, text: &str) {
        let bar = self.bar.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let write = || {
            // Nobody is left to tell when stderr is closed.
            let _ = writeln!(std::io::stderr(), "{text}");
        };
        match &*bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }
}

impl Progress for Stderr {
    fn begin(&self, task: &str, total: u64, unit: &str) {
        if !self.bars.load(Ordering::Relaxed) {
            return;
        }
        let template = format!(
            "{{msg:14}} {{wide_bar:.cyan/black}} {{pos}}/{{len}} {unit}, {{per_sec}}, {{eta}} left"
        );
        let style = ProgressStyle::with_template(&template)
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr())
            .with_style(style)
            .with_message(plain::sentence(task).into_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        *self.bar.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(bar);
    }

    fn advance(&self, steps: u64) {
        if let Some(bar) = &*self.bar.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) {
            bar.inc(steps);
        }
    }

    fn end(&self) {
        if let Some(bar) = self.bar.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take() {
            bar.finish_and_clear();
        }
    }

    fn note(&self, message: &str) {
        if !self.quiet {
            self.line(&format!("note: {}", plain::sentence(message)));
        }
    }

    fn summary(&self, stage: &str, text: &str) {
        if !self.quiet {
            self.line(&format!("{:<14} {}", plain::sentence(stage), plain::sentence(text)));
        }
    }

    fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }
}
