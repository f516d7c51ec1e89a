//! The visual words that carry a class, with the patches in which they are most relevant.
//!
//! Words are the components of each channel's mixture. Which count is read off the stored vectors
//! ([`crate::explanation::words`]): the highest mean `R_k` over the selected images of the class. Only then are
//! the images opened in which each word has most relevance; the patch shown of each is what its strongest
//! descriptor sees.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ::image::RgbImage;
use ::image::imageops::crop_imm;
use serde::Serialize;

use super::explainer::{Examined, Explainer, Failure};
use super::files::write_json;
use super::rules::Rules;
use super::selection::{Case, Only, Selection, Word};
use crate::drawing::{STYLE, fill, jpeg_address};
use crate::error::Result;
use crate::explanation::Rule;
use crate::explanation::context::inside;
use crate::explanation::heatmap::{jpeg, overlay};
use crate::explanation::pixels::{Area, spread};
use crate::pipeline::{Run, StageResult};
use crate::plain;
use crate::words::counted;

/// Words shown of a class.
const WORDS: usize = 5;
/// Patches shown of a word.
const PATCHES: usize = 6;
/// Longest side of a patch and of a picture with a heatmap in the page, in pixels.
const PATCH_SIDE: u32 = 80;
const PICTURE_SIDE: u32 = 200;
/// Smallest square that a patch is cut as, in pixels of the image, so that people can see it.
const SMALLEST_PATCH: usize = 24;
/// Most bytes of the pictures in the page.
const MOST_BYTES: usize = 4_500_000;

/// The words of every class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WordsReport {
    /// The split.
    pub split: String,
    /// The rule of patches and heatmaps; shares do not depend on it.
    pub rule: String,
    /// Largest `|Σ_k R_k − f|` of a pair of image and class.
    pub largest_error: f64,
    /// One entry for each class with an image.
    pub classes: Vec<ClassWords>,
    /// The page with patches and heatmaps.
    #[serde(serialize_with = "crate::plain::path_text")]
    pub page: PathBuf,
}

/// The words of one class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassWords {
    /// The class.
    pub class: String,
    /// Its images that were looked at.
    pub images: usize,
    /// The strongest words, strongest first.
    pub words: Vec<WordOfClass>,
}

/// One word of a class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WordOfClass {
    /// Its name: the number of its component, after the channel's name where there are several.
    pub word: String,
    /// Mean `R_k` over the images.
    pub relevance: f64,
    /// Mean share of the positive relevance of all words.
    pub share: f64,
    /// Of its positive relevance, the share of descriptors whose centre lies in a box of the class; none
    /// without boxes.
    pub inside: Option<f64>,
    /// Where it is strongest.
    pub patches: Vec<Patch>,
}

/// A patch in which a word is relevant.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Patch {
    /// The image.
    pub id: String,
    /// `R_k` of the whole image.
    pub relevance: f64,
    /// Left, top, right and bottom edge, in pixels of the image as it is described.
    pub square: [usize; 4],
}

/// What was looked at of a word in an image.
struct Seen {
    patch: Patch,
    picture: RgbImage,
    heat: RgbImage,
    /// Positive relevance inside the boxes and in all, where there are boxes.
    inside: Option<[f64; 2]>,
}

/// JPEGs of patches by word.
pub(crate) type Patches = Vec<Vec<Vec<u8>>>;

/// A word of a class before its images are opened.
struct Found {
    class: usize,
    word: Word,
    relevance: f64,
    share: f64,
    /// Items with most relevance, and it.
    items: Vec<(usize, f64)>,
}

#[derive(Serialize)]
struct Page {
    version: &'static str,
    style: &'static str,
    split: String,
    rule: String,
    classes: Vec<PageClass>,
    left_out: usize,
}

#[derive(Serialize)]
struct PageClass {
    name: String,
    images: String,
    words: Vec<PageWord>,
}

#[derive(Serialize)]
struct PageWord {
    name: String,
    share: String,
    relevance: String,
    inside: Option<String>,
    heat: Option<Picture>,
    patches: Vec<Picture>,
}

