//! JSON files with a checksum of their own, for what is read back but is no safetensors file.

use std::path::Path;

use serde::Serialize;

use super::damaged;
use crate::error::{Error, Result};

const OPENING: &str = "{\"checksum\":\"";
const CLOSING: &str = "\",";
/// Hexadecimal digits of BLAKE3.
const DIGITS: usize = 64;

/// The text of a JSON object with the checksum of all the rest as its first key.
///
/// # Panics
/// When `object` is no JSON object, or an empty one.
pub fn sealed(object: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(object).expect("a struct is JSON");
    let rest = text.strip_prefix('{').filter(|rest| *rest != "}").expect("an object with keys");
    format!("{OPENING}{}{CLOSING}{rest}", blake3::hash(rest.as_bytes()).to_hex())
}

/// Checks a text that [`sealed`] made; the caller reads the JSON.
///
/// # Errors
/// [`crate::Error::Artifact`] when a byte of it has changed since, or it has no checksum.
pub fn check_seal(path: &Path, text: &str) -> Result<()> {
    let parts = text.strip_prefix(OPENING).and_then(|text| text.split_at_checked(DIGITS));
    let Some((digits, rest)) = parts else {
        let problem = "not a file of fvtool, or a damaged one (it does not begin with its checksum); \
                       move it away and run the same command again";
        return Err(Error::artifact(path, problem));
    };
    let fits = rest
        .strip_prefix(CLOSING)
        .is_some_and(|rest| blake3::hash(rest.as_bytes()).to_hex().as_str() == digits);
    if fits { Ok(()) } else { Err(damaged(path, "its checksum does not fit its contents")) }
}

/// Refuses to write over a file at `path` that was surely not begun by [`sealed`].
///
/// # Errors
/// [`crate::Error::Artifact`] with the way out.
pub fn require_own(path: &Path) -> Result<()> {
    match crate::files::read_start(path, OPENING.len() as u64) {
        Ok(start) if !OPENING.as_bytes().starts_with(&start) => {
            let problem = "in the way, and not a file of fvtool; move it away and run the same command \
                           again";
            Err(Error::artifact(path, problem))
        }
        // What is not there, or cannot be read, is the business of who writes.
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_changed_byte_of_a_sealed_text_is_noticed() {
        let text = sealed(&serde_json::json!({ "id": "é", "labels": [1, -1, 0] }));
        let path = Path::new("index.json");
        check_seal(path, &text).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["labels"][1], -1);
        let bytes = text.as_bytes();
        for at in 0..bytes.len() {
            let mut changed = bytes.to_vec();
            changed[at] ^= 1;
            if let Ok(changed) = String::from_utf8(changed) {
                let error = check_seal(path, &changed).unwrap_err().to_string();
                assert!(error.contains("index.json") && error.contains("damaged"), "{error}");
            }
            if let Ok(cut) = std::str::from_utf8(&bytes[..at]) {
                assert!(check_seal(path, cut).is_err());
            }
        }
        assert!(check_seal(path, &format!("{text} ")).is_err());
    }
}
