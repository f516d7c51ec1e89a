//! What drawings and pages have in common: style, templates to be filled, names cut to length,
//! coordinates, pictures inside of pages.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, escape_formatter};
use serde::Serialize;

use crate::plain;

/// The style of every page: light or dark as the reader's system is, readable on narrow screens and paper.
pub(crate) const STYLE: &str = include_str!("page.css");

/// The template with the context's values in it. Every value is escaped for HTML and XML, and what those
/// cannot hold is shown by its number.
///
/// # Panics
/// When the template names something that the context does not have: the tests render each one.
pub(crate) fn fill(template: &str, context: impl Serialize) -> String {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_formatter(|out, state, value| {
        let text = value.as_str().filter(|_| !value.is_safe()).map(plain::lines);
        escape_formatter(out, state, text.map(Value::from).as_ref().unwrap_or(value))
    });
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment
        .render_str(template, Serde(context))
        .expect("templates are part of the program and tested with every kind of report")
}

/// A name cut to `limit` characters, with an ellipsis in place of what was cut.
pub(crate) fn shortened(name: &str, limit: usize) -> String {
    if name.chars().count() <= limit {
        return name.to_string();
    }
    let kept: String = name.chars().take(limit.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// A coordinate in pixels with as many decimals as a screen can show.
pub(crate) fn px(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// A JPEG picture as an address that a page can hold in itself (RFC 2397, RFC 4648).
pub(crate) fn jpeg_address(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::from("data:image/jpeg;base64,");
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            // Bytes that are not there are told by the sign in the place of their digits.
            let there = digit <= three.len();
            let value = (word >> (18 - 6 * digit) & 63) as usize;
            text.push(if there { char::from(DIGITS[value]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 4648, section 10.
    #[test]
    fn bytes_are_written_as_the_standard_does() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            let address = jpeg_address(bytes.as_bytes());
            assert_eq!(address, format!("data:image/jpeg;base64,{text}"));
        }
        assert!(jpeg_address(&[0xff, 0xff, 0xfe]).ends_with("///+"));
    }
}
