//! One declaration per settings group: field, default and documentation in one place.
//!
//! The [`parameters!`](crate::parameters!) macro makes a plain struct with `Default`, strict deserialisation (unknown
//! keys are refused) and a table of `(key, documentation)`, from which `docs/SETTINGS.md` is made.

/// Declares a parameter struct:
///
/// ```
/// fvtool::parameters! {
///     /// Settings of an example.
///     pub struct Example {
///         /// Distance between samples in pixels (1 to 64).
///         pub step_px: usize = 4,
///     }
/// }
/// assert_eq!(Example::default().step_px, 4);
/// assert_eq!(Example::DOCS[0].0, "step_px");
/// assert!(Example::DOCS[0].1.contains("pixels"));
/// ```
#[macro_export]
macro_rules! parameters {
    (
        $(#[doc = $about:literal])*
        pub struct $name:ident {
            $( $(#[doc = $doc:literal])+ pub $field:ident : $type:ty = $default:expr ),+ $(,)?
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
            /// Every key with its documentation, in order of declaration.
            pub const DOCS: &'static [(&'static str, &'static str)] =
                &[ $( (stringify!($field), concat!($($doc),+)) ),+ ];
        }
    };
}
