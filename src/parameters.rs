//! One declaration per settings group: field, default, range, use and documentation in one place.
//!
//! The [`parameters!`](crate::parameters!) macro makes a plain struct with `Default` and strict
//! deserialisation (unknown keys are refused), the check of its ranges, and a table of its [`Key`]s,
//! from which messages and `docs/SETTINGS.md` are made.

mod shape;

use std::fmt;
use std::ops::{Bound, Range, RangeFrom, RangeInclusive};

use serde::Deserialize;

use crate::error::{Error, Result};
pub use shape::Shape;

/// Declares a parameter struct. After its default a field may have a range that its value must lie
/// in (`in`), and a condition without which it has no effect (`when`), in words and in code:
///
/// ```
/// fvtool::parameters! {
///     /// Settings of an example.
///     #[group = "example"]
///     pub struct Example {
///         /// Distance between samples in pixels.
///         pub step_px: usize = 4, in 1..=64;
///         /// Whether samples are smoothed.
///         pub smooth: bool = false;
///         /// Width of the smoothing in pixels.
///         pub sigma_px: f64 = 1.0, in fvtool::parameters::above(0.0), when "smooth = true": |p| p.smooth;
///     }
/// }
/// let mut example = Example::default();
/// assert_eq!(example.step_px, 4);
/// assert_eq!(example.idle(), ["sigma_px"]);
/// let step = &Example::KEYS[0];
/// assert_eq!((step.name, step.values().to_string().as_str()), ("step_px", "a whole number from 1 to 64"));
/// example.step_px = 65;
/// let error = example.check_ranges().unwrap_err().to_string();
/// assert_eq!(error, "setting `example.step_px` is 65; it must be a whole number from 1 to 64");
/// ```
#[macro_export]
macro_rules! parameters {
    (
        $(#[doc = $about:literal])*
        #[group = $group:literal]
        pub struct $name:ident {
            $(
                $(#[doc = $doc:literal])+
                pub $field:ident : $type:ty = $default:expr
                    $(, in $range:expr)? $(, when $needs:literal : $effect:expr)? ;
            )+
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $( $(#[doc = $doc])+ pub $field: $type ),+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $default ),+ }
            }
        }

        impl $name {
            /// Every key, in order of declaration.
            pub const KEYS: &'static [$crate::parameters::Key] = &[ $(
                $crate::parameters::Key {
                    name: stringify!($field),
                    meaning: concat!($($doc),+),
                    needs: $crate::parameters!(@needs $($needs)?),
                    shape: $crate::parameters::Shape::of::<$type>,
                    limits: || $crate::parameters!(@limits $($range)?),
                    read: $crate::parameters::read::<$type>,
                }
            ),+ ];

            /// Checks every field that has a range.
            ///
            /// # Errors
            /// [`Error::Setting`](crate::Error::Setting) naming the first one outside its range.
            pub fn check_ranges(&self) -> $crate::Result<()> {
                $( $(
                    let key = concat!($group, ".", stringify!($field));
                    $crate::parameters::check(key, &self.$field, $crate::parameters::Limits::from($range))?;
                )? )+
                Ok(())
            }

            /// Names of the keys that have no effect beside the values of the others.
            pub fn idle(&self) -> Vec<&'static str> {
                let idle: &[(&'static str, bool)] = &[ $( $( (
                    stringify!($field),
                    {
                        let effect: fn(&Self) -> bool = $effect;
                        !effect(self)
                    },
                ), )? )+ ];
                idle.iter().filter(|(_, idle)| *idle).map(|(name, _)| *name).collect()
            }
        }
    };
    (@needs) => { None };
    (@needs $needs:literal) => { Some($needs) };
    (@limits) => { $crate::parameters::Limits::default() };
    (@limits $range:expr) => { $crate::parameters::Limits::from($range) };
}

/// One key of a settings group.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// The values of other keys without which it has no effect; `None` for a key that always has one.
    pub needs: Option<&'static str>,
    #[doc(hidden)]
    pub shape: fn() -> Shape,
    #[doc(hidden)]
    pub limits: fn() -> Limits,
    #[doc(hidden)]
    pub read: fn(toml::Value) -> std::result::Result<(), String>,
}

