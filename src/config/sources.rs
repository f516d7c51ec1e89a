//! A configuration together with where each of its settings came from: preset, file with line, or
//! flag.
//!
//! Keys are spelled as `--set` spells them: `gmm.components`, and `colour.gmm.components` for that of
//! the channel `colour`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use toml::Spanned;
use toml::de::DeTable;

use super::channel::Channel;
use super::groups::{CHANNEL_GROUPS, GROUPS, Group, SEED};
use super::presets::PRESETS;
use super::settings::Config;
use crate::error::{Error, Result};
use crate::parameters::Key;
use crate::random::Seed;
use crate::words::{did_you_mean, listed, nearest};

/// Where a setting got its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A preset, by name.
    Preset(String),
    /// A file and the line, from 1.
    File(String, usize),
    /// The command line, as it was typed.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Preset(name) => write!(f, "preset `{name}`"),
            Self::File(path, line) => write!(f, "{path}:{line}"),
            Self::Flag(text) => f.write_str(text),
        }
    }
}

impl Origin {
    fn refuse(&self, problem: impl ToString) -> Error {
        Error::Config { origin: self.to_string(), problem: problem.to_string() }
    }
}

/// A configuration, and where its settings came from.
#[derive(Debug, Clone)]
pub struct Sourced {
    /// The settings.
    pub config: Config,
    /// What was read first: a preset or a file.
    base: Base,
    origins: BTreeMap<String, Origin>,
}

/// What is read first.
#[derive(Debug, Clone)]
enum Base {
    Preset(String),
    File(String),
}

impl Base {
    fn at(&self, line: usize) -> Origin {
        match self {
            Self::Preset(name) => Origin::Preset(name.clone()),
            Self::File(path) => Origin::File(path.clone(), line),
        }
    }
}

impl Config {
    /// Reads a preset by name or a TOML file by path.
    ///
    /// # Errors
    /// [`Error::Config`] for an unknown name, unreadable TOML, an unknown key or a wrong type.
    pub fn named(name_or_path: &str) -> Result<Self> {
        Ok(Sourced::named(name_or_path)?.config)
    }

    /// Reads TOML text; `origin` names it in errors.
    ///
    /// # Errors
    /// [`Error::Config`] as for [`named`](Self::named).
    pub fn parse(text: &str, origin: &str) -> Result<Self> {
        Ok(Sourced::parse(text, origin)?.config)
    }

    /// The configuration with `group.key=value` overrides, applied in order. Values are TOML; a bare
    /// word is a string, and so is a number or a truth value where a string belongs.
    ///
    /// # Errors
    /// [`Error::Config`] naming the override that is not understood, and the known keys.
    pub fn with_overrides(&self, overrides: &[String]) -> Result<Self> {
        let mut sourced = Sourced::of(self.clone());
        overrides.iter().try_for_each(|text| sourced.set(text))?;
        Ok(sourced.config)
    }
}

impl Sourced {
    /// A configuration without a history.
    pub fn of(config: Config) -> Self {
        let base = Base::File("the configuration".into());
        Self { config, base, origins: BTreeMap::new() }
    }

    /// Reads a preset by name or a TOML file by path.
    ///
    /// # Errors
    /// [`Error::Config`] for an unknown name, unreadable TOML, an unknown key or a wrong type.
    pub fn named(name_or_path: &str) -> Result<Self> {
        if let Some((name, text)) = PRESETS.iter().find(|(name, _)| *name == name_or_path) {
            return Self::read(text, Base::Preset((*name).to_owned()));
        }
        let path = Path::new(name_or_path);
        match crate::files::read_text(path) {
            Ok(text) => Self::parse(&text, name_or_path),
            Err(_) if !path.exists() => Err(no_such(name_or_path)),
            Err(_) if path.join("config.toml").is_file() => {
                let file = path.join("config.toml");
                let problem = format!("this is a folder; its settings are in {}", file.display());
                Err(Error::Config { origin: name_or_path.to_owned(), problem })
            }
            Err(reason) => Err(Error::io("read", path)(reason)),
        }
    }

    /// Reads a TOML file by a path that need not be UTF-8.
    ///
    /// # Errors
    /// As [`named`](Self::named), and [`Error::Io`] for a file that cannot be read.
    pub fn file(path: &Path) -> Result<Self> {
        let text = crate::files::read_text(path).map_err(Error::io("read", path))?;
        Self::parse(&text, &path.to_string_lossy())
    }

