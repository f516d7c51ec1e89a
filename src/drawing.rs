//! What drawings and pages have in common: templates to be filled, names cut to length, coordinates.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, escape_formatter};
use serde::Serialize;

use crate::plain;

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
