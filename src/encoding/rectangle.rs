//! A part of every image, as shares of its width and height.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::parameters::Measured;

/// `LEFT,TOP,RIGHT,BOTTOM` as shares from 0 to 1, for example `0,0.9,0.4,1`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rectangle {
    edges: [f32; 4],
}

impl Rectangle {
    /// Left, top, right and bottom edge in pixels of an image of this width and height.
    pub fn of(self, [width, height]: [usize; 2]) -> [f32; 4] {
        let [left, top, right, bottom] = self.edges;
        let (width, height) = (width as f32, height as f32);
        [left * width, top * height, right * width, bottom * height]
    }
}

impl Measured for Rectangle {
    fn numbers(&self) -> Vec<f64> {
        Vec::new()
    }
    fn shown(&self) -> String {
        self.to_string()
    }
}

impl FromStr for Rectangle {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed: Option<Vec<f32>> =
            text.split(',').map(|edge| edge.trim().parse().ok()).collect();
        let edges = parsed.and_then(|edges| <[f32; 4]>::try_from(edges).ok());
        let lies_in = |&[left, top, right, bottom]: &[f32; 4]| {
            0.0 <= left
                && left < right
                && right <= 1.0
                && 0.0 <= top
                && top < bottom
                && bottom <= 1.0
        };
        edges.filter(lies_in).map(|edges| Self { edges }).ok_or_else(|| {
            format!(
                "`{text}` is no part of an image; write LEFT,TOP,RIGHT,BOTTOM as shares from 0 to 1, for \
                 example 0,0.9,0.4,1"
            )
        })
    }
}

impl TryFrom<String> for Rectangle {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Rectangle> for String {
    fn from(rectangle: Rectangle) -> Self {
        rectangle.to_string()
    }
}

impl fmt::Display for Rectangle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [left, top, right, bottom] = self.edges;
        write!(f, "{left},{top},{right},{bottom}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_read_and_written_and_nonsense_is_refused() {
        let part: Rectangle = "0, 0.9,0.4,1".parse().unwrap();
        assert_eq!(part.to_string(), "0,0.9,0.4,1");
        assert_eq!(part.of([200, 100]), [0.0, 90.0, 80.0, 100.0]);
        for wrong in ["", "0,0,1", "0,0,1,1,1", "0,0,2,1", "0.5,0,0.4,1", "a,0,1,1", "0,0,NaN,1"] {
            assert!(wrong.parse::<Rectangle>().unwrap_err().contains("LEFT,TOP"), "{wrong}");
        }
    }
}
