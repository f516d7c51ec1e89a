//! Inputs made from a corpus: bytes flipped, cut, repeated, joined, and numbers put where they hurt.

use std::path::Path;

/// The files of a target's corpus, by name.
///
/// # Panics
/// When there are none: a target without a corpus would test little.
pub fn corpus(fuzz: &Path, target: &str) -> Vec<Vec<u8>> {
    let folder = fuzz.join("corpus").join(target);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{folder:?}: {e}"));
    let mut paths: Vec<_> =
        entries.map(|entry| entry.expect("a folder can be listed").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{folder:?} is empty");
    paths.iter().map(|path| std::fs::read(path).expect("a corpus can be read")).collect()
}

/// An endless sequence of inputs, the same every time.
pub struct Mutation {
    seeds: Vec<Vec<u8>>,
    at: usize,
    state: u64,
}

/// Bytes that mean something to one parser or another.
const TOKENS: &[&[u8]] = &[
    b"\0",
    b"\xff",
    b"\n",
    b"\r\n",
    b"\xef\xbb\xbf",
    b"\"",
    b"'",
    b"<",
    b"</",
    b"<a>",
    b"&a;",
    b"]]>",
    b"<!DOCTYPE a [",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"=",
    b".",
    b"-1",
    b"0",
    b"1e999",
    b"nan",
    b"inf",
    b"18446744073709551615",
    b"4611686018427387905",
    b"9223372036854775808",
    b"F16",
    b"F64",
    b"shape",
    b"data_offsets",
    b"__metadata__",
    b"..",
    b"/",
    b"\\",
    b" ",
    b"\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\0\0\0\0\0\0\0\0",
    b"(1000000000,)",
    b"'<f8'",
    b"True",
];

impl Mutation {
    /// Starts with the seeds as they are.
    pub fn new(seeds: Vec<Vec<u8>>) -> Self {
        Self { seeds, at: 0, state: 0x9E37_79B9_7F4A_7C15 }
    }

    fn draw(&mut self, below: usize) -> usize {
        // Xorshift: any generator will do, and this one needs no crate.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 11) as usize % below.max(1)
    }

    /// The next input.
    #[allow(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> Vec<u8> {
        self.at += 1;
        if self.at <= self.seeds.len() {
            return self.seeds[self.at - 1].clone();
        }
        let choice = self.draw(self.seeds.len());
        let mut bytes = self.seeds[choice].clone();
        for _ in 0..1 + self.draw(4) {
            let at = self.draw(bytes.len() + 1);
            let end = (at + 1 + self.draw(16)).min(bytes.len());
            match self.draw(7) {
                0 if at < bytes.len() => bytes[at] ^= 1 << self.draw(8),
                1 => bytes.truncate(at),
                2 if at < end => drop(bytes.drain(at..end)),
                3 if at < end => {
                    let part = bytes[at..end].repeat(1 + self.draw(8));
                    bytes.splice(at..at, part);
                }
                4 => {
                    let token = TOKENS[self.draw(TOKENS.len())];
                    bytes.splice(at..at, token.iter().copied());
                }
                5 if at < end => {
                    let token = TOKENS[self.draw(TOKENS.len())];
                    bytes.splice(at..end, token.iter().copied());
                }
                _ => {
                    let other = self.draw(self.seeds.len());
                    let from = self.draw(self.seeds[other].len());
                    bytes.truncate(at);
                    bytes.extend_from_slice(&self.seeds[other][from..]);
                }
            }
        }
        bytes
    }
}
