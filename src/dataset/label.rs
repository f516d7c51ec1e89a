//! Whether an image shows a class.

/// Whether an image shows a class.
///
/// PASCAL VOC writes 1, −1 and 0; `Ignored` (0) means that only difficult objects of the class
/// are there: such an image neither trains nor counts in evaluation for that class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Label {
    /// The class is there.
    Yes,
    /// The class is not there.
    No,
    /// Left out of training and evaluation for this class.
    Ignored,
}

impl Label {
    /// PASCAL VOC's number: 1, −1 or, for `Ignored`, 0.
    pub fn number(self) -> i8 {
        match self {
            Self::Yes => 1,
            Self::No => -1,
            Self::Ignored => 0,
        }
    }

    /// The label of PASCAL VOC's number; any but 1 and 0 is `No`.
    pub fn from_number(number: i8) -> Self {
        match number {
            1 => Self::Yes,
            0 => Self::Ignored,
            _ => Self::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_comes_back_from_its_number() {
        for label in [Label::Yes, Label::No, Label::Ignored] {
            assert_eq!(Label::from_number(label.number()), label);
        }
    }
}
