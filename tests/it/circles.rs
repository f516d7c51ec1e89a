//! No circle of imports at any level of the tree: at the root, and inside every folder.
//!
//! In a folder, a file may use the files beside it, and `mod.rs` the files under it. A file that uses
//! what its own `mod.rs` defines is an edge too, so it closes a circle when `mod.rs` uses that file.
//! Names that `mod.rs` only hands on (`pub use`) belong to the file that they come from. A folder
//! counts as one place in the folder above it.

use std::collections::{BTreeMap, BTreeSet};

use crate::architecture::{Source, sources};

/// What a folder calls its own `mod.rs`.
const FACE: &str = "mod.rs";

/// One `use`, tree resolved to a path: `use a::{b as c}` gives `a::b` under the name `c`.
#[derive(Debug, Clone, PartialEq)]
struct Import {
    path: Vec<String>,
    name: String,
    /// Whether others may see it (`pub use`, `pub(crate) use`).
    handed_on: bool,
}

/// A file as this check sees it.
struct Module {
    file: String,
    /// Its place in the tree: `["gmm", "em"]`; `["gmm"]` for `gmm/mod.rs`.
    place: Vec<String>,
    imports: Vec<(usize, Import)>,
    /// Paths in the code outside of `use`, with line numbers.
    paths: Vec<(usize, Vec<String>)>,
    /// Single names in the code outside of `use`, with the line of the first.
    names: BTreeMap<String, usize>,
}

/// A use of one place by another inside a folder: where it is said first.
type Edges = BTreeMap<(String, String), String>;

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// All paths of a `use` tree with the names that they get.
fn expand(tree: &str, before: &[String], found: &mut Vec<(Vec<String>, String)>) {
    let tree = tree.trim();
    if let Some(at) = tree.find('{') {
        let mut before = before.to_vec();
        before.extend(
            tree[..at].split("::").map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned),
        );
        let inside = &tree[at + 1..tree.rfind('}').unwrap_or(tree.len())];
        let (mut depth, mut start) = (0, 0);
        for (i, c) in inside.char_indices().chain([(inside.len(), ',')]) {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    expand(&inside[start..i], &before, found);
                    start = i + 1;
                }
                _ => {}
            }
        }
        return;
    }
    let (path, alias) = tree.split_once(" as ").map_or((tree, None), |(p, a)| (p, Some(a.trim())));
    let mut all = before.to_vec();
    all.extend(path.split("::").map(|s| s.trim().to_owned()).filter(|s| !s.is_empty()));
    if all.len() > 1 && all.last().is_some_and(|last| last == "self") {
        all.pop();
    }
    if let Some(last) = all.last().cloned() {
        found.push((all, alias.map_or(last, str::to_owned)));
    }
}

impl Module {
    fn read(source: &Source) -> Self {
        // Without its `use` lines once these are read.
        let mut code = source.code.join("\n");
        let line = |code: &str, at: usize| 1 + code[..at].matches('\n').count();
        let mut imports = Vec::new();
        let starts: Vec<usize> = code.match_indices("use ").map(|(at, _)| at).collect();
        for at in starts {
            let head = code[..at].rsplit('\n').next().unwrap_or("").trim();
            let length = code[at..].find(';').unwrap_or(0);
            let tree = code[at..at + length].get(4..).unwrap_or("");
            let is_tree = |c: char| is_word(c) || c.is_whitespace() || ":{},*".contains(c);
            if !(head.is_empty() || head.starts_with("pub")) || !tree.chars().all(is_tree) {
                continue;
            }
            let (number, handed_on) = (line(&code, at), head.starts_with("pub"));
            let mut found = Vec::new();
            expand(&tree.replace('\n', " "), &[], &mut found);
            imports.extend(
                found.into_iter().map(|(path, name)| (number, Import { path, name, handed_on })),
            );
            let blank = tree.replace(|c| c != '\n', " ");
            code.replace_range(at..at + length, &format!("    {blank}"));
        }
        let (mut paths, mut names) = (Vec::new(), BTreeMap::new());
        let mut rest = 0;
        while let Some(from) = code[rest..].find(is_word).map(|i| i + rest) {
            let length =
                code[from..].find(|c: char| !is_word(c) && c != ':').unwrap_or(code.len() - from);
            let text = code[from..from + length].trim_end_matches(':');
            let before = &code[..from];
            // The name of a child, and who may see an item, are no uses.
            let declares = before.ends_with("mod ") || before.ends_with("pub(in ");
            let hidden = declares || before.ends_with(['$', '\'', '.']) || before.ends_with("::");
            let path: Vec<String> = text.split("::").map(str::to_owned).collect();
            if !hidden && path.iter().all(|part| part.chars().all(is_word)) {
                names.entry(path[0].clone()).or_insert_with(|| line(&code, from));
                if path.len() > 1 {
                    paths.push((line(&code, from), path));
                }
            }
            rest = from + length;
        }
        let below = source.module().into_iter().filter(|name| *name != "lib");
        let place = below.map(str::to_owned).collect();
        Self { file: source.path.clone(), place, imports, paths, names }
    }
}

