//! The map of `docs/ARCHITECTURE.md` held against the code: who may use whom, which modules are
//! pure, how a file begins and how long it may be, and the lists that must agree with folders.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fvtool::config::{Config, PRESETS};

use crate::edges::{EDGES, GROUND, STAGES};

/// Stages that see no disk, clock, environment or terminal, and the ground they stand on.
/// `dataset`, `image` and `network` read files: that is what they are for.
const PURE: &[&str] = &[
    "descriptors",
    "projection",
    "gmm",
    "generative",
    "encoding",
    "svm",
    "evaluation",
    "explanation",
    "clustering",
    "drawing",
    "linalg",
    "names",
    "parameters",
    "plain",
    "progress",
    "random",
    "ranking",
    "words",
];

/// What a pure module must not say.
const IMPURE: &[&str] = &[
    "std::fs",
    "files::",
    "fs::",
    "File::",
    "std::env",
    "env::",
    "std::io::std",
    "std::net",
    "std::process",
    "Instant",
    "SystemTime",
    "print!",
    "println!",
    "eprint!",
    "eprintln!",
    "dbg!",
];

/// Most lines of a file before its tests.
const LONGEST: usize = 600;

/// The crates that fvtool is required to be built on.
const BUILT_ON: &[&str] = &[
    "clap",
    "image",
    "imageproc",
    "indicatif",
    "linfa",
    "linfa-reduction",
    "linfa-svm",
    "ndarray",
    "rayon",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A source file: its path below the package, and its lines without comments, up to the tests.
pub struct Source {
    pub path: String,
    text: String,
    pub code: Vec<String>,
}

impl Source {
    /// A file that is not there, for tests of what is found in files.
    pub fn made_up(path: &str, code: &str) -> Self {
        let code = code.lines().map(str::to_owned).collect();
        Self { path: path.into(), text: String::new(), code }
    }

    /// Its folders and name below `src`, without `.rs` and `mod`: `["gmm", "em"]`.
    pub fn module(&self) -> Vec<&str> {
        let below = self.path.strip_prefix("src/").expect("a file of src");
        below.trim_end_matches(".rs").split('/').filter(|part| *part != "mod").collect()
    }

    fn top(&self) -> &str {
        self.module()[0]
    }
}

pub fn sources(folders: &[&str]) -> Vec<Source> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    folders.iter().for_each(|folder| walk(&root().join(folder), &mut paths));
    paths.sort();
    let sources: Vec<Source> = paths
        .iter()
        .map(|path| {
            let text = std::fs::read_to_string(path).unwrap();
            // Not at `#[cfg(test)]`: that also stands before a single `use` or `mod x;`.
            let code =
                text.lines().take_while(|line| *line != "mod tests {").map(uncommented).collect();
            let below = path.strip_prefix(root()).unwrap();
            let path = below.to_str().unwrap().replace('\\', "/");
            Source { path, text: text.clone(), code }
        })
        .collect();
    assert!(sources.len() >= 10 * folders.len().min(2), "the walk found {} files", sources.len());
    sources
}

/// A line up to `//`, which in this code begins a comment unless a string holds an address.
fn uncommented(line: &str) -> String {
    let mut from = 0;
    while let Some(at) = line[from..].find("//").map(|i| i + from) {
        if at > 0 && line.as_bytes()[at - 1] == b':' {
            from = at + 2;
        } else {
            return line[..at].to_owned();
        }
    }
    line.to_owned()
}

/// The top-level modules that a file names by `crate::…`, `super::…` or (in `main.rs`) `fvtool::…`, with line
/// numbers.
fn edges(source: &Source) -> Vec<(usize, String)> {
    let binary = source.path == "src/main.rs";
    let depth = source.module().len();
    let code = source.code.join("\n");
    let mut found = Vec::new();
    let mut note = |at: usize, rest: &str| {
        let line = 1 + code[..at].matches('\n').count();
        found.extend(first_names(rest).into_iter().map(|name| (line, name)));
    };
    let root = if binary { "fvtool::" } else { "crate::" };
    for (at, _) in code.match_indices(root) {
        let before = code[..at].chars().next_back();
        if !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '$') {
            note(at, &code[at + root.len()..]);
        }
    }
    if !binary {
        // As many `super`s as the file lies deep lead to the root of the crate.
        let climb = "super::".repeat(depth);
        for (at, _) in code.match_indices(&climb) {
            if !code[..at].ends_with("super::") {
                note(at, &code[at + climb.len()..]);
            }
        }
    }
    found.retain(|(_, name)| name != source.top());
    found
}

