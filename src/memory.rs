//! `--max-memory`: how much a stage allocates, and stages made to fit.
//!
//! A stage needs some bytes whatever it does, and some for every worker at once ([`Need`]; the function
//! that computes it stands beside the algorithm that allocates). The number of workers is lowered until
//! both fit, which changes no bit of a result; where even one does not, the stage is refused with its
//! formula before it begins. Bounds are generous: what a stage really takes is measured in
//! docs/RELIABILITY.md. Artifacts mapped from disk are not counted, since the system takes their pages
//! back when it needs them.

use crate::error::{Error, Result};

/// The program, its lists and buffers of fixed size.
const BASE: u64 = 64 << 20;

/// Bytes a stage may allocate.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    limit: Option<u64>,
}

/// What a stage allocates at most.
#[derive(Debug, Clone, PartialEq)]
pub struct Need {
    /// The stage, by the name of its command.
    pub stage: &'static str,
    /// However many workers there are.
    pub fixed: u64,
    /// For every worker.
    pub each: u64,
    /// Both in words and numbers.
    pub formula: String,
    /// What its user can do.
    pub way_out: &'static str,
}

impl Need {
    /// What several parts of a stage need at once.
    ///
    /// # Panics
    /// When there is none.
    pub fn together(needs: impl Iterator<Item = Self>) -> Self {
        let mut needs = needs;
        let mut all = needs.next().expect("a run has at least one part");
        for need in needs {
            all.fixed += need.fixed;
            all.each += need.each;
            all.formula = format!("{} + {}", all.formula, need.formula);
        }
        all
    }
}

impl Memory {
    /// At most so many bytes; any number where there is no limit.
    pub fn new(limit: Option<u64>) -> Self {
        Self { limit }
    }

    /// The limit, where there is one.
    pub fn limit(self) -> Option<u64> {
        self.limit
    }

    /// Workers that fit; all of them without a limit.
    ///
    /// # Errors
    /// [`Error::Memory`] when not even one does.
    pub fn workers(self, need: &Need) -> Result<usize> {
        let threads = rayon::current_num_threads();
        let Some(limit) = self.limit else { return Ok(threads) };
        let each = need.each.max(1);
        let fit = limit.saturating_sub(BASE).saturating_sub(need.fixed) / each;
        if fit == 0 {
            let needed = BASE + need.fixed + each;
            return Err(Error::Memory {
                stage: need.stage,
                needed_mb: needed.div_ceil(1_000_000),
                limit_mb: limit / 1_000_000,
                formula: format!("{} + {BASE}", need.formula),
                way_out: need.way_out,
            });
        }
        Ok(threads.min(usize::try_from(fit).unwrap_or(threads)))
    }

    /// Runs `work` with as many workers as fit.
    ///
    /// # Errors
    /// [`Error::Memory`] when not even one does.
    pub fn within<T: Send>(
        self,
        need: impl FnOnce() -> Result<Need>,
        work: impl FnOnce() -> T + Send,
    ) -> Result<T> {
        if self.limit.is_none() {
            return Ok(work());
        }
        let workers = self.workers(&need()?)?;
        if workers == rayon::current_num_threads() {
            return Ok(work());
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(workers).build();
        let pool = pool.map_err(|e| Error::io("start", "threads")(std::io::Error::other(e)))?;
        Ok(pool.install(work))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(fixed: u64, each: u64) -> Need {
        Need { stage: "encode", fixed, each, formula: "1 + 2".into(), way_out: "raise it" }
    }

    #[test]
    fn workers_are_lowered_until_they_fit_and_one_too_many_is_refused() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build().unwrap();
        pool.install(|| {
            let limited = |bytes| Memory::new(Some(BASE + bytes));
            assert_eq!(Memory::new(None).workers(&need(u64::MAX / 2, u64::MAX)).unwrap(), 4);
            for (bytes, workers) in [(100, 1), (199, 1), (200, 2), (399, 3), (10_000, 4)] {
                assert_eq!(limited(bytes).workers(&need(0, 100)).unwrap(), workers);
                let used = limited(bytes).within(|| Ok(need(0, 100)), rayon::current_num_threads);
                assert_eq!(used.unwrap(), workers);
            }
            for memory in [limited(99), limited(0), Memory::new(Some(1))] {
                let text = memory.workers(&need(0, 100)).unwrap_err().to_string();
                assert!(text.contains("1 + 2") && text.contains("raise it"), "{text}");
            }
            assert!(limited(1000).workers(&need(950, 100)).is_err());
        });
    }
}
