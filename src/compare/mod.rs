//! Two runs on the same images, side by side: which is better, by how much, and by what.
//!
//! ```text
//! scores of both ─ the same images? ─ average precision with intervals (paired bootstrap)
//!                                   ─ images that one gets right alone
//! context of both, as `explain --context` left it ─ ratios per class, average heatmaps
//! chosen images ─ heatmaps of both
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `sides` | what is read of each run, and what both have in common |
//! | `contexts` | context ratios and average heatmaps of both |
//! | `pairs` | which images are shown, and their heatmaps by both |
//! | `report` | the comparison as a value, as JSON, and as tables |
//! | `page` | the same as one page |
//! | `run` | all of it, from two open runs to a folder |
//!
//! Both runs are only read. The statistics stand in [`crate::evaluation::paired`] and
//! [`crate::evaluation::disagreement`]. The comparison is that of LRP-FV, section 6: figures 4 and 5
//! (heatmaps in pairs), figure 6 (outside-inside ratios of relevance), there of Fisher vectors and a deep
//! network, here of any two runs; the intervals are not in it.

mod contexts;
mod page;
mod pairs;
mod report;
mod run;
mod sides;

pub use report::{ClassReport, ContextRatio, HeatmapPair, Listed, Report, RunReport};
pub use run::{CompareOptions, compare};
