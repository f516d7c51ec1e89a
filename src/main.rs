//! The `fvtool` binary.

fn main() {}