impl Key {
    /// What its values may be, in words: `a whole number from 1 to 64`.
    pub fn values(&self) -> Values {
        Values { shape: (self.shape)(), limits: (self.limits)() }
    }

    /// Whether its value may be one of several names or any text.
    pub fn is_text(&self) -> bool {
        matches!((self.shape)(), Shape::Text | Shape::Choice(_))
    }

    /// Checks a value's type, not its range. `key` is its full name.
    ///
    /// # Errors
    /// [`Error::Setting`] with what it may be; the nearest name for one of several names.
    pub fn check_type(&self, key: &str, value: &toml::Value) -> Result<()> {
        let values = self.values();
        if !values.shape.takes(value) {
            let near = values.shape.nearest(value);
            return Err(Error::setting(key, shown(value), format!("{values}{near}")));
        }
        (self.read)(value.clone()).map_err(|problem| {
            if let (Shape::Own, Some((_, wanted))) =
                (&values.shape, problem.split_once("expected "))
            {
                return Error::setting(key, shown(value), wanted.to_owned());
            }
            // A type that is read from text says what is wrong with it, a number only its own name.
            let problem =
                if values.shape.is_text() { format!(": {problem}") } else { String::new() };
            Error::setting(key, shown(value), format!("{values}{problem}"))
        })
    }
}

/// A TOML value on one line.
fn shown(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => format!("{text:?}"),
        other => other.to_string().replace('\n', " "),
    }
}

/// Reads a value as a `T`, or says why it is none.
#[doc(hidden)]
pub fn read<T: serde::de::DeserializeOwned>(value: toml::Value) -> std::result::Result<(), String> {
    T::deserialize(value).map(|_| ()).map_err(|e| e.message().replace('\n', " "))
}

/// Checks one field against its limits.
///
/// # Errors
/// [`Error::Setting`] with key, value and what it may be.
#[doc(hidden)]
pub fn check<T: Measured + for<'de> Deserialize<'de>>(
    key: &str,
    value: &T,
    limits: Limits,
) -> Result<()> {
    if limits.hold(value) {
        return Ok(());
    }
    Err(Error::setting(key, value.shown(), Values { shape: Shape::of::<T>(), limits }.to_string()))
}

/// A value that limits are checked on: a number, or a list.
pub trait Measured {
    /// Its numbers.
    fn numbers(&self) -> Vec<f64>;
    /// Whether it is an empty list.
    fn is_empty_list(&self) -> bool {
        false
    }
    /// As a message shows it.
    fn shown(&self) -> String;
}

macro_rules! measured {
    ($($number:ty),+) => { $(
        impl Measured for $number {
            fn numbers(&self) -> Vec<f64> {
                vec![*self as f64]
            }
            fn shown(&self) -> String {
                self.to_string()
            }
        }
    )+ };
}

measured!(f64, usize, u32, u8);

impl<T: Measured + fmt::Debug> Measured for Vec<T> {
    fn numbers(&self) -> Vec<f64> {
        self.iter().flat_map(Measured::numbers).collect()
    }
    fn is_empty_list(&self) -> bool {
        self.is_empty()
    }
    fn shown(&self) -> String {
        format!("{self:?}")
    }
}

/// What numbers a value, or every value of a list, may be.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    low: Bound<f64>,
    high: Bound<f64>,
    /// 0 is taken as well, where it lies below `low`.
    or_zero: bool,
    /// A list may not be empty.
    filled: bool,
    /// Every value of a list is above the one before it.
    ascending: bool,
    /// What a list holds, where that is no number.
    items: Option<&'static str>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            low: Bound::Unbounded,
            high: Bound::Unbounded,
            or_zero: false,
            filled: false,
            ascending: false,
            items: None,
        }
    }
}

