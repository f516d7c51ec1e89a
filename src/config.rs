//! The whole configuration: every stage's settings, presets, overrides and fingerprints.
//!
//! A configuration is a TOML file with one table per stage. Presets (`configs/*.toml`) are such
//! files; what a file leaves out has its default. Unknown keys are refused.
//!
//! An image may be described in several ways at once, each a *channel* with its own descriptors,
//! projection, mixture and Fisher vector. A `[[channel]]` table names the settings in which a channel
//! differs from the tables above it:
//!
//! ```toml
//! [gmm]
//! components = 256
//!
//! [[channel]]
//! name = "sift"
//!
//! [[channel]]
//! name = "colour"
//! descriptors.kind = "colour"
//! pca.dimension = 64
//! ```

mod channel;
mod effect;
mod groups;
mod presets;
mod reference;
mod settings;
mod sources;

pub use channel::Channel;
pub use effect::{differences, effective_inputs, fingerprint};
pub use groups::{GROUPS, Group};
pub use presets::{DEFAULT_PRESET, PRESETS};
pub use settings::Config;
pub use sources::{Origin, Sourced};
