//! Annotations in COCO's form: `images`, `annotations` and `categories` of one JSON file.
//!
//! A box is `[x, y, width, height]` in pixels. An image without an annotation shows no class. Source: the
//! data format of the COCO project.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::rows::{MOST_BYTES, Row, Rows};
use crate::error::{Error, Result};
use crate::files;

#[derive(Deserialize)]
struct File {
    images: Vec<Image>,
    #[serde(default)]
    annotations: Vec<Annotation>,
    #[serde(default)]
    categories: Vec<Category>,
}

#[derive(Deserialize)]
struct Image {
    id: serde_json::Value,
    file_name: String,
}

#[derive(Deserialize)]
struct Annotation {
    image_id: serde_json::Value,
    category_id: serde_json::Value,
    #[serde(default)]
    bbox: Option<Vec<f64>>,
}

#[derive(Deserialize)]
struct Category {
    id: serde_json::Value,
    name: String,
}

/// Reads a file.
///
/// # Errors
/// [`Error::Data`] for a file of another form, and for annotations that belong to no image or class, or whose
/// box is none; [`Error::Io`].
pub(super) fn read(path: &Path) -> Result<Rows> {
    let bytes = files::read(path, MOST_BYTES).map_err(Error::io("read", path))?;
    parse(path, &bytes)
}

/// As [`read`], of the bytes of a file.
fn parse(path: &Path, bytes: &[u8]) -> Result<Rows> {
    let refuse = |problem: String| Error::data(path, problem);
    let file: File = serde_json::from_slice(bytes).map_err(|error| {
        refuse(format!("no annotations in COCO's form (images, annotations, categories): {error}"))
    })?;
    let names: BTreeMap<String, &str> =
        file.categories.iter().map(|of| (of.id.to_string(), of.name.as_str())).collect();
    let mut of_image: BTreeMap<String, Vec<(usize, &Annotation)>> = BTreeMap::new();
    for (number, annotation) in file.annotations.iter().enumerate() {
        of_image.entry(annotation.image_id.to_string()).or_default().push((number + 1, annotation));
    }
    let mut rows = Vec::with_capacity(file.images.len().max(file.annotations.len()));
    for (number, image) in file.images.iter().enumerate() {
        let of_this = of_image.remove(&image.id.to_string()).unwrap_or_default();
        if of_this.is_empty() {
            rows.push(Row { line: number + 1, path: image.file_name.clone(), ..Row::default() });
        }
        for (line, annotation) in of_this {
            let category = annotation.category_id.to_string();
            let name = names.get(&category).ok_or_else(|| {
                refuse(format!("annotation {line} is of category {category}, which is not there"))
            })?;
            let bounds = annotation.bbox.as_deref().filter(|of_box| !of_box.is_empty());
            let bounds = match bounds {
                None => None,
                Some(&[x, y, width, height])
                    if width >= 0.0
                        && height >= 0.0
                        && [x, y, width, height].iter().all(|v| v.is_finite()) =>
                {
                    // Edges of a box that has a last pixel.
                    Some(
                        [x, y, x + (width - 1.0).max(0.0), y + (height - 1.0).max(0.0)]
                            .map(|v| v as f32),
                    )
                }
                Some(other) => {
                    return Err(refuse(format!(
                        "annotation {line} has the box {other:?}, where x, y, width and height belong"
                    )));
                }
            };
            let (path, labels) = (image.file_name.clone(), vec![(*name).to_owned()]);
            rows.push(Row { line, path, labels, bounds, ..Row::default() });
        }
    }
    if let Some((image, annotations)) = of_image.into_iter().next() {
        let line = annotations[0].0;
        return Err(refuse(format!("annotation {line} is of image {image}, which is not there")));
    }
    let note = format!("annotations in COCO's form: {} categories", file.categories.len());
    Ok(Rows { rows, left_out: Vec::new(), note, row_for_each_label: true, several: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Result<Rows> {
        parse(Path::new("instances.json"), text.as_bytes())
    }

    #[test]
    fn annotations_belong_to_images_and_categories() {
        let images =
            r#""images": [{"id": 7, "file_name": "a.jpg"}, {"id": 8, "file_name": "b.jpg"}]"#;
        let categories = r#""categories": [{"id": 1, "name": "cat"}]"#;
        let with = |annotation: &str| {
            rows(&format!("{{{images}, {categories}, \"annotations\": [{annotation}]}}"))
        };
        let found = with(r#"{"image_id": 7, "category_id": 1, "bbox": [2, 3, 10, 1]}"#).unwrap();
        assert_eq!(found.rows.len(), 2);
        assert_eq!(found.rows[0].labels, ["cat"]);
        assert_eq!(found.rows[0].bounds, Some([2.0, 3.0, 11.0, 3.0]));
        assert!(found.rows[1].labels.is_empty());
        for (annotation, problem) in [
            (r#"{"image_id": 9, "category_id": 1}"#, "image 9"),
            (r#"{"image_id": 7, "category_id": 2}"#, "category 2"),
            (r#"{"image_id": 7, "category_id": 1, "bbox": [1, 2, 3]}"#, "annotation 1"),
        ] {
            let text = with(annotation).map(|_| ()).unwrap_err().to_string();
            assert!(text.contains(problem), "{text}");
        }
        let text = rows("{\"a\": 1}").map(|_| ()).unwrap_err().to_string();
        assert!(text.contains("COCO"), "{text}");
    }
}
