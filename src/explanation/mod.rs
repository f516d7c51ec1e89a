//! Which pixels decided: layer-wise relevance propagation for Fisher vectors, and what follows.
//!
//! The score of a class is taken apart from the end to the beginning, each level a sum of the one
//! before:
//!
//! ```text
//! f(x) = w·φ + b                                       score (φ: the normalised vector, dim values)
//! R³_d = w_d φ_d + b/dim                               dimensions
//! R²_l = Σ_{d∉Z} R³_d s(m_d(l)) / Σ_l' s(m_d(l')) + ξ  descriptors, N values
//! R¹_p = Σ_{l∋p} R²_l / |area(l)|                      pixels
//! ```
//!
//! with `m_d(l)` what descriptor `l` adds to dimension `d` ([`crate::encoding::contributions`]),
//! `ξ = Σ_{d∈Z} R³_d / N` for the dimensions `Z` that no descriptor moves, and the rule:
//!
//! | rule | numerator `s` | denominator | conserves relevance |
//! |---|---|---|---|
//! | [`Rule::Plain`] (eq. 20) | `m` | `x_d = Σ m` | yes |
//! | [`Rule::Epsilon`] (eq. 22) | `m` | `x_d + ε·sgn(x_d)`, sgn(0) = 1 | no; what is lost is reported |
//! | [`Rule::Absolute`] (eq. 23) | `|m|` | `Σ |m|` | yes |
//!
//! Each is one product with the coefficients `c_d = R³_d / denominator` of all classes at once; no
//! `N × dim` array is formed. [`pixels`] spreads relevance over the image, [`heatmap`] draws it,
//! [`context`] compares it with the boxes, [`quality`] tests it by taking descriptors away,
//! [`words`] shares it out among visual words, and
//! [`audit`] looks for reasons that are not the object. Source: Bach et al. 2016, LRP-FV in
//! `docs/REFERENCES.md`.

pub mod audit;
pub mod audit_words;
pub mod context;
pub mod drawings;
pub mod heatmap;
pub mod memory;
pub mod pixels;
pub mod quality;
mod relevance;
pub mod sanity;
mod spectral;
pub mod words;

pub use relevance::{Classifier, Relevance, Rule, coordinates, relevance};