    /// Reads TOML text; `path` names it in errors.
    ///
    /// # Errors
    /// [`Error::Config`] as for [`named`](Self::named).
    pub fn parse(text: &str, path: &str) -> Result<Self> {
        Self::read(text, Base::File(path.to_owned()))
    }

    fn read(text: &str, base: Base) -> Result<Self> {
        // The byte order mark of some editors; the places in errors count from behind it.
        let text = text.trim_start_matches('\u{feff}');
        let line = |at: usize| 1 + text.bytes().take(at).filter(|&byte| byte == b'\n').count();
        let broken = |e: toml::de::Error| {
            let line = e.span().map_or(1, |span| line(span.start));
            base.at(line).refuse(e.message().replace('\n', " "))
        };
        let spans = DeTable::parse(text).map_err(broken)?;
        let values: toml::Table = toml::from_str(text).map_err(broken)?;
        let mut reader = Reader { base: &base, line: &line, origins: BTreeMap::new() };
        reader.whole(spans.get_ref(), &values)?;
        let origins = reader.origins;
        // Keys and types are checked; whatever else there may be has no line.
        let config = values.try_into().map_err(broken)?;
        Ok(Self { config, base, origins })
    }

    /// Applies `group.key=value`. The value is TOML; a bare word is a string.
    ///
    /// # Errors
    /// [`Error::Config`] naming the override that is not understood, and what would be.
    pub fn set(&mut self, text: &str) -> Result<()> {
        let origin = Origin::Flag(format!("--set {text}"));
        let (key, raw) = text
            .split_once('=')
            .ok_or_else(|| origin.refuse("write key=value, for example gmm.components=128"))?;
        let (key, raw) = (key.trim(), raw.trim());
        let parsed = toml::from_str::<toml::Table>(&format!("value = {raw}"))
            .ok()
            .filter(|table| table.len() == 1)
            .and_then(|mut table| table.remove("value"))
            .unwrap_or_else(|| toml::Value::String(raw.to_owned()));
        let blame = |error: Error| origin.refuse(error);
        if key == "channel" {
            let chosen = self.chosen_channels(&parsed).map_err(|problem| origin.refuse(problem))?;
            for channel in &chosen {
                self.origins.insert(format!("{}.name", channel.name), origin.clone());
            }
            self.config.channel = chosen;
            return Ok(());
        }
        let place = self.place(key).map_err(|problem| origin.refuse(problem))?;
        // `2024` is a folder where a folder is asked for.
        let value = match parsed {
            toml::Value::String(_) => parsed,
            _ if place.declared.is_text() => toml::Value::String(raw.to_owned()),
            _ => parsed,
        };
        place.declared.check_type(key, &value).map_err(blame)?;
        let mut table = self.config.table();
        let mut inner = &mut table;
        if let Some(number) = place.channel {
            let channels = inner.get_mut("channel").and_then(toml::Value::as_array_mut);
            inner = channels.and_then(|all| all[number].as_table_mut()).expect("it is there");
        }
        if let Some(group) = place.group {
            let entry = inner.entry(group.name).or_insert_with(|| toml::Table::new().into());
            inner = entry.as_table_mut().expect("a group is a table");
        }
        inner.insert(place.declared.name.to_owned(), value);
        self.config = table.try_into().map_err(|e: toml::de::Error| origin.refuse(e.message()))?;
        self.origins.insert(key.to_owned(), origin);
        Ok(())
    }

    /// Applies `--seed`.
    pub fn set_seed(&mut self, seed: u64) {
        self.config.seed = Seed(seed);
        self.origins.insert("seed".into(), Origin::Flag(format!("--seed {seed}")));
    }

    /// Applies `--labels`.
    pub fn set_labels(&mut self, file: &Path) {
        self.config.data.labels = file.to_owned();
        let flag = format!("--labels {}", file.display());
        self.origins.insert("data.labels".into(), Origin::Flag(flag));
    }

    /// Applies `--network`.
    pub fn set_network(&mut self, file: &Path) {
        self.config.network.file = file.to_owned();
        let flag = format!("--network {}", file.display());
        self.origins.insert("network.file".into(), Origin::Flag(flag));
    }

