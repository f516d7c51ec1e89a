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
             A key that needs the value of another key has no effect without it.\n",
        );
        for group in GROUPS {
            page += &format!(
                "\n## `[{}]`: {}\n\n| key | default | values | meaning |\n|---|---|---|---|\n",
                group.name, group.about
            );
            for key in group.keys {
                let default = defaults
                    .get(group.name)
                    .and_then(|table| table.get(key.name))
                    .map_or_else(|| "unset".to_owned(), |value| format!("`{value}`"));
                page += &row(key.name, &default, key);
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

/// One row of a table of keys.
fn row(name: &str, default: &str, key: &Key) -> String {
    let values = key.values().to_string();
    let article = |article| values.strip_prefix(article);
    let values = article("a ").or_else(|| article("an ")).unwrap_or(&values);
    let mut meaning = key.meaning.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some(needs) = key.needs {
        meaning += &format!(" Needs {needs}.");
    }
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
