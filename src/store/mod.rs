//! What lies in a run folder: where, under which kind, made from what, and how it is read back.
//!
//! | file | what it is |
//! |---|---|
//! | `paths`, `folder` | every path of a run; which folders may be one |
//! | `kind` | the kinds of artifacts, a row each |
//! | `inputs` | what an artifact is made from, its fingerprint, and what has changed since |
//! | `stored` | what models are on disk, both ways |
//! | `layer` | a learned layer and the state between its epochs |
//! | `shard` | vectors of some images, with their ids and labels |
//! | `index` | which shards an encoded split has, and what they hold together |
//! | `outputs` | results for people, and what becomes of them |
//! | `source`, `figures` | `source.json`, `eval/<split>.json` |
//!
//! Nothing here computes a model or decides what is made: that is [`crate::pipeline`].

mod figures;
mod folder;
mod index;
mod inputs;
mod kind;
mod layer;
mod outputs;
#[doc(hidden)]
pub mod parsers;
mod paths;
mod shard;
mod source;
mod stored;

pub(crate) use figures::figures_of;
pub(crate) use folder::{check, claim};
pub use index::{Index, IndexedImage};
pub(crate) use index::{Listed, Listing, not_of_this_index, open_index};
pub(crate) use inputs::{
    Inputs, in_words, is_idle_limit, labels_hash, lacks, may_be_back, of_another, open_stage,
    parent_print, print_of_shards, require_parent, was_waiting,
};
pub(crate) use kind::Kind;
pub(crate) use layer::{LayerModels, LayerReport, layer_models_of, read_state, write_state};
pub(crate) use outputs::{Notes, Origin, Outputs, Results};
pub(crate) use paths::Paths;
pub use shard::Skipped;
pub(crate) use shard::{
    Labels, ShardReport, ShardVectors, classes_hash, contents_of, relabelled, short,
};
pub(crate) use source::Source;
pub(crate) use stored::{
    PcaReport, Sample, Stored, SvmReport, mixture_of, model_of, open_sample, projection_of,
    report_of,
};