#[derive(Serialize)]
struct Picture {
    address: String,
    text: String,
}

impl Run<'_> {
    /// Tells which visual words carry the classes of the selected pairs; writes `words.json` and a page with
    /// the patches and heatmaps of each.
    ///
    /// # Errors
    /// As [`Run::explain`].
    pub fn explain_words(
        &self,
        data: &Path,
        split: &str,
        selection: &Selection,
        rule: Rule,
    ) -> Result<WordsReport> {
        let started = Instant::now();
        let (explainer, report, of_word) = self.look_at_words(data, split, selection, rule)?;
        let (page, list) = (report.page.clone(), explainer.folder.join("words.json"));
        let outputs = self.explanations(&explainer, "words", [&list, &page])?;
        write_json(&outputs, &list, &report)?;
        outputs.text(&page, &page_of(&report, &of_word)?)?;
        outputs.end()?;
        let text = format!(
            "{} of {}, words and bias add up to the score within {:.1e}; {}",
            counted(of_word.len(), "word"),
            counted(report.classes.len(), "class"),
            report.largest_error,
            plain::path(&page)
        );
        self.home.work.finish(StageResult::made("words", Vec::new(), text, started));
        Ok(report)
    }

    /// The words of the selected pairs with what was looked at of each, word by word; and the explainer.
    fn look_at_words(
        &self,
        data: &Path,
        split: &str,
        selection: &Selection,
        rule: Rule,
    ) -> Result<(Explainer, WordsReport, Vec<Vec<Seen>>)> {
        let split = self.split_to_explain(data, split, &selection.classes, &selection.images)?;
        let explainer = self.explainer(split, Rules::from(rule))?;
        let cases = explainer.cases(selection)?;
        let (found, images, largest_error) = strongest(&explainer, &cases);
        let mut of_item: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (number, found) in found.iter().enumerate() {
            found.items.iter().for_each(|(item, _)| of_item.entry(*item).or_default().push(number));
        }
        let opened: Vec<Case> =
            of_item.iter().map(|(&item, wanted)| Case { item, classes: wanted.clone() }).collect();
        // The numbers of wanted words stand in the place of classes.
        let seen = self.for_each_case(&explainer, "words", &opened, |case| {
            let examined = explainer.examine(case)?;
            let photograph = explainer.photograph(&examined);
            let look = |&number: &usize| {
                look(&explainer, case.item, &examined, &photograph, &found[number])
            };
            case.classes.iter().map(look).collect::<Result<Vec<Seen>, Failure>>()
        })?;
        explainer.remarks.say(self.home.work.progress);
        let mut of_word: Vec<Vec<Seen>> = found.iter().map(|_| Vec::new()).collect();
        for (case, seen) in opened.iter().zip(seen) {
            for (&number, seen) in case.classes.iter().zip(seen.into_iter().flatten()) {
                of_word[number].push(seen);
            }
        }
        for seen in &mut of_word {
            seen.sort_by(|a, b| {
                b.patch.relevance.total_cmp(&a.patch.relevance).then(a.patch.id.cmp(&b.patch.id))
            });
        }
        let classes = report(&explainer, &found, &of_word, &images);
        let page = explainer.folder.join("words.html");
        let report = WordsReport {
            split: explainer.split.name.clone(),
            rule: rule.to_string(),
            largest_error,
            classes,
            page,
        };
        Ok((explainer, report, of_word))
    }

    /// The patches of the strongest words of each class, as small JPEGs: of `most` words, `each` of one.
    ///
    /// # Errors
    /// As [`Run::explain_words`].
    pub(crate) fn word_patches(
        &self,
        data: &Path,
        split: &str,
        [most, each]: [usize; 2],
        side: u32,
    ) -> Result<Vec<(ClassWords, Patches)>> {
        let selection =
            Selection { classes: Vec::new(), images: Vec::new(), only: Only::Present, top: 0 };
        let (_, report, of_word) = self.look_at_words(data, split, &selection, Rule::PUBLISHED)?;
        let mut seen = of_word.into_iter();
        let mut of_class = |class: ClassWords| {
            let of_words: Vec<Vec<Seen>> = seen.by_ref().take(class.words.len()).collect();
            let jpegs = of_words.iter().take(most).map(|of_word| {
                of_word.iter().take(each).map(|seen| jpeg(&seen.picture, side)).collect()
            });
            let jpegs = jpegs.collect::<Result<_>>()?;
            Ok((class, jpegs))
        };
        report.classes.into_iter().map(&mut of_class).collect()
    }
}

