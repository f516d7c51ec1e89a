//! File names from ids and names of classes: one-to-one, on file systems that ignore case too.
//!
//! ```text
//! ASCII letters, digits, spaces and most signs; letters and digits of other scripts     as they are
//! / \ : * ? " < > | % ~, control characters, other signs that are not ASCII, a dot at the beginning,
//! a dot or space at the end, the dot of an ending .json           %2F, byte by byte in UTF-8
//! the empty name                                                  %
//! a name that another one of the set is, but for its case         name~1a2b…  (BLAKE3 of the name),
//!                                                                 unless all of it is lower case
//! a file name of more bytes than fit                              beginning~1a2b…
//! ```
//!
//! A `%` that is not followed by two digits and a `~` stand for nothing else, so that no two names of a
//! set become one. An ending `.json` is set apart, since a split has both a folder and a `.json` file.

use std::collections::BTreeMap;

/// The hidden file by which a folder of `fvtool compare` is known: its pictures are no data.
pub const COMPARISON_MARK: &str = ".fvtool-compare";
/// Most bytes of a file name before its ending: 255 less the longest ending.
const LONGEST_STEM: usize = 240;
/// Hexadecimal digits of a hash in a name: 128 bits.
const DIGITS: usize = 32;
/// ASCII characters that some file system does not take in a name, and the two that escape.
const NOT_KEPT: &[char] = &['/', '\\', ':', '*', '?', '"', '<', '>', '|', '%', '~'];

/// One name alone as part of a file name.
///
/// ```
/// use fvtool::names::file_name;
/// assert_eq!(file_name("traffic light"), "traffic light");
/// assert_eq!((file_name("a/b"), file_name("a_b")), ("a%2Fb".into(), "a_b".into()));
/// ```
pub fn file_name(name: &str) -> String {
    if name.is_empty() {
        return "%".to_owned();
    }
    let json = name.len().checked_sub(".json".len());
    let json = json.filter(|&at| name.as_bytes()[at..].eq_ignore_ascii_case(b".json"));
    let mut escaped = String::with_capacity(name.len());
    for (at, c) in name.char_indices() {
        let is_last = at + c.len_utf8() == name.len();
        let kept = match c {
            '.' => at > 0 && !is_last && json != Some(at),
            ' ' => !is_last,
            _ if c.is_ascii() => !c.is_ascii_control() && !NOT_KEPT.contains(&c),
            _ => c.is_alphanumeric(),
        };
        if kept {
            escaped.push(c);
        } else {
            let mut bytes = [0; 4];
            c.encode_utf8(&mut bytes).bytes().for_each(|byte| escaped += &format!("%{byte:02X}"));
        }
    }
    escaped
}

/// The names of a set, in its order, as parts of file names that differ in more than case.
///
/// ```
/// let set = ["cat", "Cat", "dog"].map(String::from);
/// let names = fvtool::names::file_names(&set);
/// assert_eq!((names[0].as_str(), names[2].as_str()), ("cat", "dog"));
/// assert!(names[1].starts_with("Cat~"));
/// ```
pub fn file_names(set: &[String]) -> Vec<String> {
    let names: Vec<String> = set.iter().map(|name| file_name(name)).collect();
    let mut alike: BTreeMap<String, usize> = BTreeMap::new();
    names.iter().for_each(|name| *alike.entry(without_case(name)).or_default() += 1);
    let unlike = |name: String| {
        let key = without_case(&name);
        if alike[&key] == 1 || name == key { name } else { format!("{name}~{}", hash(&name)) }
    };
    names.into_iter().map(unlike).collect()
}

/// A whole file name: `stem` of such names, cut where it is too long, and an ending of at most fifteen
/// bytes.
pub fn with_ending(stem: &str, ending: &str) -> String {
    if stem.len() <= LONGEST_STEM {
        return format!("{stem}{ending}");
    }
    let most = LONGEST_STEM - DIGITS - 1;
    let cut = (0..=most).rev().find(|&at| stem.is_char_boundary(at)).unwrap_or(0);
    format!("{}~{}{ending}", &stem[..cut], hash(stem))
}

fn hash(name: &str) -> String {
    blake3::hash(name.as_bytes()).to_hex()[..DIGITS].to_owned()
}

/// What stays the same when a file system ignores case, whichever way it does so: by way of upper case,
/// since `ſ` and `s`, or `ß` and `ss`, meet only there.
fn without_case(name: &str) -> String {
    name.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// Names that are easily taken for one another.
    fn names() -> impl Strategy<Value = Vec<String>> {
        let characters = "aAbB_./\\:%~ 25FfeEſsSßKk\u{212a}éÉ\u{301}\u{1b}\n\u{202e}=★".chars();
        let characters: Vec<char> = characters.collect();
        let name = prop::collection::vec(prop::sample::select(characters), 0..4);
        prop::collection::btree_set(name, 0..40)
            .prop_map(|set| set.into_iter().map(|name| name.into_iter().collect()).collect())
    }

    proptest! {
        #[test]
        fn no_two_names_of_a_set_become_one_file(names in names(), long in 0usize..300) {
            let stems = file_names(&names);
            let long = "x".repeat(long);
            let files: Vec<String> =
                stems.iter().map(|stem| with_ending(&format!("{long}{stem}"), ".safetensors")).collect();
            let ways: [fn(&str) -> String; 3] =
                [|name| name.to_lowercase(), |name| name.to_uppercase(), without_case];
            for way in ways {
                let distinct: BTreeSet<String> = files.iter().map(|file| way(file)).collect();
                prop_assert_eq!(distinct.len(), names.len(), "{:?}", files);
            }
            for file in &files {
                let odd = file.contains(['/', '\\', ':', '\n', '\u{1b}', '\u{202e}']);
                prop_assert!(!odd && file.len() <= 255 && !file.starts_with('.'), "{file}");
            }
        }

        /// Of another order of the set, each name stays what it was.
        #[test]
        fn the_order_of_a_set_does_not_matter(names in names()) {
            let reversed: Vec<String> = names.iter().rev().cloned().collect();
            let mut back = file_names(&reversed);
            back.reverse();
            prop_assert_eq!(back, file_names(&names));
        }
    }

    #[test]
    fn plain_names_stay_as_they_are() {
        for name in
            ["000012", "Coast", "traffic light", "a_b-c.d+e(1)", "猫", "café", "=d", "x.jpg"]
        {
            assert_eq!(file_name(name), name);
            assert_eq!(file_names(&[name.to_owned()]), [name]);
            assert_eq!(with_ending(name, ".png"), format!("{name}.png"));
        }
        for (name, file) in [
            ("", "%"),
            (".", "%2E"),
            ("..", "%2E%2E"),
            (".hidden", "%2Ehidden"),
            ("a.", "a%2E"),
            ("a ", "a%20"),
            ("a.JSON", "a%2EJSON"),
            ("a%b~", "a%25b%7E"),
            ("e\u{301}", "e%CC%81"),
        ] {
            assert_eq!(file_name(name), file);
        }
    }

    #[test]
    fn long_names_are_cut_and_told_apart() {
        let long = |end: &str| with_ending(&format!("{}{end}", "é".repeat(200)), ".png");
        assert!(long("a").len() <= 244 && long("a") != long("b") && long("a").ends_with(".png"));
        assert_eq!(with_ending(&"x".repeat(240), ".png").len(), 244);
    }
}
