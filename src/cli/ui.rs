//! What a person sees on stderr: progress bars on a terminal, plain lines otherwise. Whatever is said
//! passes [`plain`] here, since names of files and classes are in it.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::plain;
use crate::progress::Progress;
use clap::builder::Styles;
use clap::builder::styling::Style;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::global::Global;

/// Tables on their way to stdout: whatever names are in them, nothing is a command to a terminal. (JSON
/// has escapes of its own.)
pub struct PlainText<'w>(pub &'w mut dyn Write);

impl Write for PlainText<'_> {
    /// Text comes in whole pieces of it, as `write!` forms them.
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        self.0.write_all(plain::lines(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// The person at the terminal.
pub struct Ui {
    stderr: Stderr,
}

struct Stderr {
    bars: AtomicBool,
    quiet: bool,
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
            self.stderr.line(text);
        }
    }

    /// Whether nothing but results and errors is said.
    pub fn is_quiet(&self) -> bool {
        self.stderr.quiet
    }

    /// The last line of a failed command.
    pub fn error(&self, error: &dyn std::fmt::Display) {
        self.stderr.end();
        self.stderr.labelled(*Styles::styled().get_error(), "error:", &error.to_string());
    }
}

impl Stderr {
    fn line(&self, text: &str) {
        self.write(&plain::lines(text));
    }

    /// A line behind a label in a style of clap's, whose errors stand beside these.
    fn labelled(&self, style: Style, label: &str, text: &str) {
        self.write(&format!("{style}{label}{style:#} {}", plain::lines(text)));
    }

    fn write(&self, text: &str) {
        let bar = self.bar.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let write = || {
            // Without colours where clap's are without: no terminal, NO_COLOR. Nobody is left to
            // tell when stderr is closed.
            let _ = writeln!(anstream::stderr(), "{text}");
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
        let template = match total {
            0 => format!("{{msg:14}} {{spinner:.cyan}} {{pos}} {unit}, {{per_sec}}"),
            _ => format!(
                "{{msg:14}} {{wide_bar:.cyan/black}} {{pos}}/{{len}} {unit}, {{per_sec}}, {{eta}} left"
            ),
        };
        let style = ProgressStyle::with_template(&template)
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let total = Some(total).filter(|total| *total > 0);
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr())
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

    fn say(&self, text: &str) {
        if let Some(bar) = &*self.bar.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) {
            bar.set_message(plain::sentence(text).into_owned());
        }
    }

    fn end(&self) {
        if let Some(bar) = self.bar.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take() {
            bar.finish_and_clear();
        }
    }

    fn note(&self, message: &str) {
        if !self.quiet {
            self.labelled(*Styles::styled().get_valid(), "note:", &plain::sentence(message));
        }
    }

    fn summary(&self, stage: &str, text: &str) {
        if !self.quiet {
            self.line(&column(&plain::sentence(stage), &plain::sentence(text)));
        }
    }

    fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }
}

/// Width of the names of stages, those of a channel included.
const STAGE_WIDTH: usize = 20;

/// A line with a name in its first column.
pub fn column(name: &str, text: &str) -> String {
    format!("{name:<STAGE_WIDTH$} {text}")
}