/// The strongest words of every class, the number of its images, and the largest error of a sum.
fn strongest(explainer: &Explainer, cases: &[Case]) -> (Vec<Found>, Vec<usize>, f64) {
    let words = explainer.words();
    let mut of_class: Vec<Vec<(usize, Vec<f64>)>> =
        explainer.model.classes.iter().map(|_| Vec::new()).collect();
    let mut largest_error = 0.0f64;
    for case in cases {
        for &class in &case.classes {
            let relevance = explainer.relevance_of_words(case.item, class);
            let sum: f64 = relevance.iter().sum();
            let score = f64::from(explainer.scores[[case.item, class]]);
            largest_error = largest_error.max((sum - score).abs());
            of_class[class].push((case.item, relevance));
        }
    }
    let mut all = Vec::new();
    for (class, images) in of_class.iter().enumerate() {
        let count = images.len().max(1) as f64;
        let mut sums = vec![[0.0; 2]; words.len()];
        for (_, relevance) in images {
            let positive: f64 = relevance.iter().map(|r| r.max(0.0)).sum();
            for (sum, &r) in sums.iter_mut().zip(relevance) {
                sum[0] += r;
                sum[1] += if positive > 0.0 { r.max(0.0) / positive } else { 0.0 };
            }
        }
        let mut order: Vec<usize> = (0..words.len()).filter(|&k| sums[k][0] > 0.0).collect();
        order.sort_by(|&a, &b| sums[b][0].total_cmp(&sums[a][0]).then(a.cmp(&b)));
        for k in order.into_iter().take(WORDS) {
            let mut items: Vec<(usize, f64)> =
                images.iter().map(|(item, relevance)| (*item, relevance[k])).collect();
            items.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            items.truncate(PATCHES);
            let [relevance, share] = sums[k].map(|sum| sum / count);
            all.push(Found { class, word: words[k], relevance, share, items });
        }
    }
    (all, of_class.iter().map(Vec::len).collect(), largest_error)
}

/// A word in an image that was opened.
fn look(
    explainer: &Explainer,
    item: usize,
    examined: &Examined<'_>,
    photograph: &RgbImage,
    found: &Found,
) -> Result<Seen, Failure> {
    let [width, height] = examined.size;
    let Word { channel, component } = found.word;
    let (frames, relevance) =
        explainer.words_by_descriptors(examined, found.class, channel, &[component])?;
    let relevance = relevance.column(0).to_vec();
    let best = (0..frames.len()).rev().max_by(|&a, &b| relevance[a].total_cmp(&relevance[b]));
    let best = best.expect("an image that is explained has descriptors");
    let area = patch(Area::of(&frames[best], width, height), width, height);
    let boxes = explainer.boxes(explainer.item_of(item), found.class, examined)?;
    let inside = (!boxes.is_empty()).then(|| {
        let mask = inside(&boxes, width, height);
        let mut sums = [0.0; 2];
        for (frame, r) in frames.iter().zip(&relevance) {
            sums[1] += r.max(0.0);
            sums[0] += if mask[frame.pixel(examined.size)] { r.max(0.0) } else { 0.0 };
        }
        sums
    });
    let map = spread(frames, &relevance, width, height);
    let side = |from: usize, to: usize| (from as u32, (to - from) as u32);
    let ((x, wide), (y, high)) = (side(area.left, area.right), side(area.top, area.bottom));
    Ok(Seen {
        patch: Patch {
            id: explainer.split.items[item].id.clone(),
            relevance: found.items.iter().find(|(i, _)| *i == item).map_or(0.0, |(_, r)| *r),
            square: [area.left, area.top, area.right, area.bottom],
        },
        picture: crop_imm(photograph, x, y, wide, high).to_image(),
        heat: overlay(photograph, &map, map.largest()),
        inside,
    })
}

