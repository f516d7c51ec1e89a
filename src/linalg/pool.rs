//! Buffers lent to workers.

use std::sync::{Mutex, PoisonError};

/// A pool of reusable buffers: at most one per running task. Memory once touched is used again, since
/// a fresh page costs more than filling it.
///
/// A task must not depend on what it finds in a buffer.
#[derive(Debug, Default)]
pub struct Pool<T>(Mutex<Vec<T>>);

impl<T: Default> Pool<T> {
    /// Runs `task` with a buffer that nobody else has meanwhile.
    pub fn with<R>(&self, task: impl FnOnce(&mut T) -> R) -> R {
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffer = lock().pop().unwrap_or_default();
        let result = task(&mut buffer);
        lock().push(buffer);
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_and_is_never_shared() {
        let pool = Pool::<Vec<u8>>::default();
        pool.with(|first| {
            first.push(1);
            pool.with(|second| assert!(second.is_empty()));
        });
        let found = pool.with(|a| pool.with(|b| a.len() + b.len()));
        assert_eq!(found, 1);
    }
}
