//! Which training images decided: a score as the sum of what each of them adds.
//!
//! ```text
//! f(x) = Σ_i share_i + rest      share_i = Σ_c a_ci ⟨φ_i^c, φ(x)^c⟩ + b_i      (svm::Duals)
//! ```
//!
//! The sum is complete: what no training image adds (`rest`) is the bias beyond `Σ b_i`. A training image adds
//! `b_i` to every score, whatever the image; what decides about this one is the rest of its share, through
//! what the two have in common. By that the strongest for and against the class are named, each with the
//! score that the image would have without it, and with a pair of heatmaps. The product of two vectors is
//! relevance of either under the weights that the other one makes, so the map on `x` and the map on the
//! training image add up to the same.

use std::path::{Path, PathBuf};
use std::time::Instant;

use ndarray::ArrayView2;
use rayon::prelude::*;
use serde::Serialize;

use super::explainer::of_classes;
use super::files::write_json;
use super::photo::{best_class, look_at};
use super::selection::class_index;
use crate::dataset::{Dataset, Item, Label};
use crate::describer::{Describer, Reader, Workers};
use crate::drawing::{STYLE, fill, jpeg_address};
use crate::error::{Error, Result};
use crate::explanation::heatmap::{jpeg, paint};
use crate::explanation::pixels::Map;
use crate::explanation::{Classifier, Rule};
use crate::linalg::{self, Rows};
use crate::names::{file_name, with_ending};
use crate::pipeline::{Run, StageResult, TrainedOn};
use crate::plain;
use crate::svm::{leave_out, without_duals};
use crate::words::counted;

/// Longest side of a picture in the page, in pixels.
const SIDE: u32 = 240;
/// A share below this is written as 0.
const SHOWN: f64 = 5e-5;

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct WhyOptions {
    /// The class; of the highest score where none is named.
    pub class: Option<String>,
    /// Training images named on either side.
    pub top: usize,
    /// The rule of the heatmaps.
    pub rule: Rule,
}

/// Why an image has its score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Why {
    /// The image: its id, or its path where it is of no split of the run.
    pub image: String,
    /// The class.
    pub class: String,
    /// `f(x)`.
    pub score: f64,
    /// `Σ_i share_i`.
    pub sum: f64,
    /// What no training image adds.
    pub rest: f64,
    /// The split that the classifier was trained on.
    pub trained_on: String,
    /// Its images.
    pub training_images: usize,
    /// Those that add something: the support vectors.
    pub support: usize,
    /// What the images that show the class add together through what they have in common with this one.
    pub shown: f64,
    /// The same of those that do not show it.
    pub not_shown: f64,
    /// `Σ_i b_i`: what the training images add to every score.
    pub constant: f64,
    /// The score at the optimum, to which those without an image are to be compared.
    pub optimum: f64,
    /// The strongest for the class, strongest first.
    pub speaking_for: Vec<Share>,
    /// The strongest against it.
    pub speaking_against: Vec<Share>,
    /// The page with pictures.
    #[serde(serialize_with = "crate::plain::path_text")]
    pub page: PathBuf,
}

/// What one training image adds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Share {
    /// Its id.
    pub id: String,
    /// Its label for the class: 1 yes, −1 no.
    pub label: i8,
    /// What it adds to the score.
    pub adds: f64,
    /// Of that, what it adds through what it has in common with the image: `adds − b_i`.
    pub in_common: f64,
    /// Cosine of the two vectors.
    pub similarity: f64,
    /// The score without it; none where no classifier can be trained then.
    pub without: Option<f64>,
    /// Row of the training images.
    #[serde(skip)]
    row: usize,
}

/// The image that is asked about.
struct Asked {
    name: String,
    item: Item,
    vector: Vec<f32>,
}

#[derive(Serialize)]
struct Page<'a> {
    version: &'static str,
    style: &'static str,
    why: &'a Why,
    image: String,
    class: String,
    score: String,
    rest: String,
    shown: String,
    not_shown: String,
    constant: String,
    own: Option<Pictures>,
    sides: [Side; 2],
    rule: String,
}

