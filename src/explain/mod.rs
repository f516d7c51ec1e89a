//! Explanations of a split's images: what is explained, and the data flow of one image.
//!
//! ```text
//! scores of the split ─ selection ─ for each image: decode → descriptors → projection
//!     → contributions → sums → vector → R³ → R² (all its classes at once) → R¹ per class
//! ```
//!
//! | file | what it answers |
//! |---|---|
//! | `heatmaps` | which pixels decided |
//! | `context` | how much of the relevance lies outside the boxes |
//! | `quality` | how good the heatmaps are |
//! | `words` | which visual words carry a class |
//! | `audit` | whether a class is recognised by an artefact |
//! | `why` | which training images decided |
//! | `photo` | which pixels of a photo decided, of no split |
//! | `views` | heatmaps in memory, of a run that is only read |
//! | `of_words` | relevance of words, from vectors and from images |
//! | `selection`, `rules`, `boxes`, `explainer` | which pairs, by which rules, their boxes, one image taken apart |
//!
//! The formulas stand in [`crate::explanation`]; here they meet a run. Images are explained in parallel,
//! each on one thread. Results lie in `explain/<split>/`; they are answers, made anew by each command in
//! place of what it wrote before, and part of no fingerprint.

mod audit;
mod boxes;
mod context;
mod explainer;
mod files;
mod heatmaps;
mod of_words;
mod photo;
mod quality;
mod rules;
mod selection;
mod views;
mod why;
mod words;

pub use audit::{Audit, AuditOptions, NotJudged};
pub use context::{ClassContext, ContextReport};
pub use heatmaps::{Drawing, Heatmap};
pub use photo::{PhotoHeatmap, PhotoRelevance, explain_photo};
pub use quality::{ClassQuality, ORDERS, QualityReport, SANITY};
pub use rules::Rules;
pub use selection::{Only, Selection};
pub use why::{Share, Why, WhyOptions};
pub use words::{ClassWords, Patch, WordOfClass, WordsReport};

pub(crate) use context::StoredContext;
pub(crate) use views::{View, Views};
pub(crate) use words::Patches;
