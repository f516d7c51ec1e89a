//! The fuzz targets of `fuzz/` on their corpus and a fixed number of mutations of it.

#[path = "../../fuzz/src/mutation.rs"]
mod mutation;
// As the fuzz package has it; its own tests and binaries are elsewhere.
#[path = "../../fuzz/src/targets.rs"]
mod targets;

use std::path::Path;

/// Inputs for each target; `scripts/fuzz.sh` takes its time.
const INPUTS: usize = 3_000;

#[test]
fn no_input_makes_a_parser_panic() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    for (name, target) in targets::TARGETS {
        let mut mutation = mutation::Mutation::new(mutation::corpus(&fuzz, name));
        (0..INPUTS).for_each(|_| target(&mutation.next()));
    }
}

/// A corpus of another version would test little more than that it is refused.
#[test]
fn the_corpus_is_of_this_version() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let renew = "copy the file of a new run of two classes and three images there";
    for name in ["artifact", "stored"] {
        for entry in std::fs::read_dir(corpus.join(name)).unwrap() {
            let path = entry.unwrap().path();
            fvtool::store::parsers::stored(&path).unwrap_or_else(|e| panic!("{e}; {renew}"));
        }
    }
    for name in ["index", "sealed"] {
        let path = |file: &str| corpus.join(name).join(file);
        let text = |file: &str| std::fs::read_to_string(path(file)).unwrap();
        let index = fvtool::store::parsers::index(&text("index"));
        index.unwrap_or_else(|e| panic!("{e}; {renew}"));
        let figures = fvtool::store::parsers::figures(&text("eval"));
        assert!(figures.is_some(), "{}; {renew}", path("eval").display());
    }
}