    /// What a key names.
    fn place(&self, key: &str) -> std::result::Result<Place, String> {
        if key == SEED.name {
            return Ok(Place { channel: None, group: None, declared: &SEED });
        }
        let Some((first, rest)) = key.split_once('.') else {
            if let Some(group) = GROUPS.iter().find(|group| group.name == key) {
                let keys = listed(group.keys.iter().map(|key| key.name));
                return Err(format!(
                    "`{key}` is a group of settings: write {key}.KEY; its keys are {keys}"
                ));
            }
            if self.config.channel.iter().any(|channel| channel.name == key) {
                return Err(format!("`{key}` is a channel: write {key}.GROUP.KEY"));
            }
            let of_group = |group: &'static Group| group.keys.iter().map(move |key| (group, key));
            let keys: Vec<String> = (GROUPS.iter().flat_map(of_group))
                .map(|(group, key)| format!("{}.{}", group.name, key.name))
                .collect();
            let fields = keys.iter().filter_map(|full| full.split_once('.')).map(|(_, key)| key);
            let near =
                nearest(key, fields).and_then(|near| keys.iter().find(|k| k.ends_with(near)));
            let example = near.map_or("svm.c", String::as_str);
            return Err(format!("keys are written group.key, for example {example}"));
        };
        if let Some(number) = self.config.channel.iter().position(|c| c.name == first) {
            if rest == WEIGHT.name {
                return Ok(Place { channel: Some(number), group: None, declared: &WEIGHT });
            }
            let groups = || GROUPS.iter().filter(|group| CHANNEL_GROUPS.contains(&group.name));
            let (name, field) = rest.split_once('.').unwrap_or((rest, ""));
            let group = groups().find(|group| group.name == name).ok_or_else(|| {
                let near = did_you_mean(name, groups().map(|g| g.name).chain([WEIGHT.name]));
                let keys = groups().map(|group| format!("{}.KEY", group.name));
                let keys: Vec<String> = [WEIGHT.name.to_owned()].into_iter().chain(keys).collect();
                format!("no key `{rest}` in channel `{first}`; its keys are {}{near}", listed(keys))
            })?;
            let declared = declared(group, field)?;
            return Ok(Place { channel: Some(number), group: Some(group), declared });
        }
        let group = GROUPS.iter().find(|group| group.name == first).ok_or_else(|| {
            let groups = GROUPS.iter().map(|group| group.name);
            let channels = self.config.channel.iter().map(|channel| channel.name.as_str());
            let names: Vec<&str> = groups.chain(channels).collect();
            let near = did_you_mean(first, &names);
            format!("no group `{first}`; the groups are {}{near}", listed(&names))
        })?;
        Ok(Place { channel: None, group: Some(group), declared: declared(group, rest)? })
    }

    /// Only the channels that are named, in that order.
    fn chosen_channels(&self, chosen: &toml::Value) -> std::result::Result<Vec<Channel>, String> {
        let names: Vec<&str> = self.config.channel.iter().map(|c| c.name.as_str()).collect();
        if names.is_empty() {
            return Err("this configuration has no channels".into());
        }
        let there = listed(&names);
        let list = chosen.as_array().ok_or_else(|| {
            format!("write a list, for example channel=['{}']; the channels are {there}", names[0])
        })?;
        list.iter()
            .map(|name| {
                let name = name.as_str().map_or_else(|| name.to_string(), str::to_owned);
                let found = self.config.channel.iter().find(|channel| channel.name == name);
                found.cloned().ok_or_else(|| {
                    let near = did_you_mean(&name, &names);
                    format!("no channel `{name}`; the channels are {there}{near}")
                })
            })
            .collect()
    }

    /// Where a key got its value: that of a channel from the channel, or else from the tables above.
    pub fn origin(&self, key: &str) -> String {
        let of_channel = key
            .split_once('.')
            .filter(|(first, _)| self.config.channel.iter().any(|channel| channel.name == *first));
        let found = self.origins.get(key).or_else(|| self.origins.get(of_channel?.1));
        match (found, &self.base) {
            (Some(origin), _) => origin.to_string(),
            (None, Base::Preset(name)) => format!("preset `{name}` (the default)"),
            (None, Base::File(path)) => format!("{path} (the default)"),
        }
    }