/// What is cut out for an area: at least [`SMALLEST_PATCH`] on a side, within the image.
fn patch(area: Area, width: usize, height: usize) -> Area {
    let side = |from: usize, to: usize, most: usize| {
        let length = (to - from).max(SMALLEST_PATCH).min(most);
        let start = ((from + to) / 2).saturating_sub(length / 2).min(most - length);
        (start, start + length)
    };
    let ((left, right), (top, bottom)) =
        (side(area.left, area.right, width), side(area.top, area.bottom, height));
    Area { left, top, right, bottom }
}

fn report(
    explainer: &Explainer,
    found: &[Found],
    of_word: &[Vec<Seen>],
    images: &[usize],
) -> Vec<ClassWords> {
    let mut classes: Vec<ClassWords> = Vec::new();
    for (found, seen) in found.iter().zip(of_word) {
        let class = &explainer.model.classes[found.class];
        if classes.last().is_none_or(|last| last.class != *class) {
            let images = images[found.class];
            classes.push(ClassWords { class: class.clone(), images, words: Vec::new() });
        }
        let sums = seen.iter().filter_map(|seen| seen.inside);
        let [inside, all] = sums.fold([0.0; 2], |sum, one| [sum[0] + one[0], sum[1] + one[1]]);
        let word = WordOfClass {
            word: explainer.name_of(found.word),
            relevance: found.relevance,
            share: found.share,
            inside: (all > 0.0).then(|| inside / all),
            patches: seen.iter().map(|seen| seen.patch.clone()).collect(),
        };
        classes.last_mut().expect("just made").words.push(word);
    }
    classes
}

/// The page; pictures beyond its size are left out, and said to be.
fn page_of(report: &WordsReport, of_word: &[Vec<Seen>]) -> Result<String> {
    let (mut bytes, mut left_out, mut number) = (0, 0, 0);
    let mut picture = |picture: &RgbImage, side: u32, text: String| -> Result<Option<Picture>> {
        let address = jpeg_address(&jpeg(picture, side)?);
        if bytes + address.len() > MOST_BYTES {
            left_out += 1;
            return Ok(None);
        }
        bytes += address.len();
        Ok(Some(Picture { address, text }))
    };
    let mut classes = Vec::new();
    for class in &report.classes {
        let mut words = Vec::new();
        for word in &class.words {
            let seen = &of_word[number];
            number += 1;
            let mut patches = Vec::new();
            for seen in seen {
                let text = plain::line(&seen.patch.id).into_owned();
                patches.extend(picture(&seen.picture, PATCH_SIDE, text)?);
            }
            let heat = match seen.first() {
                None => None,
                Some(first) => {
                    let text = plain::line(&first.patch.id).into_owned();
                    picture(&first.heat, PICTURE_SIDE, text)?
                }
            };
            words.push(PageWord {
                name: word.word.clone(),
                share: format!("{:.1}", 100.0 * word.share),
                relevance: format!("{:+.4}", word.relevance),
                inside: word.inside.map(|inside| format!("{:.0}", 100.0 * inside)),
                heat,
                patches,
            });
        }
        let name = plain::line(&class.class).into_owned();
        classes.push(PageClass { name, images: counted(class.images, "image"), words });
    }
    Ok(fill(
        include_str!("words.html.jinja"),
        Page {
            version: env!("CARGO_PKG_VERSION"),
            style: STYLE,
            split: plain::line(&report.split).into_owned(),
            rule: report.rule.clone(),
            classes,
            left_out,
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_is_large_enough_to_see_and_lies_in_the_image() {
        let area = |left, top, right, bottom| Area { left, top, right, bottom };
        assert_eq!(patch(area(0, 50, 4, 90), 200, 100), area(0, 50, 24, 90));
        assert_eq!(patch(area(190, 96, 200, 100), 200, 100), area(176, 76, 200, 100));
        assert_eq!(patch(area(3, 3, 4, 4), 10, 9), area(0, 0, 10, 9));
    }
}
