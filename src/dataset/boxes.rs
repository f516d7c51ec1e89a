//! Where the boxes of an annotation lie in the picture that is looked at.
//!
//! An annotation may be of a smaller copy of the picture, or of the picture as it lies in its file
//! before EXIF data turn it upright. The size that it states, or boxes that fit one way alone, tell:
//!
//! - stated size = upright size: the boxes are taken as they are;
//! - stated size of the same proportions: they are scaled;
//! - the same of the picture as it lies in the file, where that is turned by a quarter: they are turned;
//! - no size: taken as they are, or turned where they fit in no other way;
//! - shares of width and height: multiplied;
//! - any other size: refused, since the picture may have been cut, stretched or padded.
//!
//! A box that reaches over the border is cut there; one that lies outside, or reaches further than half
//! the picture beyond it, is of another picture and refused.

use super::items::{Area, Object, Ruler};

/// What was done with the boxes of an image that the user should know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Remark {
    /// Scaled to the picture's size.
    Scaled,
    /// Shares of width and height became pixels.
    Shares,
    /// Turned as the picture is.
    Turned,
    /// Nothing tells whether they were drawn before the picture was turned; taken as they are.
    Undecided,
    /// Cut at the border.
    Cut,
}

impl Remark {
    /// What was done, in words that follow "the boxes of N images".
    pub fn words(self) -> &'static str {
        match self {
            Self::Scaled => "were drawn on another size of the picture and are scaled to it",
            Self::Shares => "are shares of width and height and became pixels",
            Self::Turned => {
                "were drawn before EXIF data turned the picture upright and are turned with it"
            }
            Self::Undecided => {
                "may have been drawn before EXIF data turned the picture upright, which nothing \
                 tells; they are taken as drawn on the upright one"
            }
            Self::Cut => "reach over the border of the picture and are cut there",
        }
    }
}

/// Boxes in pixels of the upright picture, 0-based and inclusive, one an object.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Placed {
    /// Left, top, right, bottom.
    pub bounds: Vec<[f32; 4]>,
    /// What was done with them.
    pub remarks: Vec<Remark>,
}

/// How far two sizes may differ by rounding, in pixels.
const ROUNDING_PX: f32 = 1.0;
/// A box that reaches further beyond the border than this share of the picture is of another picture.
const FARTHEST: f32 = 0.5;
/// Smaller sizes are no pictures; their proportions tell nothing.
const SMALLEST_PX: f32 = 8.0;

/// Places the boxes of an image whose upright picture has the given width and height, and lies in its
/// file as EXIF's number `orientation` says (1 to 8; 1 is upright).
///
/// # Errors
/// Why the boxes cannot be placed with certainty.
pub fn place(objects: &[Object], upright: [usize; 2], orientation: u8) -> Result<Placed, String> {
    let areas: Vec<Area> = objects.iter().map(Area::from).collect();
    place_areas(&areas, upright, orientation)
}

