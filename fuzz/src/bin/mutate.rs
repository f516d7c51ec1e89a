//! Runs every target on mutations of its corpus for some seconds each, with a stable compiler.
//!
//! ```text
//! mutate [SECONDS] [TARGET]
//! ```

use std::path::Path;
use std::time::{Duration, Instant};

use fvtool_fuzz::mutation::{Mutation, corpus};
use fvtool_fuzz::targets::TARGETS;

fn main() {
    let mut args = std::env::args().skip(1);
    let seconds: u64 = args.next().map_or(10, |text| text.parse().expect("a number of seconds"));
    let only = args.next();
    for (name, target) in TARGETS {
        if only.as_ref().is_some_and(|only| only != name) {
            continue;
        }
        let seeds = corpus(Path::new(env!("CARGO_MANIFEST_DIR")), name);
        let mut mutation = Mutation::new(seeds);
        let started = Instant::now();
        let mut tried = 0u64;
        while started.elapsed() < Duration::from_secs(seconds) {
            for _ in 0..100 {
                target(&mutation.next());
                tried += 1;
            }
        }
        println!("{name:10} {tried:>10} inputs, no panic");
    }
}
