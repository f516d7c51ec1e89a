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
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    for name in ["artifact", "stored"] {
        for path in std::fs::read_dir(fuzz.join("corpus").join(name)).unwrap() {
            let path = path.unwrap().path();
            fvtool::pipeline::parsers::stored(&path).unwrap_or_else(|e| panic!("{e}"));
        }
    }
    for name in ["index", "sealed"] {
        let folder = fuzz.join("corpus").join(name);
        let text = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
        fvtool::pipeline::Index::parse(&folder, &text("index")).unwrap();
        assert!(fvtool::pipeline::parsers::figures(&text("eval")).is_some());
    }
}