    /// Says of a refused setting where it was set, and where another one that it does not go with.
    pub fn blame(&self, error: Error) -> Error {
        let Error::Setting { key, value, range } = error else { return error };
        let origin = match key.as_str() {
            // A channel is known by the name that is refused.
            "channel.name" => self.origin(&format!("{value}.name")),
            key => self.origin(key),
        };
        let other = self.origins.iter().find_map(|(other, origin)| match origin {
            Origin::Flag(flag) if *other != key && range.contains(other.as_str()) => Some(flag),
            _ => None,
        });
        let range = other.map_or(range.clone(), |flag| format!("{range} ({flag})"));
        let problem = Error::Setting { key, value, range }.to_string();
        Error::Config { origin, problem }
    }

    /// The flags that change nothing beside the other settings, each with the reason.
    ///
    /// # Errors
    /// As [`Config::of_channel`].
    pub fn idle_flags(&self) -> Result<Vec<String>> {
        let mut said = Vec::new();
        for (key, origin) in &self.origins {
            if let Origin::Flag(flag) = origin
                && let Some(reason) = self.idle(key)?
            {
                said.push(format!("{flag} has no effect: {reason}"));
            }
        }
        Ok(said)
    }

    /// Why a key has no effect; `None` where it has one.
    fn idle(&self, key: &str) -> Result<Option<String>> {
        let Ok(Place { channel, group: Some(group), declared }) = self.place(key) else {
            return Ok(None);
        };
        let needs = |config: &Config| {
            if let Some(reason) = config.unused(group.name, declared.name) {
                return Some(reason.to_owned());
            }
            let settings = serde_json::to_value(config).expect("a configuration is JSON");
            let idle = (group.idle)(&settings[group.name]).contains(&declared.name);
            idle.then(|| format!("it needs {}.{}", group.name, declared.needs.unwrap_or_default()))
        };
        let channels = &self.config.channel;
        if (group.name, declared.name) == ("svm", "fusion") && channels.len() < 2 {
            return Ok(Some("there is one way to describe an image".into()));
        }
        let reached: Vec<&Channel> = match channel {
            Some(number) => vec![&channels[number]],
            None if !CHANNEL_GROUPS.contains(&group.name) || channels.is_empty() => {
                return Ok(needs(&self.config));
            }
            None => channels.iter().filter(|channel| !channel.sets(key)).collect(),
        };
        if reached.is_empty() {
            let names = channels.iter().map(|channel| format!("{}.{key}", channel.name));
            return Ok(Some(format!(
                "every channel sets its own; set {}",
                listed(names.collect::<Vec<_>>())
            )));
        }
        let mut reasons = Vec::new();
        for channel in reached {
            match needs(&self.config.of_channel(channel)?) {
                Some(reason) => reasons.push(reason),
                None => return Ok(None),
            }
        }
        Ok(reasons.into_iter().next())
    }
}

/// What a key of a configuration names.
struct Place {
    channel: Option<usize>,
    group: Option<&'static Group>,
    declared: &'static Key,
}

/// Weight of a channel.
static WEIGHT: Key = Channel::WEIGHT;

/// A key of a group by its name.
fn declared(group: &'static Group, name: &str) -> std::result::Result<&'static Key, String> {
    group.keys.iter().find(|key| key.name == name).ok_or_else(|| {
        let names: Vec<&str> = group.keys.iter().map(|key| key.name).collect();
        if name.is_empty() {
            return format!("name a key of `{}`; its keys are {}", group.name, listed(&names));
        }
        let near = did_you_mean(name, &names);
        format!("no key `{name}` in `{}`; its keys are {}{near}", group.name, listed(&names))
    })
}

/// The error for what is neither a preset nor a file.
fn no_such(name: &str) -> Error {
    let presets: Vec<&str> = PRESETS.iter().map(|(name, _)| *name).collect();
    let path = Path::new(name);
    let near = match path.parent().filter(|_| name.contains('/') || name.ends_with(".toml")) {
        Some(parent) => {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            let files: Vec<String> = std::fs::read_dir(parent)
                .map(|entries| entries.flatten().filter_map(|e| e.file_name().into_string().ok()))
                .map(|names| names.filter(|name| name.ends_with(".toml")).collect())
                .unwrap_or_default();
            let typed = path.file_name().unwrap_or_default().to_string_lossy();
            nearest(&typed, &files).map_or_else(String::new, |near| {
                format!("; did you mean `{}`?", path.with_file_name(near).display())
            })
        }
        None => did_you_mean(name, &presets),
    };
    let problem =
        format!("no such preset, and no such file; the presets are {}{near}", listed(&presets));
    Error::Config { origin: name.to_owned(), problem }
}

/// Walks over a TOML text: knows every key, and the line of each.
struct Reader<'a> {
    base: &'a Base,
    line: &'a dyn Fn(usize) -> usize,
    origins: BTreeMap<String, Origin>,
}

