//! What a directory and its samples have in common: the numbers of kinds of colour, and the words for
//! errors of the decoder.

use tiff::TiffError;

/// Values of PhotometricInterpretation.
pub(super) const WHITE_IS_ZERO: u16 = 0;
pub(super) const BLACK_IS_ZERO: u16 = 1;
pub(super) const RGB: u16 = 2;
pub(super) const PALETTE: u16 = 3;
pub(super) const YCBCR: u16 = 6;

/// Why a file cannot be decoded.
pub(super) fn undecodable(error: TiffError) -> String {
    match error {
        TiffError::LimitsExceeded => "the TIFF file's directory or strips are larger than its \
                                      pixels warrant"
            .to_owned(),
        other => format!("cannot be decoded: {other}"),
    }
}
