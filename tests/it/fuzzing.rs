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