impl Reader<'_> {
    fn at<T>(&self, place: &Spanned<T>) -> Origin {
        self.base.at((self.line)(place.span().start))
    }

    fn whole(&mut self, spans: &DeTable<'_>, values: &toml::Table) -> Result<()> {
        for (name, inner) in in_order(spans) {
            let (origin, key) = (self.at(name), name.get_ref().as_ref());
            let value = &values[key];
            if key == SEED.name {
                self.leaf(key, &SEED, value, origin)?;
            } else if key == "channel" {
                let problem = "channels are tables: write [[channel]]";
                let tables = inner.get_ref().as_array().zip(value.as_array());
                let (tables, values) = tables.ok_or_else(|| origin.refuse(problem))?;
                for (table, value) in tables.iter().zip(values) {
                    let tables = table.get_ref().as_table().zip(value.as_table());
                    let (keys, values) = tables.ok_or_else(|| origin.refuse(problem))?;
                    self.channel(&self.at(table), keys, values)?;
                }
            } else {
                let group = GROUPS.iter().find(|group| group.name == key).ok_or_else(|| {
                    let names = GROUPS.iter().map(|group| group.name).chain(["channel", "seed"]);
                    let names: Vec<&str> = names.collect();
                    let near = did_you_mean(key, &names);
                    origin.refuse(format!(
                        "no group `{key}`; the groups are {}{near}",
                        listed(&names)
                    ))
                })?;
                self.group("", group, (inner.get_ref().as_table(), value.as_table()), &origin)?;
            }
        }
        Ok(())
    }

    /// One `[[channel]]`.
    fn channel(&mut self, start: &Origin, keys: &DeTable<'_>, values: &toml::Table) -> Result<()> {
        let name = values.get("name").and_then(toml::Value::as_str).ok_or_else(|| {
            start.refuse("a channel needs a name in quotes, for example name = \"sift\"")
        })?;
        for (key, inner) in in_order(keys) {
            let (origin, field) = (self.at(key), key.get_ref().as_ref());
            let value = &values[field];
            if field == "name" {
                self.origins.insert(format!("{name}.name"), origin);
            } else if field == WEIGHT.name {
                self.leaf(&format!("{name}.{field}"), &WEIGHT, value, origin)?;
            } else {
                let groups = || GROUPS.iter().filter(|group| CHANNEL_GROUPS.contains(&group.name));
                let group = groups().find(|group| group.name == field).ok_or_else(|| {
                    let names = ["name", WEIGHT.name].into_iter();
                    let names: Vec<&str> = names.chain(groups().map(|g| g.name)).collect();
                    let near = did_you_mean(field, &names);
                    let keys = listed(&names);
                    origin
                        .refuse(format!("no key `{field}` in a channel; its keys are {keys}{near}"))
                })?;
                let tables = (inner.get_ref().as_table(), value.as_table());
                self.group(&format!("{name}."), group, tables, &origin)?;
            }
        }
        Ok(())
    }

    fn group(
        &mut self,
        prefix: &str,
        group: &'static Group,
        tables: (Option<&DeTable<'_>>, Option<&toml::Table>),
        start: &Origin,
    ) -> Result<()> {
        let (Some(keys), Some(values)) = tables else {
            let name = group.name;
            return Err(start.refuse(format!("`{name}` is a group of settings: write {name}.KEY")));
        };
        for (key, _) in in_order(keys) {
            let (origin, field) = (self.at(key), key.get_ref().as_ref());
            let declared = declared(group, field).map_err(|problem| origin.refuse(problem))?;
            let full = format!("{prefix}{}.{field}", group.name);
            self.leaf(&full, declared, &values[field], origin)?;
        }
        Ok(())
    }

    fn leaf(&mut self, full: &str, key: &Key, value: &toml::Value, origin: Origin) -> Result<()> {
        key.check_type(full, value).map_err(|error| origin.refuse(error))?;
        self.origins.insert(full.to_owned(), origin);
        Ok(())
    }
}

/// The entries of a table as the text has them, so that the first mistake is the first refused.
fn in_order<'t, 'i>(
    table: &'t DeTable<'i>,
) -> Vec<(&'t Spanned<toml::de::DeString<'i>>, &'t Spanned<toml::de::DeValue<'i>>)> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}