#[derive(Serialize)]
struct Side {
    title: &'static str,
    rows: Vec<PageRow>,
}

#[derive(Serialize)]
struct PageRow {
    id: String,
    label: &'static str,
    adds: String,
    in_common: String,
    similarity: String,
    without: String,
    pictures: Option<[Pictures; 2]>,
}

/// A photograph and its heatmap, as addresses that hold them.
#[derive(Serialize)]
struct Pictures {
    photograph: String,
    heat: String,
}

impl Run<'_> {
    /// Tells which training images made the score of an image: the id of one in a split that the run has
    /// vectors of, or the path of a file. Writes a page with pictures and its figures as JSON into
    /// the folder `why`; `data` is the folder with the training images.
    ///
    /// # Errors
    /// [`Error::Missing`] when the run has no classifier, one of an earlier version, or no vectors of its
    /// training split, and for an image that is in no split and no file; [`Error::Data`] for an unknown
    /// class; as [`Describer::describe`].
    pub fn why(&self, data: &Path, image: &str, options: &WhyOptions) -> Result<Why> {
        let started = Instant::now();
        self.begin();
        let trained = self.trained_on()?;
        let Some(duals) = &trained.model.duals else { return Err(without_duals()) };
        let (describer, _) = self.describer()?;
        let dataset = self.open_data(data)?;
        let asked = self.asked(&dataset, &describer, image)?;
        let class = match &options.class {
            Some(name) => class_index(&trained.model.classes, name)?,
            None => best_class(&trained.model, &asked.vector)?,
        };
        let shares = duals.shares(&trained.vectors, &asked.vector, class)?;
        let mut why = self.of_shares(&trained, class, &asked, &shares, options)?;
        let listed: Vec<usize> =
            why.speaking_for.iter().chain(&why.speaking_against).map(|share| share.row).collect();
        let found = leave_out(
            &trained.vectors,
            &trained.labels,
            &trained.model,
            class,
            &asked.vector,
            &listed,
            &self.config().svm,
            self.config().seed,
            self.home.work.progress,
        )?;
        why.optimum = found.with_all;
        let all = why.speaking_for.iter_mut().chain(&mut why.speaking_against);
        all.zip(found.without).for_each(|(share, without)| share.without = without);
        let split = self.home.split(&dataset, &trained.index.split)?;
        let page =
            self.why_page(&why, &trained, class, &describer, &asked, &split.items, options)?;
        let list = why.page.with_extension("json");
        let origin = trained.origin();
        let group = format!("why/{}", with_ending(&file_name(&why.image), ""));
        let planned = [why.page.clone(), list.clone()];
        let outputs = self.home.results().outputs(&group, &origin, planned.iter())?;
        outputs.text(&why.page, &page)?;
        write_json(&outputs, &list, &why)?;
        outputs.end()?;
        let text = format!(
            "{} of {}; {}",
            counted(why.support, "support vector"),
            counted(why.training_images, "training image"),
            plain::path(&why.page)
        );
        self.home.work.finish(StageResult::made("why", Vec::new(), text, started));
        Ok(why)
    }

    /// The image by its id in a split with vectors, or by its path.
    fn asked(&self, dataset: &Dataset, describer: &Describer, image: &str) -> Result<Asked> {
        for name in self.encoded_splits()? {
            let index = self.index(&name)?;
            let Some(row) = index.images.iter().position(|known| known.id == image) else {
                continue;
            };
            if !dataset.has_split(&name) {
                continue;
            }
            let split = self.home.split(dataset, &name)?;
            if let Some(item) = split.items.iter().find(|item| item.id == image) {
                let vectors = self.vectors(&index)?;
                let vector = vectors.row(row, &mut Vec::new()).to_vec();
                return Ok(Asked { name: image.to_owned(), item: item.clone(), vector });
            }
        }
        let path = Path::new(image);
        if !path.is_file() {
            return Err(Error::Missing {
                what: format!("image `{image}`, as an id in a split of this run or as a file"),
                hint: "name an image file, or an id as `explain` shows it".into(),
            });
        }
        let item = Item::of_file(path);
        let reader = Reader::new(&self.config().image, &self.home.work.seen);
        let photo = reader.read(&item)?;
        let vector = describer.describe(&photo, Some(&item.id), &mut Workers::default())?.vector;
        Ok(Asked { name: image.to_owned(), item, vector })
    }

    fn of_shares(
        &self,
        trained: &TrainedOn,
        class: usize,
        asked: &Asked,
        shares: &[f64],
        options: &WhyOptions,
    ) -> Result<Why> {
        let TrainedOn { model, index, vectors, labels, .. } = trained;
        let duals = model.duals.as_ref().expect("looked for before");
        let weights = model.weights.row(class);
        let weights = weights.to_slice().expect("a model's rows are contiguous");
        let score = linalg::dot(weights, &asked.vector) + f64::from(model.bias[class]);
        let constants = duals.of_class(class);
        let products: Vec<f64> =
            shares.iter().zip(constants).map(|(share, &b)| share - f64::from(b)).collect();
        let mut order: Vec<usize> =
            (0..shares.len()).filter(|&i| products[i] != 0.0 || constants[i] != 0.0).collect();
        order.sort_by(|&a, &b| products[b].total_cmp(&products[a]).then(a.cmp(&b)));
        let length = |row: &[f32]| linalg::dot(row, row).sqrt();
        let own = length(&asked.vector);
        let share = |&row: &usize| {
            let mut scratch = Vec::new();
            let other = vectors.row(row, &mut scratch);
            let cosine = linalg::dot(other, &asked.vector) / (own * length(other)).max(1e-30);
            Share {
                id: index.images[row].id.clone(),
                label: labels[row][class].number(),
                adds: shares[row],
                in_common: products[row],
                similarity: cosine,
                without: None,
                row,
            }
        };
        let of_label = |wanted: Label| -> f64 {
            let of_images = products.iter().zip(labels);
            of_images.filter(|(_, l)| l[class] == wanted).map(|(product, _)| product).sum()
        };
        let speaking_for = order.iter().filter(|&&i| products[i] > 0.0).take(options.top);
        let against = order.iter().rev().filter(|&&i| products[i] < 0.0).take(options.top);
        let folder = self.home.paths.why();
        Ok(Why {
            image: asked.name.clone(),
            class: model.classes[class].clone(),
            score,
            sum: shares.iter().sum(),
            rest: duals.rest(class, model.bias[class]),
            trained_on: index.split.clone(),
            training_images: shares.len(),
            support: order.len(),
            shown: of_label(Label::Yes),
            not_shown: of_label(Label::No),
            constant: constants.iter().map(|&b| f64::from(b)).sum(),
            optimum: score,
            speaking_for: speaking_for.map(share).collect(),
            speaking_against: against.map(share).collect(),
            page: folder.join(with_ending(&file_name(&asked.name), ".html")),
        })
    }

    #[expect(clippy::too_many_arguments, reason = "what is asked, and what answers it")]
    fn why_page(
        &self,
        why: &Why,
        trained: &TrainedOn,
        class: usize,
        describer: &Describer,
        asked: &Asked,
        items: &[Item],
        options: &WhyOptions,
    ) -> Result<String> {
        let duals = trained.model.duals.as_ref().expect("looked for before");
        let reader = Reader::new(&self.config().image, &self.home.work.seen);
        let rule = options.rule;
        let listed: Vec<&Share> = why.speaking_for.iter().chain(&why.speaking_against).collect();
        let rows: Vec<Vec<f32>> = (listed.iter())
            .map(|share| trained.vectors.row(share.row, &mut Vec::new()).to_vec())
            .collect();
        // The class, then what each training image makes of this one. What it adds to every score is of
        // no pixel.
        let (of_class, mut bias) = of_classes(&trained.model, &[class]);
        let mut weights = of_class.into_raw_vec_and_offset().0;
        for (share, row) in listed.iter().zip(&rows) {
            weights.extend(duals.weights(class, share.row, row));
            bias.push(0.0);
        }
        let shape = (bias.len(), asked.vector.len());
        let weights = ArrayView2::from_shape(shape, &weights).expect("a row for each");
        let look = |item: &Item, vector: &[f32], classifier: Classifier<'_>| {
            self.home.work.go_on()?;
            self.pictures(&reader, describer, item, vector, classifier, rule)
        };
        let mut own = match self.require_explainable() {
            Err(_) => Vec::new(),
            Ok(()) => look(&asked.item, &asked.vector, Classifier { weights, bias: &bias })?,
        };
        let there = |(share, row): (&&Share, &Vec<f32>)| -> Result<Option<Pictures>> {
            let Some(item) = items.iter().find(|item| item.id == share.id) else { return Ok(None) };
            let made = duals.weights(class, share.row, &asked.vector);
            let weights = ArrayView2::from_shape((1, made.len()), &made).expect("a row");
            match look(item, row, Classifier { weights, bias: &[0.0] }) {
                Ok(mut pictures) => Ok(pictures.pop()),
                Err(error @ (Error::Image { .. } | Error::Io { .. })) => {
                    self.home.work.skip(&item.id, &error);
                    Ok(None)
                }
                Err(error) => Err(error),
            }
        };
        let theirs: Vec<Option<Pictures>> = match own.is_empty() {
            true => listed.iter().map(|_| None).collect(),
            false => {
                let each = listed.par_iter().zip(&rows).with_max_len(1);
                each.map(there).collect::<Result<_>>()?
            }
        };
        let mut own = own.drain(..);
        let own_pictures = own.next();
        let mut page_rows = listed.iter().zip(theirs).map(|(share, there)| PageRow {
            id: plain::line(&share.id).into_owned(),
            label: if share.label > 0 { "shows the class" } else { "does not show it" },
            adds: signed(share.adds),
            in_common: signed(share.in_common),
            similarity: format!("{:.3}", share.similarity),
            without: share.without.map_or_else(|| "–".to_owned(), signed),
            pictures: own.next().zip(there).map(|(here, there)| [here, there]),
        });
        let speaking_for = page_rows.by_ref().take(why.speaking_for.len()).collect();
        let sides = [
            Side { title: "For the class", rows: speaking_for },
            Side { title: "Against it", rows: page_rows.collect() },
        ];
        Ok(fill(
            include_str!("why.html.jinja"),
            Page {
                version: env!("CARGO_PKG_VERSION"),
                style: STYLE,
                why,
                image: plain::line(&why.image).into_owned(),
                class: plain::line(&why.class).into_owned(),
                score: signed(why.score),
                rest: signed(why.rest),
                shown: signed(why.shown),
                not_shown: signed(why.not_shown),
                constant: signed(why.constant),
                own: own_pictures,
                sides,
                rule: rule.to_string(),
            },
        ))
    }

    /// The photograph of an image with the heatmap of every class of a classifier.
    fn pictures(
        &self,
        reader: &Reader,
        describer: &Describer,
        item: &Item,
        vector: &[f32],
        classifier: Classifier<'_>,
        rule: Rule,
    ) -> Result<Vec<Pictures>> {
        let photo = reader.read(item)?;
        let looked = look_at(
            describer,
            reader.params(),
            &photo,
            Some(&item.id),
            (vector, classifier),
            rule,
        )?;
        let photograph = jpeg_address(&jpeg(&photo.rgb(reader.params()), SIDE)?);
        let picture = |(_, map): &(f64, Map)| {
            let heat = jpeg_address(&jpeg(&paint(map, map.largest()), SIDE)?);
            Ok(Pictures { photograph: photograph.clone(), heat })
        };
        looked.iter().map(picture).collect()
    }
}

/// A value with its sign and four decimals.
fn signed(value: f64) -> String {
    if value.abs() < SHOWN { "0".to_owned() } else { format!("{value:+.4}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_sign() {
        assert_eq!([0.25, -1.5, 1e-6].map(signed), ["+0.2500", "-1.5000", "0"]);
    }
}
