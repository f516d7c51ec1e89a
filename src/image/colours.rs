//! The choice of planes that are read of an image.

/// Which planes of an image are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colours {
    /// One: luminance.
    Luminance,
    /// Three: red, green and blue, equal in a grey image.
    Rgb,
    /// One: the opponent colour `(R − G)/√2`, 0 in a grey image.
    RedGreen,
    /// One: the opponent colour `(R + G − 2B)/√6`, 0 in a grey image.
    YellowBlue,
}

impl Colours {
    /// How many.
    pub fn planes(self) -> usize {
        match self {
            Self::Luminance | Self::RedGreen | Self::YellowBlue => 1,
            Self::Rgb => 3,
        }
    }
}
