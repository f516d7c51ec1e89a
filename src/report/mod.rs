//! A split on one page, with pictures: what is recognised and what is not, why, and what was found in the data.
//!
//! ```text
//! figures, scores ─ choice ─ photographs, heatmaps, words ─┐
//! check.json, audit.json ──────────────────────────────────┼─ page (nothing outside it, at most 5 MB)
//! settings, splits, stages ────────────────────────────────┘
//! ```
//!
//! | file | what it does |
//! |---|---|
//! | `choice` | which images are shown of each class, and which mistakes |
//! | `run` | looks at them, and gathers what else the run holds |
//! | `page` | the page |

mod choice;
mod page;
mod run;

pub use run::PictureReport;