/// As [`place`], of areas with one ruler. One that was drawn round a point may reach over the border
/// without a word; its middle may not.
///
/// # Errors
/// As [`place`].
pub fn place_areas(given: &[Area], upright: [usize; 2], orientation: u8) -> Result<Placed, String> {
    let Some(ruler) = given.first().map(|area| area.ruler) else {
        return Ok(Placed::default());
    };
    let size = upright.map(|side| side as f32);
    let quarter = (5..=8).contains(&orientation);
    let lying = if quarter { [size[1], size[0]] } else { size };
    let turned_at_all = orientation > 1;
    // Edges of areas, not of pixels, can be scaled and turned.
    let mut areas: Vec<[f32; 4]> = given
        .iter()
        .map(|area| {
            let [left, top, right, bottom] = area.bounds;
            match ruler {
                Ruler::Shares => area.bounds,
                _ => [left, top, right + 1.0, bottom + 1.0],
            }
        })
        .collect();
    let mut remarks = Vec::new();
    match ruler {
        Ruler::Shares => {
            scale(&mut areas, size);
            remarks.push(Remark::Shares);
            remarks.extend(turned_at_all.then_some(Remark::Undecided));
        }
        Ruler::Pixels => {
            let fits = |(area, given): (&[f32; 4], &Area), size: [f32; 2]| {
                let area = if given.of_point { middle(*area) } else { *area };
                beyond(area, size) <= ROUNDING_PX
            };
            let fit = |size: [f32; 2]| areas.iter().zip(given).all(|pair| fits(pair, size));
            if quarter && !fit(size) && fit(lying) {
                turn(&mut areas, lying, orientation);
                remarks.push(Remark::Turned);
            } else {
                remarks.extend(turned_at_all.then_some(Remark::Undecided));
            }
        }
        Ruler::PixelsOf(stated) => {
            let stated = stated.map(|side| side as f32);
            let turned = quarter && !same_shape(stated, size) && same_shape(stated, lying);
            let to = if turned { lying } else { size };
            if !turned && !same_shape(stated, size) {
                let [width, height] = upright;
                return Err(format!(
                    "its annotation is of a picture of {} × {} pixels, this one has {width} × \
                     {height}; correct <size> and the boxes",
                    stated[0], stated[1]
                ));
            }
            if !near(stated, to) {
                scale(&mut areas, [to[0] / stated[0], to[1] / stated[1]]);
                remarks.push(Remark::Scaled);
            }
            if turned {
                turn(&mut areas, lying, orientation);
                remarks.push(Remark::Turned);
            } else {
                // A stated size of other proportions would have told.
                let same_both_ways = !quarter || same_shape(lying, size);
                remarks.extend((turned_at_all && same_both_ways).then_some(Remark::Undecided));
            }
        }
    }
    let mut cut = false;
    let mut bounds = Vec::with_capacity(areas.len());
    for (area, given) in areas.iter().zip(given) {
        let [left, top, right, bottom] = *area;
        let reach = beyond(*area, size);
        let far = reach > FARTHEST * size[0].max(size[1]);
        let [x0, y0, x1, y1] = if given.of_point { middle(*area) } else { *area };
        let outside = x1 <= 0.0 || y1 <= 0.0 || x0 >= size[0] || y0 >= size[1];
        if outside || far && !given.of_point {
            let [width, height] = upright;
            let shown = given.bounds.map(|edge| edge.to_string()).join(", ");
            return Err(format!(
                "the box {shown} of its annotation (left, top, right, bottom, from 0) does not lie in \
                 the picture of {width} × {height} pixels; correct the box"
            ));
        }
        cut |= reach > ROUNDING_PX && !given.of_point;
        bounds.push([
            left.max(0.0),
            top.max(0.0),
            right.min(size[0]) - 1.0,
            bottom.min(size[1]) - 1.0,
        ]);
    }
    remarks.extend(cut.then_some(Remark::Cut));
    Ok(Placed { bounds, remarks })
}

/// The middle of an area, as one without a width.
fn middle([left, top, right, bottom]: [f32; 4]) -> [f32; 4] {
    let [x, y] = [f32::midpoint(left, right), f32::midpoint(top, bottom)];
    [x, y, x, y]
}

/// How far an area reaches over the border of a picture.
fn beyond([left, top, right, bottom]: [f32; 4], [width, height]: [f32; 2]) -> f32 {
    [-left, -top, right - width, bottom - height].into_iter().fold(0.0, f32::max)
}

fn near(a: [f32; 2], b: [f32; 2]) -> bool {
    [0, 1].into_iter().all(|axis| (a[axis] - b[axis]).abs() <= ROUNDING_PX)
}

/// True for two sizes of one picture: the height that follows from the other's proportions, or the
/// width, differs by rounding.
fn same_shape(stated: [f32; 2], size: [f32; 2]) -> bool {
    if near(stated, size) {
        return true;
    }
    let height = stated[0] * size[1] / size[0];
    let width = stated[1] * size[0] / size[1];
    stated.into_iter().all(|side| side >= SMALLEST_PX)
        && ((stated[1] - height).abs() <= ROUNDING_PX || (stated[0] - width).abs() <= ROUNDING_PX)
}

