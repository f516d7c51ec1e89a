//! The configurations that come with fvtool.

/// Presets by name, with their text.
pub const PRESETS: &[(&str, &str)] = &[
    ("best", include_str!("../../configs/best.toml")),
    ("chatfield", include_str!("../../configs/chatfield.toml")),
    ("deep-fast", include_str!("../../configs/deep-fast.toml")),
    ("deep", include_str!("../../configs/deep.toml")),
    ("fast", include_str!("../../configs/fast.toml")),
    ("lrp", include_str!("../../configs/lrp.toml")),
    ("quick", include_str!("../../configs/quick.toml")),
    ("scene15", include_str!("../../configs/scene15.toml")),
    ("vlfeat", include_str!("../../configs/vlfeat.toml")),
];

/// The preset of a run for which none is named.
pub const DEFAULT_PRESET: &str = "best";
