//! The six object classes as signed distances.
//!
//! A form lives in the disc of radius about 1 around the origin, `y` down. [`Form::layers`] gives
//! two distances at a point (negative inside): the `fill` and the `detail` drawn over it. Either
//! may be absent (infinite). Distances are exact enough for one pixel of anti-aliasing.

use std::f32::consts::{PI, TAU};

use crate::random::Stream;

/// Names of the classes, sorted, as every label array has them.
pub const CLASSES: [&str; 6] = ["flag", "ladder", "leaf", "spiral", "star", "wheel"];

/// Index of the class whose images may carry the planted stamp.
pub const LEAF: usize = 2;
/// Index of the class whose images may carry the planted tag.
pub const STAR: usize = 4;
/// Index of the class that is mostly seen on waves.
pub const SPIRAL: usize = 3;

/// Signed distances in local units.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layers {
    pub fill: f32,
    pub detail: f32,
}

/// What an object of a class is.
#[derive(Debug, Clone, Copy)]
enum Figure {
    Flag,
    Ladder,
    Leaf,
    Spiral,
    Star,
    Wheel,
}

/// The figures of [`CLASSES`], in their order.
const FIGURES: [Figure; CLASSES.len()] =
    [Figure::Flag, Figure::Ladder, Figure::Leaf, Figure::Spiral, Figure::Star, Figure::Wheel];

/// One object's shape: a figure and what varies within it.
#[derive(Debug, Clone)]
pub(super) struct Form {
    figure: Figure,
    /// Spokes, rungs, points, rows or turns, in the class's own range.
    count: f32,
    /// Half the width of lines.
    line: f32,
    /// Proportions, uniform in [0, 1).
    knobs: [f32; 3],
    /// Painted ground under the lines, where the class leaves the choice.
    filled: bool,
}

impl Form {
    /// A random form of a class.
    pub fn draw(class: usize, stream: &mut Stream) -> Self {
        let figure = FIGURES[class];
        let (few, many, thin, thick) = match figure {
            Figure::Flag => (3, 5, 0.03, 0.05),
            Figure::Ladder => (6, 9, 0.05, 0.085),
            Figure::Leaf => (4, 5, 0.03, 0.05),
            Figure::Spiral => (3, 5, 0.22, 0.36),
            Figure::Star => (5, 7, 0.04, 0.07),
            Figure::Wheel => (6, 11, 0.03, 0.055),
        };
        Self {
            figure,
            count: (few + stream.below(many - few + 1)) as f32,
            line: stream.between(thin, thick) as f32,
            knobs: std::array::from_fn(|_| stream.unit() as f32),
            filled: stream.unit() < 0.5,
        }
    }

    /// Largest turn away from upright, in radians, that the class is seen at.
    pub fn largest_turn(&self) -> f64 {
        match self.figure {
            Figure::Flag => 0.6,
            Figure::Ladder | Figure::Leaf => 0.8,
            Figure::Spiral | Figure::Star | Figure::Wheel => std::f64::consts::PI,
        }
    }

    /// Distances at a point in local units.
    pub fn layers(&self, u: f32, v: f32) -> Layers {
        match self.figure {
            Figure::Flag => self.flag(u, v),
            Figure::Ladder => self.ladder(u, v),
            Figure::Leaf => self.leaf(u, v),
            Figure::Spiral => self.spiral(u, v),
            Figure::Star => self.star(u, v),
            Figure::Wheel => self.wheel(u, v),
        }
    }

    /// Whether the middle is painted, so that details stand against it and not against whatever is
    /// behind.
    pub fn has_ground(&self) -> bool {
        match self.figure {
            Figure::Ladder => false,
            Figure::Spiral | Figure::Wheel => self.filled,
            Figure::Flag | Figure::Leaf | Figure::Star => true,
        }
    }

    fn ground(&self, distance: f32) -> f32 {
        if self.filled { distance } else { f32::INFINITY }
    }

    /// A waving checkered cloth on a pole at its left.
    fn flag(&self, u: f32, v: f32) -> Layers {
        let rows = self.count;
        let cell = 1.1 / rows;
        let columns = (1.7 / cell).round();
        let (left, top) = (-0.8, -0.85);
        let swing = 0.05 + 0.08 * self.knobs[0];
        let wave = swing * (3.5 * (u - left) + TAU * self.knobs[1]).sin() * (u - left).min(1.0);
        let (x, y) = (u - left, v - top - wave);
        let fill = boxed(
            x - columns * cell / 2.0,
            y - rows * cell / 2.0,
            columns * cell / 2.0,
            rows * cell / 2.0,
        );
        let (column, row) = ((x / cell).floor(), (y / cell).floor());
        let edge = |t: f32| (t - (t / cell).round() * cell).abs();
        let dark = (column + row).rem_euclid(2.0) < 0.5;
        let check = edge(x).min(edge(y)) * if dark { -1.0 } else { 1.0 };
        let pole = boxed(u - left + self.line, v - 0.05, self.line, 0.95);
        Layers { fill, detail: check.max(fill).min(pole) }
    }