/// All files by their places.
struct Tree {
    modules: BTreeMap<Vec<String>, Module>,
}

impl Tree {
    fn of(sources: &[Source]) -> Self {
        let modules = sources.iter().filter(|s| s.path != "src/main.rs").map(Module::read);
        Self { modules: modules.map(|module| (module.place.clone(), module)).collect() }
    }

    fn has_children(&self, place: &[String]) -> bool {
        self.modules.keys().any(|other| other.len() > place.len() && other.starts_with(place))
    }

    /// A path as written in the file at `place`, from the root of the crate; `None` for other crates.
    fn absolute(&self, place: &[String], path: &[String]) -> Option<Vec<String>> {
        let mut from = match path[0].as_str() {
            "crate" | "fvtool" => Vec::new(),
            "self" | "super" => place.to_vec(),
            first => {
                let mut child = place.to_vec();
                child.push(first.to_owned());
                return self.modules.contains_key(&child).then(|| {
                    child.extend(path[1..].iter().cloned());
                    child
                });
            }
        };
        let mut rest = path;
        while let Some(first) = rest.first() {
            match first.as_str() {
                "crate" | "fvtool" | "self" => {}
                "super" => drop(from.pop()),
                _ => break,
            }
            rest = &rest[1..];
        }
        from.extend(rest.iter().cloned());
        Some(from)
    }

    /// The file that a path from the root leads to; names that a file hands on are followed.
    fn target(&self, path: &[String], depth: usize) -> Vec<String> {
        let mut place = Vec::new();
        let mut rest = path;
        while let Some(first) = rest.first() {
            place.push(first.clone());
            if !self.modules.contains_key(&place) {
                place.pop();
                break;
            }
            rest = &rest[1..];
        }
        // Macros stand at the root wherever they are defined.
        if place.is_empty() && rest.first().is_some_and(|name| name == "widest") {
            return vec!["linalg".to_owned(), "widest".to_owned()];
        }
        let (Some(name), Some(module)) = (rest.first(), self.modules.get(&place)) else {
            return place;
        };
        let known = module.imports.iter().find(|(_, import)| import.name == *name);
        match known.and_then(|(_, import)| self.absolute(&place, &import.path)) {
            Some(onward) if depth < 8 => self.target(&onward, depth + 1),
            _ => place,
        }
    }

    /// What every folder's places use of each other.
    fn edges(&self) -> BTreeMap<String, Edges> {
        let mut all: BTreeMap<String, Edges> = BTreeMap::new();
        let mut note = |module: &Module, line: usize, path: &[String]| {
            let Some(path) = self.absolute(&module.place, path) else { return };
            let target = self.target(&path, 0);
            let (from, to) = (&module.place, &target);
            let common = from.iter().zip(to).take_while(|(a, b)| a == b).count();
            let step = |place: &[String]| place.get(common).map_or(FACE, String::as_str).to_owned();
            let edge = (step(from), step(to));
            // The face of the root knows everything and is known for what it hands on alone.
            if edge.0 != edge.1 && !(common == 0 && (from.is_empty() || to.is_empty())) {
                let said = format!("{}:{line}: {}", module.file, path.join("::"));
                all.entry(from[..common].join("/")).or_default().entry(edge).or_insert(said);
            }
        };
        for module in self.modules.values() {
            let face = self.has_children(&module.place);
            for (line, import) in &module.imports {
                // A face that hands a name on and says it nowhere else does not use it.
                let own = self.absolute(&module.place, &import.path);
                let child = own.is_some_and(|path| path.starts_with(&module.place));
                if face && child && import.handed_on && !module.names.contains_key(&import.name) {
                    continue;
                }
                note(module, *line, &import.path);
            }
            for (line, path) in &module.paths {
                note(module, *line, path);
            }
        }
        all
    }
}

