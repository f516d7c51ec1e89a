//! What became of every file of a data folder: used, or left out with the reason.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::names::shown;

/// Names kept as examples of a reason.
const EXAMPLES: usize = 3;
/// Reasons that are told apart; there may be as many endings as files.
const MOST_REASONS: usize = 40;
/// Reasons that a line names.
const NAMED: usize = 8;
/// Reason of what has one beyond [`MOST_REASONS`].
const OTHER: &str = "other";

/// What became of the files of a data folder, as one split sees them.
///
/// `found = used + other_splits + lists + Σ left_out`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// Files in the folder and all folders in it.
    pub found: usize,
    /// Images of the split.
    pub used: usize,
    /// Images of other splits alone.
    pub other_splits: usize,
    /// Files that say what images show: lists and annotations.
    pub lists: usize,
    /// Files that are not used.
    pub left_out: Vec<LeftOut>,
    /// Folders that are not looked into, or have nothing in them; their files do not count as found
    /// where the folder is a run of fvtool.
    pub passed_over: Vec<LeftOut>,
}

/// Files or folders that are left out for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Why. An ending (`.heic`) stands for files of an ending that is not read.
    pub reason: String,
    /// How many.
    pub count: usize,
    /// The first of them, by their path in the data folder.
    pub examples: Vec<String>,
}

/// Counts what is left out while a folder is looked through.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    files: BTreeMap<String, LeftOut>,
    folders: BTreeMap<String, LeftOut>,
}

impl Tally {
    /// A file `name` in the folder `below` the data folder is left out.
    pub fn leave_out(&mut self, reason: &str, below: &Path, name: &OsStr) {
        add(&mut self.files, reason, below, name, 1);
    }

    /// A file that was left out for this reason has a use after all.
    pub fn take_back(&mut self, reason: &str) {
        if let Some(found) = self.files.get_mut(reason) {
            found.count = found.count.saturating_sub(1);
        }
        self.files.retain(|_, found| found.count > 0);
    }

    /// All `count` files in the folder `name` are left out.
    pub fn leave_out_all(&mut self, reason: &str, below: &Path, name: &OsStr, count: usize) {
        if count > 0 {
            add(&mut self.files, reason, below, name, count);
        }
    }

    /// A folder is passed over.
    pub fn pass_over(&mut self, reason: &str, below: &Path, name: &OsStr) {
        add(&mut self.folders, reason, below, name, 1);
    }

    /// What is left out when `used` files are images of a split.
    pub fn inventory(&self, used: usize, other_splits: usize, lists: usize) -> Inventory {
        let (left_out, passed_over) = (sorted(&self.files), sorted(&self.folders));
        let found = used + other_splits + lists + left_out.iter().map(|l| l.count).sum::<usize>();
        Inventory { found, used, other_splits, lists, left_out, passed_over }
    }
}

fn add(
    counts: &mut BTreeMap<String, LeftOut>,
    reason: &str,
    below: &Path,
    name: &OsStr,
    count: usize,
) {
    let reason = match counts.len() >= MOST_REASONS && !counts.contains_key(reason) {
        true => OTHER,
        false => reason,
    };
    let of_reason = counts.entry(reason.to_owned()).or_insert_with(|| LeftOut {
        reason: reason.to_owned(),
        count: 0,
        examples: Vec::new(),
    });
    of_reason.count += count;
    if of_reason.examples.len() < EXAMPLES {
        let parts = below.iter().chain([name]).map(shown);
        of_reason.examples.push(parts.collect::<Vec<_>>().join("/"));
    }
}

/// The largest first.
fn sorted(counts: &BTreeMap<String, LeftOut>) -> Vec<LeftOut> {
    let mut all: Vec<LeftOut> = counts.values().cloned().collect();
    all.sort_by_key(|of_reason| std::cmp::Reverse(of_reason.count));
    all
}

impl Inventory {
    /// What is left out, in words: `12 .heic, 3 hidden`; empty when nothing is.
    pub fn left_out_in_words(&self) -> String {
        let mut words: Vec<String> =
            self.left_out.iter().map(|l| format!("{} {}", l.count, l.reason)).collect();
        if words.len() > NAMED {
            let more: usize = self.left_out[NAMED..].iter().map(|l| l.count).sum();
            words.truncate(NAMED);
            words.push(format!("{more} more"));
        }
        words.join(", ")
    }

    /// The folders passed over, in words with examples; empty when there are none.
    pub fn passed_over_in_words(&self) -> String {
        let words = self.passed_over.iter().map(|of_reason| {
            let names = of_reason.examples.join(", ");
            let more = if of_reason.count > of_reason.examples.len() { ", …" } else { "" };
            format!("{} {} ({names}{more})", of_reason.count, of_reason.reason)
        });
        words.collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_and_memory_is_bounded() {
        let mut tally = Tally::default();
        for i in 0..100 {
            tally.leave_out(&format!(".e{i:02}"), Path::new("a/b"), OsStr::new("x\ny"));
            tally.leave_out(".heic", Path::new(""), OsStr::new("1.heic"));
        }
        tally.leave_out_all("hidden", Path::new(""), OsStr::new(".git"), 7);
        tally.leave_out_all("hidden", Path::new(""), OsStr::new(".empty"), 0);
        let inventory = tally.inventory(5, 4, 3);
        assert_eq!(inventory.found, 5 + 4 + 3 + 207);
        assert_eq!(inventory.left_out.iter().map(|l| l.count).sum::<usize>(), 207);
        assert!(inventory.left_out.len() <= MOST_REASONS + 1);
        let heic = inventory.left_out.iter().find(|l| l.reason == ".heic").unwrap();
        assert_eq!((heic.count, heic.examples.len()), (100, EXAMPLES));
        assert_eq!(
            inventory.left_out.iter().find(|l| l.reason == ".e00").unwrap().examples,
            ["a/b/x\\x0Ay"]
        );
        let words = inventory.left_out_in_words();
        assert!(words.contains("100 .heic") && words.ends_with(" more"), "{words}");
    }
}
