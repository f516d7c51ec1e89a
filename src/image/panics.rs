//! Panics of decoders: errors of one image, said once.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// What `work` gives; a panic inside it becomes an error, and nothing is printed of it.
pub(super) fn caught<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |panic| {
            if !QUIET.get() {
                before(panic);
            }
        }));
    });
    QUIET.set(true);
    // What it was working on is dropped.
    let result = catch_unwind(AssertUnwindSafe(work));
    QUIET.set(false);
    result.unwrap_or_else(|panic| Err(format!("cannot be decoded: {}", words(&*panic))))
}

fn words(panic: &(dyn Any + Send)) -> String {
    let said = panic.downcast_ref::<String>().map(String::as_str);
    let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("its decoder fails ({})", said.unwrap_or("without a word"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_of_one_image() {
        let empty: Vec<u8> = Vec::new();
        let problem = caught(|| Ok(empty[3])).unwrap_err();
        assert!(
            problem.starts_with("cannot be decoded: its decoder fails (index out of"),
            "{problem}"
        );
        assert_eq!(caught(|| Ok(5)), Ok(5));
        assert_eq!(caught::<()>(|| Err("no".to_owned())), Err("no".to_owned()));
    }
}
