//! Fills the templates beside this file; every value is escaped for HTML and XML, and what those cannot
//! hold is shown by its number.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, escape_formatter};
use serde::Serialize;

use crate::plain;

/// The template with the context's values in it.
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
