//! Which column of a table holds what: by its name, or as settings say.

use crate::dataset::params::Params;
use crate::error::{Error, Result};
use crate::words::{did_you_mean, listed};

/// Names of the column of paths, the surest first; letters' case, spaces and dashes do not matter.
const PATHS: &[&str] = &[
    "path",
    "file_path",
    "filepath",
    "img_path",
    "image_path",
    "file_name",
    "filename",
    "file",
    "img_file_name",
    "image_file",
    "image_name",
    "imagename",
    "image",
    "img",
    "image_id",
    "id",
];
/// Names of the column of labels.
const LABELS: &[&str] = &[
    "label",
    "labels",
    "class",
    "class_name",
    "classname",
    "classes",
    "category",
    "categories",
    "category_name",
    "object_annotation_category",
    "target",
    "species",
    "taxon",
    "diagnosis",
    "dx",
    "tag",
    "tags",
    "y",
];
/// Names of the column of splits.
const SPLITS: &[&str] = &["split", "subset", "set", "partition", "fold_name"];
/// Names of the column of groups.
const GROUPS: &[&str] = &[
    "group",
    "group_id",
    "patient",
    "patient_id",
    "subject",
    "subject_id",
    "site",
    "site_id",
    "video",
    "video_id",
    "sample_id",
    "object_lot",
];
/// Names of the four columns of a box, from one corner to the other.
const BOXES: &[[&str; 4]] = &[
    ["xmin", "ymin", "xmax", "ymax"],
    ["x_min", "y_min", "x_max", "y_max"],
    ["left", "top", "right", "bottom"],
    ["x1", "y1", "x2", "y2"],
];

/// Places of the columns that are read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Columns {
    pub path: usize,
    pub label: usize,
    pub split: Option<usize>,
    pub group: Option<usize>,
    pub bounds: Option<[usize; 4]>,
}

fn plain(name: &str) -> String {
    name.trim().to_lowercase().replace([' ', '-'], "_")
}

impl Columns {
    /// Those of a header; `None` when no column is known as one of paths or of labels.
    ///
    /// # Errors
    /// [`Error::Setting`] when a setting names a column that is not there.
    pub fn of(header: &[String], params: &Params) -> Result<Option<Self>> {
        let names: Vec<String> = header.iter().map(|name| plain(name)).collect();
        let place = |name: &str| names.iter().position(|known| known == name);
        let chosen = |key: &str, setting: &str, known: &[&str]| -> Result<Option<usize>> {
            if setting.is_empty() {
                return Ok(known.iter().find_map(|name| place(name)));
            }
            let found = place(&plain(setting));
            let near = did_you_mean(setting, header);
            let range = format!("a column of the table (there are {}{near})", listed(header));
            Error::require(found.is_some(), key, setting, &range)?;
            Ok(found)
        };
        let path = chosen("data.path_column", &params.path_column, PATHS)?;
        let label = chosen("data.label_column", &params.label_column, LABELS)?;
        let split = chosen("data.split_column", &params.split_column, SPLITS)?;
        let group = chosen("data.group_column", &params.group_column, GROUPS)?;
        let bounds = BOXES.iter().find_map(|names| {
            let [a, b, c, d] = names.map(&place);
            Some([a?, b?, c?, d?])
        });
        let (Some(path), Some(label)) = (path, label) else { return Ok(None) };
        Ok(Some(Self { path, label, split, group, bounds }))
    }

    /// What was found, in words.
    pub fn in_words(&self, header: &[String]) -> String {
        let mut words = vec![
            format!("paths in `{}`", header[self.path]),
            format!("labels in `{}`", header[self.label]),
        ];
        words.extend(self.split.map(|column| format!("splits in `{}`", header[column])));
        words.extend(self.group.map(|column| format!("groups in `{}`", header[column])));
        words
            .extend(self.bounds.map(|[from, .., to]| {
                format!("boxes from `{}` to `{}`", header[from], header[to])
            }));
        words.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(header: &str, params: &Params) -> Result<Option<Columns>> {
        Columns::of(&header.split(',').map(str::to_owned).collect::<Vec<_>>(), params)
    }

    #[test]
    fn columns_are_known_by_their_names() {
        let params = Params::default();
        let found = |header: &str| columns(header, &params).unwrap();
        let ecotaxa = found("id,img_path,label").unwrap();
        assert_eq!((ecotaxa.path, ecotaxa.label, ecotaxa.split), (1, 2, None));
        let hugging_face = found("file_name,Label,Split").unwrap();
        assert_eq!((hugging_face.path, hugging_face.label, hugging_face.split), (0, 1, Some(2)));
        let skin = found("lesion_id,image_id,dx,patient-id").unwrap();
        assert_eq!((skin.path, skin.label, skin.group), (1, 2, Some(3)));
        let boxes = found("filename,class,xmin,ymin,xmax,ymax").unwrap();
        assert_eq!(boxes.bounds, Some([2, 3, 4, 5]));
        assert_eq!(found("a,b,c"), None);
        assert_eq!(found("path,colour"), None);
    }

    #[test]
    fn settings_name_columns() {
        let params = Params { label_column: "Colour".into(), ..Params::default() };
        let found = columns("path,colour", &params).unwrap().unwrap();
        assert_eq!(found.label, 1);
        let text = columns("path,color", &params).unwrap_err().to_string();
        assert!(text.contains("data.label_column") && text.contains("color"), "{text}");
    }
}
