//! One factor analyser with its factors turned so that `VᵀV` is diagonal: the formulas of the
//! [module docs](super).

use faer::{Mat, Side};

use crate::error::{Error, Result};
use crate::widest;

/// One component, ready for its rows. `V = Ψ^{−½} Λ`.
#[derive(Debug, Clone)]
pub(super) struct Turned {
    /// `ψ^{−½}`, `D`.
    pub inverse_roots: Vec<f64>,
    /// `(VR)ᵀ`, `q × D`.
    pub turned: Vec<f64>,
    /// `R`, `q × q`: column `j` makes factor `j`.
    pub turn: Vec<f64>,
    /// `r_j = √(1 + s_j²)`, `q`.
    pub norms: Vec<f64>,
    /// `Λ`, `D × q`.
    loadings: Vec<f64>,
    /// `Σ⁻¹ Λ`, `D × q`.
    pub dual_loadings: Vec<f64>,
}

impl Turned {
    /// Of `Λ` (`D × q`) and `Ψ` (`D`).
    pub fn new(loadings: &[f64], noise: &[f64]) -> Result<Self> {
        let (d, q) = (noise.len(), loadings.len() / noise.len());
        let inverse_roots: Vec<f64> = noise.iter().map(|psi| psi.sqrt().recip()).collect();
        let scaled = |j: usize, f: usize| inverse_roots[j] * loadings[j * q + f];
        let gram = Mat::from_fn(q, q, |a, b| (0..d).map(|j| scaled(j, a) * scaled(j, b)).sum());
        let failed = || {
            Error::Numerical {
            what: "mixture of factor analysers",
            problem: "the factors of a component could not be told apart: its loadings are too large beside \
                      its variances; scale the descriptors, or raise gmm.variance_floor"
                .into(),
        }
        };
        let finite = (0..q).all(|a| (0..q).all(|b| f64::is_finite(gram[(a, b)])));
        if !finite {
            return Err(failed());
        }
        let solved = gram.self_adjoint_eigen(Side::Lower).map_err(|_| failed())?;
        // The strongest factor first.
        let value = |f: usize| solved.S().column_vector()[q - 1 - f];
        let turn: Vec<f64> = (0..q * q).map(|i| solved.U()[(i / q, q - 1 - i % q)]).collect();
        let norms: Vec<f64> = (0..q).map(|f| (1.0 + f64::max(value(f), 0.0)).sqrt()).collect();
        let mut turned = vec![0.0; q * d];
        for f in 0..q {
            for j in 0..d {
                turned[f * d + j] = (0..q).map(|g| scaled(j, g) * turn[g * q + f]).sum();
            }
        }
        let loadings = loadings.to_vec();
        let mut component =
            Self { inverse_roots, turned, turn, norms, loadings, dual_loadings: Vec::new() };
        component.dual_loadings = component.of_loadings();
        Ok(component)
    }

    fn dim(&self) -> usize {
        self.inverse_roots.len()
    }

    fn factors(&self) -> usize {
        self.norms.len()
    }

    /// `ln |Σ|`.
    pub fn log_determinant(&self) -> f64 {
        let noise: f64 = self.inverse_roots.iter().map(|root| -2.0 * root.ln()).sum();
        noise + self.norms.iter().map(|r| 2.0 * r.ln()).sum::<f64>()
    }

    /// `Σ⁻¹Λ`: of each column `c` of `V`, `Ψ^{−½} (c − VR ((VR)ᵀc / r²))`.
    fn of_loadings(&self) -> Vec<f64> {
        let (d, q) = (self.dim(), self.factors());
        let mut dual = vec![0.0; d * q];
        let mut column = vec![0.0; d];
        for f in 0..q {
            for (j, (column, root)) in column.iter_mut().zip(&self.inverse_roots).enumerate() {
                *column = root * self.loadings[j * q + f];
            }
            let original = column.clone();
            for g in 0..q {
                let along = &self.turned[g * d..(g + 1) * d];
                let t: f64 = along.iter().zip(&original).map(|(v, c)| v * c).sum();
                let share = t / (self.norms[g] * self.norms[g]);
                column.iter_mut().zip(along).for_each(|(c, v)| *c -= share * v);
            }
            for j in 0..d {
                dual[j * q + f] = self.inverse_roots[j] * column[j];
            }
        }
        dual
    }

    /// `y` and `Σ⁻¹(x − μ)` of a row.
    pub fn whiten(&self, row: &[f64], mean: &[f64], white: &mut [f64], dual: &mut [f64]) {
        let (roots, turned) = (&self.inverse_roots[..], &self.turned[..]);
        let norms = &self.norms[..];
        widest!(<'a> |row: &'a [f64], mean: &'a [f64], roots: &'a [f64], turned: &'a [f64], norms: &'a [f64], white: &'a mut [f64], dual: &'a mut [f64]| -> () {
            let d = roots.len();
            for j in 0..d {
                let u = (row[j] - mean[j]) * roots[j];
                white[j] = u;
                dual[j] = u;
            }
            for (along, &r) in turned.chunks_exact(d).zip(norms) {
                let mut t = 0.0;
                for j in 0..d {
                    t += along[j] * ((row[j] - mean[j]) * roots[j]);
                }
                let (of_white, of_dual) = (t / (r * (r + 1.0)), t / (r * r));
                for j in 0..d {
                    white[j] -= of_white * along[j];
                    dual[j] -= of_dual * along[j];
                }
            }
            dual.iter_mut().zip(roots).for_each(|(a, root)| *a *= root);
        });
    }

    /// `b = Λᵀa`.
    pub fn onto_factors(&self, dual: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for (loadings, a) in self.loadings.chunks_exact(out.len()).zip(dual) {
            out.iter_mut().zip(loadings).for_each(|(b, loading)| *b += loading * a);
        }
    }

    /// Posterior mean of the turned factors of a row, `t / r²`.
    pub fn factors_of(&self, row: &[f64], mean: &[f64], out: &mut [f64]) {
        let (roots, turned) = (&self.inverse_roots[..], &self.turned[..]);
        let norms = &self.norms[..];
        widest!(<'a> |row: &'a [f64], mean: &'a [f64], roots: &'a [f64], turned: &'a [f64], norms: &'a [f64], out: &'a mut [f64]| -> () {
            let d = roots.len();
            for ((along, &r), out) in turned.chunks_exact(d).zip(norms).zip(out) {
                let mut t = 0.0;
                for j in 0..d {
                    t += along[j] * ((row[j] - mean[j]) * roots[j]);
                }
                *out = t / (r * r);
            }
        });
    }

    /// `(Σ⁻¹)_dd (ΛᵀΣ⁻¹Λ)_jj + (Σ⁻¹Λ)²_dj`, `D × q`.
    pub fn information(&self, out: &mut [f64]) {
        let (d, q) = (self.dim(), self.factors());
        let of_factors: Vec<f64> = (0..q)
            .map(|f| (0..d).map(|j| self.loadings[j * q + f] * self.dual_loadings[j * q + f]).sum())
            .collect();
        for j in 0..d {
            let share = |f: usize| (self.turned[f * d + j] / self.norms[f]).powi(2);
            let left: f64 = 1.0 - (0..q).map(share).sum::<f64>();
            let inverse = self.inverse_roots[j].powi(2) * left.max(0.0);
            for f in 0..q {
                let dual = self.dual_loadings[j * q + f];
                out[j * q + f] = inverse * of_factors[f] + dual * dual;
            }
        }
    }
}