fn scale(areas: &mut [[f32; 4]], by: [f32; 2]) {
    for [left, top, right, bottom] in areas {
        *left *= by[0];
        *top *= by[1];
        *right *= by[0];
        *bottom *= by[1];
    }
}

/// Turns areas by a quarter as EXIF's number says, from a picture that lies in the given size.
fn turn(areas: &mut [[f32; 4]], [width, height]: [f32; 2], orientation: u8) {
    for area in areas {
        let [left, top, right, bottom] = *area;
        // Upright x comes from y and upright y from x, each from either end.
        let across = |from_end: bool| match from_end {
            true => [height - bottom, height - top],
            false => [top, bottom],
        };
        let down = |from_end: bool| match from_end {
            true => [width - right, width - left],
            false => [left, right],
        };
        let ([x0, x1], [y0, y1]) =
            (across(matches!(orientation, 6 | 7)), down(matches!(orientation, 7 | 8)));
        *area = [x0, y0, x1, y1];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ruler: Ruler, boxes: &[[f32; 4]]) -> Vec<Object> {
        let object = |&bounds: &[f32; 4]| Object { class: 0, bounds, ruler, difficult: false };
        boxes.iter().map(object).collect()
    }

    #[track_caller]
    fn placed(objects: &[Object], upright: [usize; 2], orientation: u8) -> ([f32; 4], Vec<Remark>) {
        let placed = place(objects, upright, orientation).unwrap();
        (placed.bounds[0], placed.remarks)
    }

    #[test]
    fn boxes_of_the_picture_itself_stay() {
        let inside = [10.0, 20.0, 59.0, 79.0];
        for ruler in [Ruler::Pixels, Ruler::PixelsOf([120, 96]), Ruler::PixelsOf([121, 96])] {
            assert_eq!(placed(&of(ruler, &[inside]), [120, 96], 1), (inside, vec![]));
        }
        // The last pixel, and one more by rounding.
        let whole = [0.0, 0.0, 119.0, 95.0];
        assert_eq!(placed(&of(Ruler::Pixels, &[whole]), [120, 96], 1), (whole, vec![]));
        let more = [-1.0, 0.0, 120.0, 96.0];
        assert_eq!(placed(&of(Ruler::Pixels, &[more]), [120, 96], 1), (whole, vec![]));
        assert_eq!(place(&[], [120, 96], 6), Ok(Placed::default()));
    }

    #[test]
    fn boxes_of_a_copy_are_scaled() {
        let half = of(Ruler::PixelsOf([60, 48]), &[[5.0, 10.0, 29.0, 39.0]]);
        assert_eq!(placed(&half, [120, 96], 1), ([10.0, 20.0, 59.0, 79.0], vec![Remark::Scaled]));
        // 333 · 250 / 500 = 166.5, which programs round either way.
        for height in [166, 167] {
            let half = of(Ruler::PixelsOf([250, height]), &[[5.0, 10.0, 29.0, 39.0]]);
            assert_eq!(placed(&half, [500, 333], 1).1, [Remark::Scaled]);
        }
        let shares = of(Ruler::Shares, &[[0.25, 0.5, 0.5, 1.0]]);
        assert_eq!(placed(&shares, [120, 96], 1), ([30.0, 48.0, 59.0, 95.0], vec![Remark::Shares]));
    }

    /// The reference turns a picture of which the box is the only white part.
    #[test]
    fn boxes_turn_as_the_picture_does() {
        use ::image::metadata::Orientation;
        use ::image::{DynamicImage, GrayImage, Luma};
        let bounds = [3.0, 5.0, 9.0, 6.0];
        for orientation in 5..=8 {
            let white = |x: u32, y: u32| (3..=9).contains(&x) && (5..=6).contains(&y);
            let lying = GrayImage::from_fn(40, 20, |x, y| Luma([u8::from(white(x, y))]));
            let mut picture = DynamicImage::ImageLuma8(lying);
            picture.apply_orientation(Orientation::from_exif(orientation).unwrap());
            let found: Vec<(u32, u32)> = picture
                .to_luma8()
                .enumerate_pixels()
                .filter(|(.., pixel)| pixel.0[0] == 1)
                .map(|(x, y, _)| (x, y))
                .collect();
            let edge = |of: &dyn Fn(&(u32, u32)) -> u32| {
                let values = || found.iter().map(of);
                (values().min().unwrap() as f32, values().max().unwrap() as f32)
            };
            let ((left, right), (top, bottom)) = (edge(&|p| p.0), edge(&|p| p.1));
            let stated = of(Ruler::PixelsOf([40, 20]), &[bounds]);
            assert_eq!(
                placed(&stated, [20, 40], orientation),
                ([left, top, right, bottom], vec![Remark::Turned]),
                "{orientation}"
            );
            // Half the size as well, and told by the boxes alone.
            let small = of(Ruler::PixelsOf([20, 10]), &[[1.5, 2.5, 4.0, 2.5]]);
            let (got, remarks) = placed(&small, [20, 40], orientation);
            assert_eq!(
                (got, remarks),
                ([left, top, right, bottom], vec![Remark::Scaled, Remark::Turned])
            );
            let wide = of(Ruler::Pixels, &[bounds, [0.0, 0.0, 39.0, 1.0]]);
            assert_eq!(placed(&wide, [20, 40], orientation).0, [left, top, right, bottom]);
        }
    }

    #[test]
    fn what_nothing_tells_is_said() {
        let inside = [3.0, 5.0, 9.0, 6.0];
        for (ruler, upright, orientation, remarks) in [
            (Ruler::Pixels, [20, 40], 6, vec![Remark::Undecided]),
            (Ruler::Pixels, [20, 40], 3, vec![Remark::Undecided]),
            (Ruler::PixelsOf([20, 40]), [20, 40], 6, vec![]),
            (Ruler::PixelsOf([20, 40]), [20, 40], 3, vec![Remark::Undecided]),
            (Ruler::PixelsOf([30, 30]), [30, 30], 8, vec![Remark::Undecided]),
            (Ruler::PixelsOf([40, 80]), [20, 40], 6, vec![Remark::Scaled]),
        ] {
            assert_eq!(placed(&of(ruler, &[inside]), upright, orientation).1, remarks);
        }
    }

    #[test]
    fn boxes_over_the_border_are_cut_and_others_refused() {
        let (cut, remarks) =
            placed(&of(Ruler::Pixels, &[[-20.0, 10.0, 130.0, 200.0 - 80.0]]), [120, 96], 1);
        assert_eq!((cut, remarks), ([0.0, 10.0, 119.0, 95.0], vec![Remark::Cut]));
        let refused: &[(Ruler, [f32; 4], &str)] = &[
            (Ruler::Pixels, [10.0, 10.0, 2e9, 50.0], "does not lie in the picture of 120 × 96"),
            (Ruler::Pixels, [10.0, 10.0, f32::MAX, 50.0], "does not lie"),
            (Ruler::Pixels, [120.0, 10.0, 125.0, 50.0], "does not lie"),
            (Ruler::Pixels, [-9.0, 10.0, -3.0, 50.0], "does not lie"),
            (Ruler::PixelsOf([120, 80]), [1.0, 1.0, 9.0, 9.0], "of a picture of 120 × 80 pixels"),
            (Ruler::PixelsOf([96, 120]), [1.0, 1.0, 9.0, 9.0], "this one has 120 × 96"),
            (Ruler::PixelsOf([1, 1]), [1.0, 1.0, 9.0, 9.0], "of a picture of 1 × 1"),
            (Ruler::PixelsOf([30, 24]), [10.0, 10.0, 100.0, 80.0], "does not lie"),
        ];
        for (ruler, bounds, words) in refused {
            let problem = place(&of(*ruler, &[*bounds]), [120, 96], 1).unwrap_err();
            assert!(problem.contains(words), "{problem}");
        }
    }
}
