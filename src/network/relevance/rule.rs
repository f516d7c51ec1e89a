//! The rules to choose from.

/// How the relevance of a node's outputs is shared out among its inputs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    /// In proportion to what each input adds, with ε added to the sum.
    Epsilon(f32),
    /// What adds to an output gets `α`, what takes from it `1 − α`.
    AlphaBeta {
        /// `α ≥ 1`.
        alpha: f32,
        /// What becomes of the share of a bias.
        bias: Bias,
    },
}

/// What becomes of the relevance that a bias has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bias {
    /// The inputs alone are asked. Where only the bias makes an output, its relevance is lost.
    Ignore,
    /// Its share goes to all pixels of the window alike. Nothing is lost; heatmaps get a haze.
    Spread,
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Epsilon(epsilon) => write!(f, "epsilon {epsilon}"),
            Self::AlphaBeta { alpha, bias } => {
                write!(f, "alpha {alpha} beta {}", alpha - 1.0)?;
                f.write_str(if *bias == Bias::Spread { " with biases spread" } else { "" })
            }
        }
    }
}