impl<T: Into<f64> + Copy> From<RangeInclusive<T>> for Limits {
    fn from(range: RangeInclusive<T>) -> Self {
        let (low, high) = ((*range.start()).into(), (*range.end()).into());
        Self { low: Bound::Included(low), high: Bound::Included(high), ..Self::default() }
    }
}

impl<T: Into<f64>> From<Range<T>> for Limits {
    fn from(range: Range<T>) -> Self {
        let (low, high) = (range.start.into(), range.end.into());
        Self { low: Bound::Included(low), high: Bound::Excluded(high), ..Self::default() }
    }
}

impl<T: Into<f64>> From<RangeFrom<T>> for Limits {
    fn from(range: RangeFrom<T>) -> Self {
        Self { low: Bound::Included(range.start.into()), ..Self::default() }
    }
}

/// Numbers above `low`.
pub fn above(low: f64) -> Limits {
    Limits { low: Bound::Excluded(low), ..Limits::default() }
}

/// 0, or a number in `range`.
pub fn zero_or(range: impl Into<Limits>) -> Limits {
    Limits { or_zero: true, ..range.into() }
}

/// A list of at least one number, each in `range`.
pub fn one_or_more(range: impl Into<Limits>) -> Limits {
    Limits { filled: true, ..range.into() }
}

/// A list of at least one number, each in `range` and above the one before it.
pub fn ascending(range: impl Into<Limits>) -> Limits {
    Limits { ascending: true, ..one_or_more(range) }
}

/// A list of at least one thing that is no number; `items` says what, in the plural.
pub fn one_or_more_of(items: &'static str) -> Limits {
    Limits { filled: true, items: Some(items), ..Limits::default() }
}

impl Limits {
    /// Numbers of these that are at most `high`.
    pub fn up_to(self, high: f64) -> Self {
        Self { high: Bound::Included(high), ..self }
    }

    /// Numbers of these that are below `high`.
    pub fn below(self, high: f64) -> Self {
        Self { high: Bound::Excluded(high), ..self }
    }

    fn hold<T: Measured>(&self, value: &T) -> bool {
        let numbers = value.numbers();
        let within = |&n: &f64| {
            n.is_finite() && ((self.low, self.high).contains_number(n) || self.or_zero && n == 0.0)
        };
        !(self.filled && value.is_empty_list())
            && numbers.iter().all(within)
            && !(self.ascending && numbers.windows(2).any(|pair| pair[0] >= pair[1]))
    }

    /// `from 1 to 64`, behind a noun; nothing without limits.
    fn words(&self) -> String {
        match (self.low.map(digits), self.high.map(digits)) {
            (Bound::Unbounded, Bound::Unbounded) => String::new(),
            (Bound::Included(low), Bound::Included(high)) => format!(" from {low} to {high}"),
            (Bound::Included(low), Bound::Unbounded) => format!(" of at least {low}"),
            (Bound::Excluded(low), Bound::Unbounded) => format!(" above {low}"),
            (Bound::Unbounded, Bound::Included(high)) => format!(" of at most {high}"),
            (Bound::Unbounded, Bound::Excluded(high)) => format!(" below {high}"),
            (Bound::Included(low), Bound::Excluded(high)) => {
                format!(" of at least {low} and below {high}")
            }
            (Bound::Excluded(low), Bound::Included(high)) => {
                format!(" above {low} and at most {high}")
            }
            (Bound::Excluded(low), Bound::Excluded(high)) => {
                format!(" above {low} and below {high}")
            }
        }
    }
}

/// A number as people write it: `1e-6` and not `0.000001`.
fn digits(number: f64) -> String {
    let short = format!("{number:e}");
    let long = number.abs() >= 1e6 || number != 0.0 && number.abs() < 1e-3;
    if long && !short.contains('.') { short } else { number.to_string() }
}

trait ContainsNumber {
    fn contains_number(&self, number: f64) -> bool;
}

impl ContainsNumber for (Bound<f64>, Bound<f64>) {
    fn contains_number(&self, number: f64) -> bool {
        std::ops::RangeBounds::contains(self, &number)
    }
}