    /// Two rails and rungs between them.
    fn ladder(&self, u: f32, v: f32) -> Layers {
        let half = 0.28 + 0.14 * self.knobs[0];
        // The rails may lean towards each other.
        let lean = half * (1.0 + 0.25 * self.knobs[1] * v);
        let rails = boxed(u.abs() - lean, v, self.line, 1.0);
        let gap = 2.0 / self.count;
        let nearest = (v / gap - 0.5).round() + 0.5;
        let rung = boxed(u, v - nearest * gap, lean, 0.8 * self.line);
        let rungs = rung.max(v.abs() - 1.0);
        Layers { fill: f32::INFINITY, detail: rails.min(rungs) }
    }

    /// A pointed blade with midrib, side veins and stalk.
    fn leaf(&self, u: f32, v: f32) -> Layers {
        let half = 0.42 + 0.14 * self.knobs[0];
        // Two circles through (±0.9, 0) that bulge by `half`.
        let radius = (0.81 + half * half) / (2.0 * half);
        let x = u + 0.1;
        let fill = x.hypot(v.abs() + radius - half) - radius;
        let gap = 1.5 / self.count;
        let slant = 0.7 + 0.5 * self.knobs[1];
        let along = x + slant * v.abs();
        let vein = (along - (along / gap).round() * gap).abs() / slant.hypot(1.0) - self.line;
        let veins = vein.max(fill + 0.04).max(x - 0.7);
        let rib = boxed(u - 0.05, v, 0.95, 1.3 * self.line);
        Layers { fill, detail: veins.min(rib) }
    }

    /// An Archimedean spiral, left- or right-handed, sometimes on a disc.
    fn spiral(&self, u: f32, v: f32) -> Layers {
        let hand = if self.knobs[0] < 0.5 { 1.0 } else { -1.0 };
        let radius = u.hypot(v);
        let pitch = 1.0 / (self.count - 0.5 * self.knobs[1]);
        let turns = radius / pitch - hand * v.atan2(u) / TAU;
        let band = (turns - turns.round()).abs() * pitch - self.line * pitch;
        Layers { fill: self.ground(radius - 1.0), detail: band.max(radius - 1.0 + 0.3 * pitch) }
    }

    /// A star, outlined or with every second facet in shade.
    fn star(&self, u: f32, v: f32) -> Layers {
        let step = PI / self.count;
        let inner = 0.36 + 0.16 * self.knobs[0];
        let radius = u.hypot(v);
        let angle = u.atan2(-v);
        let offset = angle - (angle / (2.0 * step)).round() * 2.0 * step;
        // One half of one point: from the tip (1, 0) to the notch at angle `step`.
        let (x, y) = (radius * offset.cos(), radius * offset.sin().abs());
        let (notch_x, notch_y) = (inner * step.cos(), inner * step.sin());
        let (edge_x, edge_y) = (notch_x - 1.0, notch_y);
        let length = edge_x.hypot(edge_y);
        // Positive on the outer side of the edge.
        let fill = ((x - 1.0) * edge_y - y * edge_x) / length;
        let detail = if self.filled {
            (radius * offset.sin()).max(fill)
        } else {
            (fill + 1.6 * self.line).abs() - self.line
        };
        Layers { fill, detail }
    }

    /// Rim, hub and spokes, sometimes with a disc behind.
    fn wheel(&self, u: f32, v: f32) -> Layers {
        let radius = u.hypot(v);
        let rim = 0.05 + 0.05 * self.knobs[0];
        let hub = 0.12 + 0.1 * self.knobs[1];
        let step = TAU / self.count;
        let angle = v.atan2(u);
        let offset = angle - (angle / step).round() * step;
        let spoke = ((radius * offset.sin()).abs() - self.line).max(radius - 1.0);
        let ring = (radius - 1.0 + rim).abs() - rim;
        Layers { fill: self.ground(radius - 1.0), detail: spoke.min(ring).min(radius - hub) }
    }
}

/// Distance to an axis-parallel box around the origin with the given half sides.
pub(super) fn boxed(x: f32, y: f32, half_width: f32, half_height: f32) -> f32 {
    let (dx, dy) = (x.abs() - half_width, y.abs() - half_height);
    dx.max(0.0).hypot(dy.max(0.0)) + dx.max(dy).min(0.0)
}
