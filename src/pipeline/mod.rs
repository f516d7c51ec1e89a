//! The run folder: every stage of one experiment, brought up to date by fingerprint.
//!
//! ```text
//! sample → pca → gmm → fisher/<split> → svm → scores and evaluation of <split>
//!   └→ layer ┘ (where projection and mixture are learned together)
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `place`, `result` | where stages work, what became of one |
//! | `stage` | a stage as a value; the one place that decides reuse, refuse or make |
//! | `channel`, `from_images` | what encodes a split; what an artifact is made from when that is images, found when it is needed |
//! | `sample`, `layer`, `pca`, `mixture`, `vectors`, `classifier` | one stage each |
//! | `join`, `stored_vectors` | the shards of a split made one; its vectors read back |
//! | `class_groups` | many classes, trained in groups |
//! | `evaluation`, `leak` | figures and files for people |
//! | `reading` | what a run holds, read and nothing else |
//! | `run`, `joint`, `models`, `commands` | the open folder, its channels joined, what it can be asked for |
//!
//! A stage's artifact carries the fingerprint of its inputs: the settings it depends on, its
//! parents' fingerprints and the data (ids, sizes and hashes of its image files; a shard of vectors has its
//! own, and a split the hash of its shards'). What exists with
//! the right fingerprint is reused, what is missing is made, and what was made from other inputs is
//! refused with the differences named, unless the run is opened with `refit`. Paths, times and the
//! number of threads are in no fingerprint.
//!
//! With several channels ([`crate::config`]) everything up to the vectors lies in a folder
//! `channels/<name>` for each of them, laid out as a run of one channel is; the classifier sees their
//! vectors joined (`joint`). Images are read and decoded once for all channels.

mod channel;
mod class_groups;
mod classifier;
mod commands;
pub mod demo;
mod describe;
mod evaluation;
mod folds;
mod from_images;
mod join;
mod joint;
mod layer;
mod leak;
mod mixture;
mod models;
mod options;
mod pca;
mod place;
mod predict;
mod reading;
mod result;
mod revised;
mod run;
mod sample;
mod source;
mod stage;
mod stored_vectors;
mod unlike;
mod vectors;

pub use channel::Encoded;
pub use evaluation::Evaluated;
pub use options::Options;
pub use predict::{ClassScore, Prediction};
pub use reading::StoredScores;
pub use result::{StageResult, Stamp};
pub use run::{Run, check_processor, no_such_run};
pub use source::require_apart;
pub use unlike::Usual;
pub use vectors::EncodedPart;

pub(crate) use classifier::TrainedOn;
pub(crate) use mixture::load_mixture;
pub(crate) use place::Place;

pub use crate::linalg::instructions;
pub use crate::store::{Index, IndexedImage, Skipped};
