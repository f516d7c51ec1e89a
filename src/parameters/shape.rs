//! What kind of value a type is read from, found by asking its own `Deserialize`.

use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use crate::words::{did_you_mean, listed};

/// The kind of value that a key takes.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// `true` or `false`.
    Truth,
    /// A whole number from 0 on.
    Whole,
    /// A number.
    Number,
    /// Any text.
    Text,
    /// One of several names.
    Choice(&'static [&'static str]),
    /// A list.
    List(Box<Shape>),
    /// Of several kinds: the type itself says what is wrong with a value.
    Own,
}

impl Shape {
    /// The shape of the values that a `T` is read from.
    pub fn of<T: for<'de> Deserialize<'de>>() -> Self {
        match T::deserialize(Probe) {
            Err(Answer(Some(shape))) => shape,
            // It asks for any value and looks at it itself.
            Ok(_) | Err(Answer(None)) => Self::Own,
        }
    }

    /// Whether a TOML value is of this kind.
    pub fn takes(&self, value: &toml::Value) -> bool {
        match (self, value) {
            (Self::Truth, toml::Value::Boolean(_))
            | (Self::Text, toml::Value::String(_))
            | (Self::Own, _) => true,
            (Self::Whole, toml::Value::Integer(number)) => *number >= 0,
            (Self::Number, toml::Value::Integer(_) | toml::Value::Float(_)) => true,
            (Self::Choice(names), toml::Value::String(name)) => names.contains(&name.as_str()),
            (Self::List(items), toml::Value::Array(values)) => {
                values.iter().all(|value| items.takes(value))
            }
            _ => false,
        }
    }

    /// Whether it is text, or a list of texts.
    pub(super) fn is_text(&self) -> bool {
        match self {
            Self::Text | Self::Own => true,
            Self::List(items) => items.is_text(),
            _ => false,
        }
    }

    /// The question for the nearest of several names.
    pub(super) fn nearest(&self, value: &toml::Value) -> String {
        match (self, value) {
            (Self::Choice(names), toml::Value::String(name)) => did_you_mean(name, *names),
            (Self::List(items), toml::Value::Array(values)) => {
                let wrong = values.iter().find(|value| !items.takes(value));
                wrong.map_or_else(String::new, |value| items.nearest(value))
            }
            _ => String::new(),
        }
    }

    /// One of them, with its article, and several.
    pub(super) fn nouns(&self) -> (String, String) {
        let nouns = |one: &str, several: &str| (one.to_owned(), several.to_owned());
        match self {
            Self::Truth => nouns("true or false", "truth values"),
            Self::Whole => nouns("a whole number", "whole numbers"),
            Self::Number => nouns("a number", "numbers"),
            Self::Text => nouns("text in quotes", "texts in quotes"),
            Self::Choice(names) => {
                let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                let one = match quoted.split_last() {
                    Some((last, [])) => last.clone(),
                    Some((last, before)) => format!("{} or {last}", before.join(", ")),
                    None => String::new(),
                };
                (one, format!("the names {}", listed(&quoted)))
            }
            Self::List(_) => nouns("a list", "lists"),
            Self::Own => nouns("as its meaning says", "values"),
        }
    }
}

/// Reads nothing: a type that asks it for a value is answered with the shape that it asked for.
struct Probe;

/// The answer, by the way of an error.
#[derive(Debug)]
struct Answer(Option<Shape>);

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Answer {}

impl de::Error for Answer {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self(None)
    }
}

macro_rules! answers {
    ($($method:ident => $shape:expr;)+) => { $(
        fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Answer> {
            Err(Answer(Some($shape)))
        }
    )+ };
}

impl<'de> Deserializer<'de> for Probe {
    type Error = Answer;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Answer> {
        Err(Answer(None))
    }

    answers! {
        deserialize_bool => Shape::Truth;
        deserialize_u8 => Shape::Whole;
        deserialize_u16 => Shape::Whole;
        deserialize_u32 => Shape::Whole;
        deserialize_u64 => Shape::Whole;
        deserialize_f32 => Shape::Number;
        deserialize_f64 => Shape::Number;
        deserialize_str => Shape::Text;
        deserialize_string => Shape::Text;
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Answer> {
        Err(Answer(Some(Shape::Choice(variants))))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Answer> {
        visitor.visit_seq(Items)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Answer> {
        visitor.visit_newtype_struct(Probe)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u128 char bytes byte_buf option unit unit_struct tuple tuple_struct map
        struct identifier ignored_any
    }
}

/// A list whose first item answers for all.
struct Items;

impl<'de> SeqAccess<'de> for Items {
    type Error = Answer;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Answer> {
        match seed.deserialize(Probe) {
            Err(Answer(Some(shape))) => Err(Answer(Some(Shape::List(Box::new(shape))))),
            other => other.map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Window {
        Flat,
        VeryRound,
    }

    #[test]
    fn every_type_of_a_setting_says_what_it_is_read_from() {
        assert_eq!(Shape::of::<bool>(), Shape::Truth);
        assert_eq!(Shape::of::<usize>(), Shape::Whole);
        assert_eq!(Shape::of::<u8>(), Shape::Whole);
        assert_eq!(Shape::of::<f64>(), Shape::Number);
        assert_eq!(Shape::of::<std::path::PathBuf>(), Shape::Text);
        assert_eq!(Shape::of::<Window>(), Shape::Choice(&["flat", "very-round"]));
        assert_eq!(Shape::of::<Vec<f64>>(), Shape::List(Box::new(Shape::Number)));
        assert_eq!(Shape::of::<crate::random::Seed>(), Shape::Whole);
        let names = Shape::Choice(&["flat", "very-round"]);
        assert_eq!(Shape::of::<Vec<Window>>(), Shape::List(Box::new(names.clone())));
        assert_eq!(names.nouns().0, "`flat` or `very-round`");
        assert_eq!(Shape::Choice(&["a", "b", "c"]).nouns().0, "`a`, `b` or `c`");
        let near = names.nearest(&toml::Value::String("veryround".into()));
        assert_eq!(near, "; did you mean `very-round`?");
        let _ = (Window::Flat, Window::VeryRound);
    }

    #[test]
    fn a_value_is_of_its_shape_or_not() {
        let value = |text: &str| -> toml::Value {
            toml::from_str::<toml::Table>(&format!("v = {text}")).unwrap()["v"].clone()
        };
        let list = Shape::List(Box::new(Shape::Whole));
        for (shape, right, wrong) in [
            (Shape::Truth, &["true", "false"][..], &["1", "'true'"][..]),
            (Shape::Whole, &["0", "3"], &["-1", "1.0", "nan", "'3'", "true", "[3]"]),
            (Shape::Number, &["0", "-3", "1.5", "inf"], &["'1.5'", "true", "[1.5]"]),
            (Shape::Text, &["'a'", "''"], &["1", "2020-01-01", "true"]),
            (Shape::Choice(&["a", "b"]), &["'a'"], &["'c'", "1", "['a']"]),
            (list, &["[]", "[1, 2]"], &["1", "[1, -2]", "[1.5]", "['a']"]),
        ] {
            right.iter().for_each(|text| assert!(shape.takes(&value(text)), "{shape:?} {text}"));
            wrong.iter().for_each(|text| assert!(!shape.takes(&value(text)), "{shape:?} {text}"));
        }
    }
}
