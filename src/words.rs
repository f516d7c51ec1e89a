//! Words of messages: counts in singular and plural, lists of names, and the nearest name.

/// Names that a list in a message shows; the others are counted.
const SHOWN_NAMES: usize = 20;

/// How near a name must be to be suggested (Jaro's measure, 0 to 1): that of clap, which suggests
/// commands and options.
const NEAR: f64 = 0.7;

/// `1 image`, `3 images`.
pub fn counted(count: usize, one: &str) -> String {
    if count == 1 {
        return format!("1 {one}");
    }
    let plural = match one.as_bytes() {
        // This `ch` is a k.
        b"epoch" => format!("{one}s"),
        [.., b's' | b'x'] | [.., b'c' | b's', b'h'] => format!("{one}es"),
        [.., before, b'y'] if !b"aeiou".contains(before) => format!("{}ies", &one[..one.len() - 1]),
        _ => format!("{one}s"),
    };
    format!("{count} {plural}")
}

/// Names with commas between them; of a long list the first ones and the number of the others.
pub fn listed<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    let names: Vec<S> = names.into_iter().collect();
    let shown: Vec<&str> = names.iter().take(SHOWN_NAMES).map(AsRef::as_ref).collect();
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The most similar of `names`, whatever their case; `None` when none is similar.
pub fn nearest<S: AsRef<str>>(name: &str, names: impl IntoIterator<Item = S>) -> Option<S> {
    let wanted = name.to_lowercase();
    let likeness = |of: S| (strsim::jaro(&wanted, &of.as_ref().to_lowercase()), of);
    let near = names.into_iter().map(likeness).filter(|(near, _)| *near > NEAR);
    // The first of equals.
    near.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, name)| name)
}

/// The question after a wrong name, `; did you mean …?`; nothing when no name is similar.
pub fn did_you_mean<S: AsRef<str>>(name: &str, names: impl IntoIterator<Item = S>) -> String {
    nearest(name, names).map_or_else(String::new, |n| format!("; did you mean `{}`?", n.as_ref()))
}

/// Numbers with a plus between them.
pub fn sum_of(numbers: &[usize]) -> String {
    numbers.iter().map(usize::to_string).collect::<Vec<_>>().join(" + ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_in_singular_and_plural() {
        for (count, one, words) in [
            (0, "image", "0 images"),
            (1, "image", "1 image"),
            (2, "class", "2 classes"),
            (3, "box", "3 boxes"),
            (4, "batch", "4 batches"),
            (4, "epoch", "4 epochs"),
            (5, "copy", "5 copies"),
            (6, "day", "6 days"),
            (1, "copy", "1 copy"),
        ] {
            assert_eq!(counted(count, one), words);
        }
    }

    #[test]
    fn a_long_list_is_cut() {
        assert_eq!(listed(["a", "b"]), "a, b");
        assert_eq!(listed::<&str>([]), "");
        let many: Vec<String> = (0..25).map(|i| format!("n{i}")).collect();
        let text = listed(&many);
        assert!(text.ends_with("n18, n19 and 5 more"), "{text}");
        assert_eq!(listed(&many[..20]).matches(',').count(), 19);
    }

    #[test]
    fn the_nearest_name_is_the_one_that_was_meant() {
        let presets = ["best", "chatfield", "fast", "lrp", "quick", "scene15", "vlfeat"];
        for (typed, meant) in [
            ("vlfaet", Some("vlfeat")),
            ("VLFeat", Some("vlfeat")),
            ("quik", Some("quick")),
            ("bset", Some("best")),
            ("scene-15", Some("scene15")),
            ("chatfeild", Some("chatfield")),
            ("xyzzy", None),
            ("", None),
            ("ñ", None),
        ] {
            assert_eq!(nearest(typed, presets), meant, "{typed}");
        }
        assert_eq!(nearest("x", [] as [&str; 0]), None);
        assert_eq!(did_you_mean("trian", ["test", "train"]), "; did you mean `train`?");
        assert_eq!(did_you_mean("qqq", ["test", "train"]), "");
    }
}
