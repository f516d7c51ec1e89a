//! The reference page of every setting, from the declarations themselves.

use super::channel::Channel;
use super::groups::GROUPS;
use super::presets::PRESETS;
use super::settings::Config;
use crate::parameters::Key;

impl Config {
    /// The reference page of every key: group, key, default, values, meaning (Markdown).
    pub fn reference() -> String {
        let defaults = toml::Table::try_from(Self::default()).expect("a configuration is a table");
        let mut page = String::from(
            "# Settings\n\nEvery key of a configuration file, with its default. Made from the code by \
             `fvtool settings`; do not edit.\nSet any key on the command line with \
             `--set group.key=value`. `seed` (default 1) belongs to no group; `--seed` sets it too.\n\
             Keys under \"only with\" have no effect without that.\n",
        );
        for group in GROUPS {
            page += &format!("\n## `[{}]`: {}\n", group.name, group.about);
            let mut kinds: Vec<Option<&str>> = Vec::new();
            for key in group.keys {
                if !kinds.contains(&key.needs) {
                    kinds.push(key.needs);
                }
            }
            // What always counts comes first.
            kinds.sort_by_key(Option::is_some);
            for needs in kinds {
                if let Some(needs) = needs {
                    page += &format!("\nOnly with {}:\n", in_code(needs));
                }
                page += TABLE;
                for key in group.keys.iter().filter(|key| key.needs == needs) {
                    let default = defaults
                        .get(group.name)
                        .and_then(|table| table.get(key.name))
                        .map_or_else(|| "unset".to_owned(), |value| format!("`{value}`"));
                    page += &row(key.name, &default, key);
                }
            }
            if let Some((_, example)) = EXAMPLES.iter().find(|(name, _)| *name == group.name) {
                page += &format!("\n```toml\n[{}]\n{example}\n```\n", group.name);
            }
        }
        let weight = row("weight", "`1.0`", &Channel::WEIGHT);
        page += &CHANNELS.replace("WEIGHT\n", &weight);
        page += "\n## Presets\n\n| preset | what it is |\n|---|---|\n";
        for (name, text) in PRESETS {
            let about: Vec<&str> =
                text.lines().map_while(|line| line.strip_prefix('#')).map(str::trim).collect();
            page += &format!("| `{name}` | {} |\n", about.join(" "));
        }
        page
    }
}

/// The head of a table of keys.
const TABLE: &str = "\n| key | default | values | meaning |\n|---|---|---|---|\n";

/// What a configuration file may say in a group.
const EXAMPLES: &[(&str, &str)] = &[
    ("data", "train_fraction = 0.7"),
    (
        "image",
        "max_height_px = 480           # as VLFeat's recipe\nvalue_range = [0, 4095]       # 12 bits in files of 16",
    ),
    ("descriptors", "kind = \"sift\"\nbin_sizes_px = [4, 6, 8]\nstep_px = 4"),
    ("network", "scaling = \"imagenet\"\noutput = \"features\""),
    ("sample", "rows = 100000"),
    ("pca", "dimension = 64\nappend = \"xy\""),
    ("gmm", "components = 256"),
    ("layer", "joint = true\nrows_per_image = 200"),
    (
        "encoding",
        "regions = [\"1x1\", \"3x1\"]      # the whole image, and three rows of it\nstorage = \"f16\"",
    ),
    ("svm", "c_grid = [0.1, 1.0, 10.0]     # chosen by cross-validation\ncalibration = \"platt\""),
    (
        "evaluation",
        "threshold = 0.5                # every score above it, whatever the other classes have",
    ),
];

/// `a = b or c` as `a = b` or `c`.
fn in_code(needs: &str) -> String {
    needs.split(" or ").map(|part| format!("`{part}`")).collect::<Vec<_>>().join(" or ")
}

/// One row of a table of keys.
fn row(name: &str, default: &str, key: &Key) -> String {
    let values = key.values().to_string();
    let article = |article| values.strip_prefix(article);
    let values = article("a ").or_else(|| article("an ")).unwrap_or(&values);
    let meaning = key.meaning.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("| `{name}` | {default} | {values} | {} |\n", meaning.replace('|', "\\|"))
}

/// What the page says of `[[channel]]`.
const CHANNELS: &str = "
## `[[channel]]`: Several kinds of descriptors

Each table describes images in one way. fvtool joins the Fisher vectors of all channels; each is
multiplied by its weight over the root of the sum of all squared weights. With no `[[channel]]`, the
tables above describe the only channel. `--set \"channel=['sift']\"` keeps the channels that it names.

| key | default | values | meaning |
|---|---|---|---|
| `name` | | lower-case letters, digits, `-` and `_` | Names its folder, `channels/<name>`. |
WEIGHT
| `descriptors.KEY`, `network.KEY`, `sample.KEY`, `pca.KEY`, `gmm.KEY`, `encoding.KEY` | that of the table above | as in the table above | A setting that this channel overrides. On the command line: `--set NAME.pca.dimension=64`. |
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_has_an_example_that_is_a_configuration() {
        for group in GROUPS {
            let found = EXAMPLES.iter().filter(|(name, _)| *name == group.name).count();
            assert_eq!(found, 1, "{}", group.name);
        }
        for (group, example) in EXAMPLES {
            let keys: toml::Table = example.parse().unwrap();
            for (key, value) in keys {
                let text = format!("{group}.{key}={value}");
                Config::default().with_overrides(&[text]).unwrap();
            }
        }
    }
}