/// The first names of a path or a group of paths: `a::b` gives `a`, `{a::{b, c}, d}` gives `a`, `d`.
/// What stands at the root of the crate is known by the module that it is from.
fn first_names(path: &str) -> Vec<String> {
    let name = |text: &str| -> String {
        let text = text.trim_start();
        let name: String = text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        match name.as_str() {
            "Error" | "Result" => "error".to_owned(),
            // A macro for the kernels of `linalg` and its users.
            "widest" => "linalg".to_owned(),
            _ => name,
        }
    };
    let Some(group) = path.strip_prefix('{') else { return vec![name(path)] };
    let mut depth = 0;
    let mut start = 0;
    let mut names = Vec::new();
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                names.push(name(&group[start..at]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(name(&group[start..at]));
                start = at + 1;
            }
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn allowed(top: &str) -> Option<BTreeSet<&'static str>> {
    let (_, listed) = EDGES.iter().find(|(name, _)| *name == top)?;
    let ground: &[&str] = if STAGES.contains(&top) { GROUND } else { &[] };
    Some(listed.iter().chain(ground).copied().collect())
}

fn complain(problems: &[String]) {
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}

#[test]
fn paths_are_read_as_the_compiler_reads_them() {
    assert_eq!(first_names("gmm::Gmm;"), ["gmm"]);
    assert_eq!(first_names("{gmm::{self, Gmm}, image,\n Error};"), ["gmm", "image", "error"]);
    assert_eq!(first_names("{\n    dataset,\n    svm,\n};"), ["dataset", "svm"]);
    assert_eq!(uncommented("a(); // crate::b"), "a(); ");
    assert_eq!(uncommented(r#"let a = "https://b"; // c"#), r#"let a = "https://b"; "#);
    let source = Source::made_up;
    let seen =
        edges(&source("src/gmm/em.rs", "use super::X;\nuse super::super::image;\ncrate::a();"));
    assert_eq!(seen, [(3, "a".to_owned()), (2, "image".to_owned())]);
    assert_eq!(edges(&source("src/gmm/mod.rs", "super::svm::f();")), [(1, "svm".to_owned())]);
    assert_eq!(edges(&source("src/gmm/mod.rs", "use crate::gmm::em;")), []);
}

#[test]
fn modules_use_only_what_the_table_allows() {
    let mut problems = Vec::new();
    let mut used = BTreeSet::new();
    for source in sources(&["src"]) {
        if source.path == "src/lib.rs" {
            continue;
        }
        let top = source.top();
        let Some(allowed) = allowed(top) else {
            problems.push(format!("{}: `{top}` has no row; add one to EDGES", source.path));
            continue;
        };
        for (line, name) in edges(&source) {
            if !allowed.contains(name.as_str()) {
                problems.push(format!(
                    "{}:{line}: `{top}` uses `{name}`; if docs/ARCHITECTURE.md wants that, add \
                     \"{name}\" to the row (\"{top}\", …) of EDGES",
                    source.path
                ));
            }
            used.insert((top.to_owned(), name));
        }
    }
    for (top, listed) in EDGES {
        for name in *listed {
            if !used.contains(&((*top).to_owned(), (*name).to_owned())) {
                problems.push(format!("EDGES: `{top}` does not use `{name}`; take it out"));
            }
        }
    }
    complain(&problems);
}

/// The table itself keeps the order of the pipeline.
#[test]
fn no_row_of_the_table_lets_a_stage_use_a_later_one() {
    let mut problems = Vec::new();
    for (top, listed) in EDGES {
        let Some(place) = STAGES.iter().position(|stage| stage == top) else { continue };
        for name in *listed {
            if !STAGES[..place].contains(name) {
                problems.push(format!("EDGES: stage `{top}` may not use `{name}`"));
            }
        }
    }
    for name in GROUND {
        if allowed(name).is_none_or(|uses| !uses.iter().all(|used| GROUND.contains(used))) {
            problems.push(format!("EDGES: `{name}` must stand on {GROUND:?} alone"));
        }
    }
    complain(&problems);
}

#[test]
fn stages_see_no_disk_clock_or_terminal() {
    let mut problems = Vec::new();
    for source in sources(&["src"]) {
        if !PURE.contains(&source.top()) {
            continue;
        }
        for (i, line) in source.code.iter().enumerate() {
            for word in IMPURE {
                if line.contains(word) {
                    problems.push(format!("{}:{}: `{word}` in a stage", source.path, i + 1));
                }
            }
        }
    }
    complain(&problems);
}

/// Files are opened where pipes are refused and failing reads tried again.
#[test]
fn files_are_read_in_one_place() {
    // The lock and folders to be synced; the system's answers about this process.
    let others = ["src/files.rs", "src/artifacts/atomic.rs", "src/cli/signals.rs"];
    let own = "/proc/self/status";
    let mut problems = Vec::new();
    for source in sources(&["src"]) {
        let reads = ["fs::read(", "fs::read_to_string(", "File::open("];
        for (i, line) in source.code.iter().enumerate() {
            let here = others.contains(&source.path.as_str()) || line.contains(own);
            if !here && reads.iter().any(|word| line.contains(word)) {
                problems.push(format!("{}:{}: use `files` to read", source.path, i + 1));
            }
        }
    }
    complain(&problems);
}

#[test]
fn every_file_says_what_it_is_and_is_not_too_long() {
    let mut problems = Vec::new();
    for source in sources(&["src", "tests", "benches"]) {
        if !source.text.starts_with("//! ") {
            problems.push(format!("{}:1: must open with `//!`: what the file is", source.path));
        }
        let lines = source.code.len();
        if lines > LONGEST {
            problems.push(format!(
                "{}: {lines} lines before its tests, at most {LONGEST}; split it by noun",
                source.path
            ));
        }
    }
    complain(&problems);
}

#[test]
fn what_fvtool_is_built_on_is_used() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = toml::from_str(&manifest).unwrap();
    let code: String = sources(&["src"]).iter().map(|s| s.code.join("\n") + "\n").collect();
    let mut problems = Vec::new();
    for name in BUILT_ON {
        if !manifest["dependencies"].as_table().unwrap().contains_key(*name) {
            problems.push(format!("Cargo.toml: `{name}` is no dependency"));
        }
        // `image` is also a module of fvtool; inside it the crate is `::image`.
        let path = match *name {
            "image" => "::image::".to_owned(),
            other => other.replace('-', "_") + "::",
        };
        if !code.contains(&path) {
            problems.push(format!("src: `{path}` is never said, yet fvtool builds on `{name}`"));
        }
    }
    complain(&problems);
}

#[test]
fn every_preset_is_known_and_valid() {
    let mut files: Vec<String> = std::fs::read_dir(root().join("configs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let known: Vec<String> = PRESETS.iter().map(|(name, _)| format!("{name}.toml")).collect();
    assert_eq!(files, known, "configs/ and config::PRESETS, both sorted");
    for (name, text) in PRESETS {
        let on_disk = std::fs::read_to_string(root().join(format!("configs/{name}.toml"))).unwrap();
        assert_eq!(*text, on_disk, "{name}");
        assert!(text.starts_with("# "), "{name} says in its first line what it is");
        let config = Config::named(name).unwrap();
        config.validate().unwrap_or_else(|e| panic!("preset {name}: {e}"));
    }
}

#[test]
fn the_page_of_settings_is_the_codes() {
    let page = std::fs::read_to_string(root().join("docs/SETTINGS.md")).unwrap_or_default();
    assert!(
        page == Config::reference(),
        "docs/SETTINGS.md is not what the code says; renew it with\n\
         cargo run -- settings > docs/SETTINGS.md"
    );
}
