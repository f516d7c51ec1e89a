//! The data checked before any measure is believed: copies, leaks, wrong labels, images that do not belong.
//!
//! ```text
//! splits ─ pixels ──────── copies, blank, tiny, unreadable; classes ─┐
//! run ──── vectors ─────── near copies, outliers ────────────────────┼─ findings, in one form
//!     └─── held-out scores ─ probabilities ─ labels that look wrong ─┘
//! ```
//!
//! | file | what it does |
//! |---|---|
//! | `images` | what the pixels of each image say by themselves |
//! | `near` | images whose vectors lie closer together, or farther away, than those of others |
//! | `confident` | labels against which held-out scores are sure |
//! | `finding` | the form of a finding; what each check means, and what to do |
//! | `run` | all of it, on splits of a data folder |

mod confident;
mod finding;
mod images;
mod near;
mod run;

pub use finding::{Check, CheckReport, Finding, Measures, Named};
pub use run::check_data;
