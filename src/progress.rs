//! How a long stage tells its caller what it is doing. The library reports; who draws is the
//! caller's business (`src/cli/ui.rs` draws bars).

/// Receives the progress of a stage. All methods may be called from worker threads.
pub trait Progress: Sync {
    /// A task of `total` steps begins (0: nobody knows how many); `unit` is what is counted, in the plural
    /// ("images").
    fn begin(&self, task: &str, total: u64, unit: &str);
    /// `steps` more steps are done.
    fn advance(&self, steps: u64);
    /// What the task has come to, in a few words (a loss), beside its name.
    fn say(&self, _text: &str) {}
    /// The task is over; whatever was drawn for it goes away.
    fn end(&self);
    /// A sentence the user should see (an image skipped, a component re-seeded).
    fn note(&self, message: &str);
    /// One closing line of a stage: what it made, in how long, or that it was up to date.
    fn summary(&self, stage: &str, text: &str);
    /// True when the user asked to stop; a stage answers with [`crate::Error::Interrupted`] after
    /// saving its finished work.
    fn interrupted(&self) -> bool {
        false
    }
}

/// Reports nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: &str, _: u64, _: &str) {}
    fn advance(&self, _: u64) {}
    fn end(&self) {}
    fn note(&self, _: &str) {}
    fn summary(&self, _: &str, _: &str) {}
}