/// What the values of a key may be, in words that follow "it must be".
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    shape: Shape,
    limits: Limits,
}

impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits = self.limits.words();
        match &self.shape {
            Shape::List(items) => {
                let (noun, plural) = match self.limits.items {
                    Some(items) => (String::new(), items.to_owned()),
                    None => items.nouns(),
                };
                debug_assert!(!plural.is_empty(), "{noun}");
                let ascending = if self.limits.ascending { "an ascending" } else { "a" };
                let filled = if self.limits.filled { "one or more " } else { "" };
                let empty = if self.limits.filled { "" } else { " (it may be empty)" };
                write!(f, "{ascending} list of {filled}{plural}{limits}{empty}")
            }
            shape => {
                let zero = if self.limits.or_zero { "0 or " } else { "" };
                write!(f, "{zero}{}{limits}", shape.nouns().0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words<T: for<'de> Deserialize<'de>>(limits: impl Into<Limits>) -> String {
        Values { shape: Shape::of::<T>(), limits: limits.into() }.to_string()
    }

    #[test]
    fn ranges_are_said_in_words() {
        assert_eq!(words::<usize>(1..=256), "a whole number from 1 to 256");
        assert_eq!(words::<usize>(2..), "a whole number of at least 2");
        assert_eq!(words::<usize>(Limits::default()), "a whole number");
        assert_eq!(words::<f64>(above(0.0)), "a number above 0");
        assert_eq!(words::<f64>(above(0.0).up_to(1.0)), "a number above 0 and at most 1");
        assert_eq!(words::<f64>(above(0.0).below(1.0)), "a number above 0 and below 1");
        assert_eq!(words::<f64>(0.0..1.0), "a number of at least 0 and below 1");
        assert_eq!(words::<f64>(1e-6..=2000.0), "a number from 1e-6 to 2000");
        assert_eq!(words::<f64>(zero_or(1.0..=1000.0)), "0 or a number from 1 to 1000");
        assert_eq!(
            words::<Vec<f64>>(one_or_more(0.01..=8.0)),
            "a list of one or more numbers from 0.01 to 8"
        );
        assert_eq!(words::<Vec<f64>>(above(0.0)), "a list of numbers above 0 (it may be empty)");
        assert_eq!(
            words::<Vec<u8>>(ascending(0..=2)),
            "an ascending list of one or more whole numbers from 0 to 2"
        );
        assert_eq!(words::<Vec<String>>(one_or_more_of("grids")), "a list of one or more grids");
        assert_eq!(words::<bool>(Limits::default()), "true or false");
    }

    #[test]
    fn the_ends_of_a_range_are_taken_or_not() {
        let taken = |limits: Limits, values: &[f64]| -> Vec<bool> {
            values.iter().map(|value| limits.hold(value)).collect()
        };
        let ends = [-0.1, 0.0, 0.5, 1.0, 1.1, f64::NAN, f64::INFINITY];
        let closed = [false, true, true, true, false, false, false];
        assert_eq!(taken((0.0..=1.0).into(), &ends), closed);
        let half = [false, true, true, false, false, false, false];
        assert_eq!(taken((0.0..1.0).into(), &ends), half);
        let open = [false, false, true, true, false, false, false];
        assert_eq!(taken(above(0.0).up_to(1.0), &ends), open);
        // Without an end, yet never without end.
        let from = [false, false, true, true, true, false, false];
        assert_eq!(taken(above(0.0), &ends), from);
        let zero = [false, true, false, true, false, false, false];
        assert_eq!(taken(zero_or(1.0..=1.0), &ends), zero);
        assert!(!one_or_more(1..=2).hold(&Vec::<usize>::new()));
        assert!(Limits::from(1..=2).hold(&Vec::<usize>::new()));
        assert!(!one_or_more(1..=2).hold(&vec![1usize, 3]));
        assert!(ascending(0..=2).hold(&vec![0u8, 2]) && !ascending(0..=2).hold(&vec![1u8, 1]));
    }
}
