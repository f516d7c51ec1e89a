//! Descriptors finished and gathered into blocks.

use ndarray::ArrayView2;

use super::bins::{self, COLOUR_DIM, DIM};
use super::dense_sift::Sink;
use super::describe::Consume;
use super::frame::Frame;
use super::multiscale::Mapping;
use super::params::{LowContrast, Params};
use super::{colour, normalise};
use crate::linalg::BLOCK_ROWS;

/// Finishes descriptors and gathers them into blocks.
pub(super) struct Blocks<'a> {
    params: &'a Params,
    dim: usize,
    /// Descriptors of this contrast or less are left out.
    least: f64,
    bin: usize,
    size_px: f32,
    mapping: Mapping,
    /// Where values of the mirror image's descriptor stand; of every other descriptor where it is given.
    mirror: Option<&'static [u8]>,
    rows: &'a mut [f32],
    frames: &'a mut Vec<Frame>,
    consume: &'a mut Consume<'a>,
}

impl Sink for Blocks<'_> {
    #[inline(always)]
    fn push(&mut self, x: usize, y: usize, raw: &[f32; DIM]) {
        let contrast = normalise::contrast(raw, self.bin);
        let contrast = if contrast.is_finite() { contrast } else { 0.0 };
        if f64::from(contrast) <= self.least {
            return;
        }
        let enough = f64::from(contrast) >= self.params.contrast_threshold;
        if !enough && self.params.low_contrast == LowContrast::Weight {
            return self.push_weighed(x, y, contrast, raw);
        }
        let finished =
            if enough { normalise::finish(raw, self.params.normalisation) } else { None };
        if finished.is_none() && self.params.low_contrast == LowContrast::Drop {
            return;
        }
        self.add(x, y, contrast, &finished.unwrap_or([0.0; DIM]));
    }
}

impl<'a> Blocks<'a> {
    /// Blocks of `dim` values a row, in buffers of the caller. Descriptors of the contrast `least` or less
    /// are left out.
    pub fn new(
        params: &'a Params,
        dim: usize,
        least: f64,
        rows: &'a mut Vec<f32>,
        frames: &'a mut Vec<Frame>,
        consume: &'a mut Consume<'a>,
    ) -> Self {
        rows.resize(BLOCK_ROWS * dim, 0.0);
        frames.clear();
        let mapping = Mapping::IDENTITY;
        let mirror = None;
        Self { params, dim, least, bin: 0, size_px: 0.0, mapping, mirror, rows, frames, consume }
    }

    /// Every other descriptor of a grid, as on a chessboard, becomes that of the mirror image: its values stand where
    /// `mirror` says.
    pub fn chequered(self, mirror: Option<&'static [u8]>) -> Self {
        Self { mirror, ..self }
    }

    /// The descriptors that follow are of this bin size at this level.
    pub fn enter(&mut self, bin: usize, mapping: Mapping) {
        self.bin = bin;
        self.size_px = mapping.length(bin as f64);
        self.mapping = mapping;
    }

    /// A descriptor of too little contrast, by its share of the threshold.
    #[cold]
    #[inline(never)]
    fn push_weighed(&mut self, x: usize, y: usize, contrast: f32, raw: &[f32; DIM]) {
        let weight = contrast / self.params.contrast_threshold as f32;
        let finished = normalise::finish(raw, self.params.normalisation).unwrap_or([0.0; DIM]);
        self.add(x, y, contrast, &finished.map(|value| value * weight));
    }

    /// A descriptor of colours whose first bin has its centre at pixel (`x`, `y`).
    pub fn push_colour(&mut self, x: usize, y: usize, row: &[f32; COLOUR_DIM]) {
        if row.iter().all(|value| value.is_finite()) {
            self.add(x, y, colour::deviation(row), row);
        } else {
            self.add(x, y, 0.0, &[0.0; COLOUR_DIM]);
        }
    }

    #[inline(always)]
    fn add<const D: usize>(&mut self, x: usize, y: usize, contrast: f32, row: &[f32; D]) {
        let to = &mut self.rows.as_chunks_mut::<D>().0[self.frames.len()];
        // Corners run by the step, so this is the sum of column and row of the grid, but for a constant.
        let field = x / self.params.step_px + y / self.params.step_px;
        let mirror = self.mirror.filter(|_| field % 2 == 1);
        match mirror {
            Some(from) => to.iter_mut().zip(from).for_each(|(to, &i)| *to = row[usize::from(i)]),
            None => *to = *row,
        }
        let to_centre = bins::to_centre(self.bin);
        self.frames.push(Frame {
            x: self.mapping.x(x as f64 + to_centre),
            y: self.mapping.y(y as f64 + to_centre),
            contrast,
            size_px: self.size_px,
            mirrored: mirror.is_some(),
        });
        if self.frames.len() == BLOCK_ROWS {
            self.flush();
        }
    }

    /// Hands on what has been gathered.
    #[inline(never)]
    pub fn flush(&mut self) {
        let n = self.frames.len();
        if n > 0 {
            let dim = self.dim;
            let rows = ArrayView2::from_shape((n, dim), &self.rows[..n * dim]).expect("n rows");
            (self.consume)(rows, self.frames);
            self.frames.clear();
        }
    }
}