/// The places of each circle, with the edges between them.
fn circles(edges: &Edges) -> Vec<(BTreeSet<String>, Vec<String>)> {
    let reach = |from: &String| {
        let mut seen = BTreeSet::new();
        let mut open = vec![from.clone()];
        while let Some(place) = open.pop() {
            for (_, to) in edges.keys().filter(|(a, _)| *a == place) {
                if seen.insert(to.clone()) {
                    open.push(to.clone());
                }
            }
        }
        seen
    };
    let places: BTreeSet<&String> = edges.keys().flat_map(|(a, b)| [a, b]).collect();
    let reached: BTreeMap<&String, BTreeSet<String>> =
        places.iter().map(|place| (*place, reach(place))).collect();
    let mut found: Vec<(BTreeSet<String>, Vec<String>)> = Vec::new();
    for (place, reaches) in &reached {
        if !reaches.contains(*place) || found.iter().any(|(circle, _)| circle.contains(*place)) {
            continue;
        }
        let circle: BTreeSet<String> =
            reaches.iter().filter(|other| reached[*other].contains(*place)).cloned().collect();
        let inside = edges.iter().filter(|((a, b), _)| circle.contains(a) && circle.contains(b));
        let said = inside.map(|((a, b), said)| format!("    {a} → {b}   {said}")).collect();
        found.push((circle, said));
    }
    found
}

/// The circles of a made-up tree, `folder: places`.
fn found(files: &[(&str, &str)]) -> Vec<String> {
    let sources: Vec<Source> =
        files.iter().map(|(path, code)| Source::made_up(path, code)).collect();
    let name = |places: BTreeSet<String>| places.into_iter().collect::<Vec<_>>().join(" ");
    let edges = Tree::of(&sources).edges();
    let all = edges.iter().flat_map(|(folder, edges)| {
        circles(edges).into_iter().map(move |(places, _)| format!("{folder}: {}", name(places)))
    });
    all.collect()
}

#[test]
fn circles_are_found_at_every_level() {
    // A, B and C in a row, and what a file hands on belongs to where it is from.
    let face = "mod a;\nmod b;\nmod c;\npub use a::{A, Other as B};";
    let mut files = vec![
        ("src/lib.rs", "pub mod m;\npub mod n;\npub use n::Error;"),
        ("src/m/mod.rs", face),
        ("src/m/a.rs", "use crate::Error;"),
        ("src/m/b.rs", "use super::{A, B as C};\nfn f() { let _ = super::a::g(); }"),
        ("src/m/c.rs", "use super::b::h;\nuse crate::{m::A, Error};"),
        ("src/n.rs", "pub struct Error;"),
    ];
    assert_eq!(found(&files), [""; 0]);
    // The circle of two files, of which one is named through the face alone.
    files[2].1 = "use super::c;";
    assert_eq!(found(&files), ["m: a b c"]);
    // A face that uses a file which uses the face; handing on is no use.
    files[2].1 = "use super::FACE;";
    assert_eq!(found(&files), [""; 0]);
    // Nor is a child of the same name, or an item that the whole folder may see.
    files[1].1 = "mod a;\npub use a::a;";
    files[2].1 = "pub(in crate::m) fn a() {}";
    assert_eq!(found(&files), [""; 0]);
    files[2].1 = "use super::FACE;";
    let using = format!("{face}\npub const FACE: u8 = 0;\nfn f(_: A) {{}}");
    files[1].1 = &using;
    assert_eq!(found(&files), ["m: a mod.rs"]);
    // Between folders, told at the root.
    files[1].1 = face;
    files[5].1 = "fn f() { crate::m::c::k(); }\npub struct Error;";
    assert_eq!(found(&files), [": m n"]);
    // The binary names the library by its name.
    files[5].1 = "pub struct Error;";
    files.push(("src/cli/mod.rs", "mod d;\nfn f() { d::g(); crate::m::A; }\nstruct Global;"));
    files.push(("src/cli/d.rs", "use super::Global;"));
    assert_eq!(found(&files), ["cli: d mod.rs"]);
}

#[test]
fn no_import_runs_in_a_circle() {
    let mut problems = Vec::new();
    for (folder, edges) in Tree::of(&sources(&["src"])).edges() {
        for (places, said) in circles(&edges) {
            let places: Vec<String> = places.into_iter().collect();
            problems.push(format!("src/{folder}: {}", places.join(", ")));
            problems.extend(said);
        }
    }
    assert!(problems.is_empty(), "circles of imports:\n{}", problems.join("\n"));
}
