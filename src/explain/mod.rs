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
//! | `audit` | whether a class is recognised by an artefact |
//! | `photo` | which pixels of a photo decided, without a run folder |
//! | `views` | heatmaps in memory, of a run that is only read |
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
mod photo;
mod quality;
mod rules;
mod selection;
mod views;

pub use audit::{Audit, AuditOptions, NotJudged};
pub use context::{ClassContext, ContextReport};
pub use heatmaps::{Drawing, Heatmap};
pub use photo::{PhotoRelevance, explain_photo};
pub use quality::{ClassQuality, ORDERS, QualityReport};
pub use rules::Rules;
pub use selection::{Only, Selection};

pub(crate) use context::StoredContext;
pub(crate) use views::{View, Views};
