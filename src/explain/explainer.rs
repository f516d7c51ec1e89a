//! All that explains a split, and one image taken apart.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use ndarray::{Array2, Axis, s};
use rayon::prelude::*;

use super::boxes::Remarks;
use super::rules::Rules;
use super::selection::{Case, Selection, class_index};
use crate::artifacts::Shards;
use crate::dataset::{Item, Label, Object, Split, labels_for};
use crate::describer::{self, Describer, Reader, Workers, largest, store};
use crate::descriptors::Frame;
use crate::descriptors::memory::Largest;
use crate::error::{Error, Result};
use crate::explanation::memory::need;
use crate::explanation::pixels::{Map, spread};
use crate::explanation::quality::{Draws, Perturbed, Replacement, Store};
use crate::explanation::{Classifier, Relevance, Rule, coordinates, relevance};
use crate::generative::{Model as Mixture, Parts};
use crate::image::Photo;
use crate::linalg::{Joined, Pool, Rows};
use crate::memory::Need;
use crate::names;
use crate::pipeline::{Run, load_mixture};
use crate::random::Stream;
use crate::store::{Origin, Outputs};
use crate::svm::Model;
use crate::words::did_you_mean;

/// All that explains a split.
pub(super) struct Explainer {
    pub(super) split: Split,
    reader: Reader,
    pub(super) describer: Describer,
    /// The mixture of each channel.
    mixtures: Vec<Mixture>,
    pub(super) model: Model,
    /// For the model's classes.
    pub(super) labels: Vec<Vec<Label>>,
    /// `images × classes`, −∞ without a vector.
    pub(super) scores: Array2<f32>,
    /// The stored vectors, with the factors of their parts, and the row of every image that has one.
    pub(super) vectors: Joined<Shards>,
    pub(super) rows: BTreeMap<String, usize>,
    pub(super) folder: PathBuf,
    origin: Origin,
    /// The classes' names and the images' ids as parts of file names.
    pub(super) class_files: Vec<String>,
    pub(super) item_files: Vec<String>,
    workers: Pool<Workers>,
    need: Need,
    pub(super) rules: Rules,
    pub(super) remarks: Remarks,
}

/// Relevance of the pixels of an image for a class.
pub(super) struct Pixels {
    pub(super) map: Map,
    /// Of the relevance of networks' maps, the share that reached the pixels.
    pub(super) kept: Option<f64>,
}

/// One image taken apart.
pub(super) struct Examined<'e> {
    /// Width and height as encoded.
    pub(super) size: [usize; 2],
    /// The boxes of the item's objects in pixels of the image as encoded, or why they cannot be placed.
    bounds: Result<Vec<[f32; 4]>, String>,
    /// Frames of the descriptors of all parts, one part after the other, in the image as it is (those
    /// from its mirror image too).
    pub(super) frames: Vec<Frame>,
    pub(super) parts: Vec<describer::Examined<'e>>,
    /// The photograph itself.
    pub(super) photo: Photo,
    /// The joint vector that the classifier scores.
    pub(super) vector: Vec<f32>,
}

impl Run<'_> {
    /// Opens a split and looks for the classes and images that are to be explained, before any work.
    pub(super) fn split_to_explain(
        &self,
        data: &Path,
        split: &str,
        classes: &[String],
        images: &[String],
    ) -> Result<Split> {
        self.begin();
        self.require_pixels()?;
        let split = self.split_of(data, split)?;
        // Without a classifier yet, it is going to know those of the data.
        let known = self.known_classes()?.unwrap_or_else(|| split.classes.clone());
        classes.iter().try_for_each(|name| class_index(&known, name).map(|_| ()))?;
        for id in images {
            let ids = || split.items.iter().map(|item| item.id.as_str());
            if !ids().any(|known| known == id) {
                let first = ids().next().unwrap_or_default();
                let near = did_you_mean(id, ids());
                let problem =
                    format!("not in split `{}`; its first is `{first}`{near}", split.name);
                return Err(Error::data(format!("image `{id}`"), problem));
            }
        }
        Ok(split)
    }

    /// All that explains a split by these rules.
    pub(super) fn explainer(&self, split: Split, rules: Rules) -> Result<Explainer> {
        self.bring_classifier()?;
        self.encode_split(&split)?;
        self.explainer_of_stored(split, rules)
    }

    /// As [`explainer`](Self::explainer), of what the run holds: nothing is brought up to date.
    pub(super) fn explainer_of_stored(&self, split: Split, rules: Rules) -> Result<Explainer> {
        let (model, svm_print) = self.load_svm()?;
        let scores = self.split_scores(&split, &model)?;
        let index = self.index(&split.name)?;
        let vectors = self.vectors(&index)?;
        let (labels, _) = labels_for(&model.classes, &split);
        let print = &index.fingerprint;
        let origin = Origin::new(&split.name, &svm_print, print, &model.classes, &labels);
        let encoded = index.images.into_iter().map(|image| image.id);
        let rows = encoded.zip(0..).collect();
        let work = &self.home.work;
        let reader = Reader::new(&self.config().image, &work.seen);
        let (describer, _) = self.describer()?;
        let mixtures = self.places().into_iter().map(|place| load_mixture(place));
        let mixtures = mixtures.collect::<Result<_>>()?;
        let folder = self.home.paths.explanations(&split.name);
        let ids: Vec<String> = split.items.iter().map(|item| item.id.clone()).collect();
        let workers = Pool::default();
        let sources = describer.channels().iter().map(|channel| channel.encoder.source());
        let largest = match work.memory.limit().is_some() {
            true => largest(&self.config().image, &split.items, sources),
            false => Largest::default(),
        };
        let of_place = |place: &crate::pipeline::Place<'_>| {
            let c = &place.config;
            let parts = Parts::of(&c.gmm, c.pca.output_dim());
            need(&c.descriptors, &c.encoding, parts, largest, model.classes.len())
        };
        let needs = self.places().into_iter().map(of_place);
        let need = Need::together(needs.chain(back_through(&describer, rules, largest.size)?));
        Ok(Explainer {
            class_files: names::file_names(&model.classes),
            item_files: names::file_names(&ids),
            split,
            reader,
            describer,
            mixtures,
            model,
            labels,
            scores,
            vectors,
            rows,
            folder,
            origin,
            workers,
            need,
            rules,
            remarks: Remarks::default(),
        })
    }

    /// Begins the files of a kind of explanation, in place of those of an earlier call.
    pub(super) fn explanations<'p>(
        &self,
        explainer: &Explainer,
        kind: &str,
        planned: impl IntoIterator<Item = &'p PathBuf>,
    ) -> Result<Outputs<'_>> {
        let group = group(&explainer.split.name, kind);
        self.home.results().remove_outdated_outputs(&explainer.origin, &group)?;
        self.home.results().outputs(&group, &explainer.origin, planned)
    }

    /// Runs `task` for every case in parallel, in order; an image that cannot be read is noted and gives
    /// `None`. Whatever else goes wrong, as writing, ends it all.
    pub(super) fn for_each_case<T: Send>(
        &self,
        explainer: &Explainer,
        name: &str,
        cases: &[Case],
        task: impl Fn(&Case) -> Result<T, Failure> + Sync,
    ) -> Result<Vec<Option<T>>> {
        let work = &self.home.work;
        work.progress.begin(name, cases.len() as u64, "images");
        let each = |case: &Case| {
            work.go_on()?;
            let result = task(case);
            work.progress.advance(1);
            match result {
                Ok(value) => Ok(Some(value)),
                Err(Failure::Unreadable(error)) if !work.strict => {
                    work.skip(&explainer.item(case).id, &error);
                    work.left_out.fetch_add(1, Ordering::Relaxed);
                    Ok(None)
                }
                Err(Failure::Unreadable(error) | Failure::Other(error)) => Err(error),
            }
        };
        let results = work.memory.within(
            || Ok(explainer.need.clone()),
            || -> Result<Vec<Option<T>>> { cases.par_iter().with_max_len(1).map(each).collect() },
        );
        work.progress.end();
        results?
    }
}

/// What a worker needs to hand relevance back through networks, where a rule says so.
fn back_through(describer: &Describer, rules: Rules, size: [usize; 2]) -> Result<Option<Need>> {
    let Some(rule) = rules.network else { return Ok(None) };
    if !describer.is_of_network() {
        let what = "a network in this run, which --network-rule is for".into();
        let hint = "leave --network-rule out".into();
        return Err(Error::Missing { what, hint });
    }
    for channel in describer.channels().iter().filter(|part| part.encoder.is_of_network()) {
        channel.encoder.encoder().require_coordinates()?;
    }
    // Also where memory has no limit: an operator without a rule is refused before any work.
    let each = describer.pixels_bytes(size.map(|side| side.max(1)), rule)?;
    let formula = format!("{each} a worker: back through the network");
    let way_out = "lower image.max_height_px or raise --max-memory";
    Ok(Some(Need { stage: "explain", fixed: 0, each, formula, way_out }))
}

/// The group of files of a kind of explanation.
pub(super) fn group(split: &str, kind: &str) -> String {
    format!("explain/{split}/{kind}")
}

/// Why there is no explanation of an image.
pub(super) enum Failure {
    /// The image, or a file of its descriptors, cannot be read (any more).
    Unreadable(Error),
    /// Anything else: no fault of the image.
    Other(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl Failure {
    /// A failure of reading an image.
    pub(super) fn of_reading(error: Error) -> Self {
        match error {
            Error::Image { .. } | Error::Io { .. } => Self::Unreadable(error),
            other => Self::Other(other),
        }
    }
}

impl Explainer {
    /// The selected pairs by image, in list order.
    pub(super) fn cases(&self, selection: &Selection) -> Result<Vec<Case>> {
        let highest: Vec<f32> = self
            .scores
            .rows()
            .into_iter()
            .map(|r| r.iter().copied().fold(f32::MIN, f32::max))
            .collect();
        self.cases_where(selection, |label, score, [item, _]| {
            selection.only.takes(label, score, score >= highest[item])
        })
    }

    /// As [`cases`](Self::cases), of the pairs that `takes` says by label, score, and item and class.
    pub(super) fn cases_where(
        &self,
        selection: &Selection,
        takes: impl Fn(Label, f32, [usize; 2]) -> bool,
    ) -> Result<Vec<Case>> {
        let classes = self.class_indices(&selection.classes)?;
        let mut found: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for class in classes {
            let mut items: Vec<usize> = (0..self.split.items.len())
                .filter(|&i| {
                    let score = self.scores[[i, class]];
                    score.is_finite()
                        && takes(self.labels[i][class], score, [i, class])
                        && (selection.images.is_empty()
                            || selection.images.contains(&self.split.items[i].id))
                })
                .collect();
            items.sort_by(|&a, &b| {
                self.scores[[b, class]].total_cmp(&self.scores[[a, class]]).then(a.cmp(&b))
            });
            if selection.top > 0 {
                items.truncate(selection.top);
            }
            items.into_iter().for_each(|item| found.entry(item).or_default().push(class));
        }
        Ok(found.into_iter().map(|(item, classes)| Case { item, classes }).collect())
    }

    pub(super) fn class_indices(&self, names: &[String]) -> Result<Vec<usize>> {
        if names.is_empty() {
            return Ok((0..self.model.classes.len()).collect());
        }
        names.iter().map(|name| class_index(&self.model.classes, name)).collect()
    }

    pub(super) fn item(&self, case: &Case) -> &Item {
        &self.split.items[case.item]
    }

    pub(super) fn examine(&self, case: &Case) -> Result<Examined<'_>, Failure> {
        let item = self.item(case);
        let row = *self.rows.get(&item.id).expect("only images with a score are explained");
        let photo = self.reader.read(item).map_err(Failure::of_reading)?;
        let examine =
            |workers: &mut Workers| self.describer.examine(&photo, Some(&item.id), workers);
        let parts = self.workers.with(examine).map_err(Failure::of_reading)?;
        let size = photo.fitted(self.reader.params());
        Ok(Examined {
            vector: self.vectors.row(row, &mut Vec::new()).to_vec(),
            size,
            bounds: self.remarks.place(item, &photo, size),
            frames: parts.iter().flat_map(|part| part.frames.iter().copied()).collect(),
            parts,
            photo,
        })
    }

    /// The photograph of an examined image, for pictures shown to people.
    pub(super) fn photograph(&self, examined: &Examined<'_>) -> ::image::RgbImage {
        examined.photo.rgb(self.reader.params())
    }

    /// Relevance of an image for `classes`, in their order.
    pub(super) fn relevance(
        &self,
        examined: &Examined<'_>,
        classes: &[usize],
    ) -> Result<Relevance> {
        let image = (&examined.parts[..], &examined.vector[..]);
        let (weights, bias) = of_classes(&self.model, classes);
        let classifier = Classifier { weights: weights.view(), bias: &bias };
        joint_relevance(&self.describer, image, classifier, self.rules.descriptors)
    }

    /// Relevance of an image by another classifier of the same vectors.
    pub(super) fn relevance_by(
        &self,
        examined: &Examined<'_>,
        classifier: Classifier<'_>,
    ) -> Result<Relevance> {
        let image = (&examined.parts[..], &examined.vector[..]);
        joint_relevance(&self.describer, image, classifier, self.rules.descriptors)
    }

    /// Where the values of each component go when the components of every channel change places.
    pub(super) fn components_moved(
        &self,
        stream: &mut Stream,
    ) -> Vec<(Range<usize>, Range<usize>)> {
        let mut moves = Vec::new();
        for channel in self.describer.channels() {
            let layout = channel.encoder.encoder().layout();
            let mut order: Vec<usize> = (0..layout.components()).collect();
            stream.shuffle(&mut order);
            let start = channel.columns.start;
            for region in 0..layout.regions() {
                let start = start + layout.region(region).start;
                let at = |place: Range<usize>| start + place.start..start + place.end;
                for (from, &to) in order.iter().enumerate() {
                    let runs = layout.of_component(from).zip(layout.of_component(to));
                    moves.extend(runs.map(|((_, from), (_, to))| (at(from), at(to))));
                }
            }
        }
        moves
    }

    /// `R¹` of the class at `at` among those that `relevance` is of.
    pub(super) fn pixels(
        &self,
        examined: &Examined<'_>,
        relevance: &Relevance,
        [at, class]: [usize; 2],
    ) -> Result<Pixels, Failure> {
        let ([width, height], of_rows) = (examined.size, relevance.of_class(at));
        let Some(rule) = self.rules.network else {
            let map = spread(&examined.frames, &of_rows, width, height);
            return Ok(Pixels { map, kept: None });
        };
        let (mut frames, mut seen) = (Vec::new(), Vec::new());
        let (mut rows, mut start) = (Vec::new(), 0);
        for (part, of_part) in self.describer.channels().iter().zip(&examined.parts) {
            let places = start..start + of_part.frames.len();
            start = places.end;
            if part.encoder.is_of_network() {
                let vector = &examined.vector[part.columns.clone()];
                let (weights, bias) = of_classes(&self.model, &[class]);
                let classifier = Classifier { weights: weights.view(), bias: &bias };
                let (weights, bias) = of_part_alone(classifier, &part.columns);
                let classifier = Classifier { weights: weights.view(), bias: &bias };
                let describer::Examined { contributions, sums, .. } = of_part;
                let rule = self.rules.descriptors;
                rows.push(Some(coordinates(contributions, sums, vector, classifier, rule)?));
            } else {
                frames.extend_from_slice(&examined.frames[places.clone()]);
                seen.extend_from_slice(&of_rows[places]);
                rows.push(None);
            }
        }
        let mut map = spread(&frames, &seen, width, height);
        let found = self.describer.pixels(&examined.photo, &rows, rule);
        let (planes, given) = found.map_err(Failure::of_reading)?;
        let mut reached = 0.0;
        for plane in planes {
            let values = plane.values.iter().copied().map(f64::from).collect();
            let found = Map { width: plane.width, height: plane.height, values };
            reached += found.sum();
            let on_image = found.on_grid(width, height, |value| value);
            map.values.iter_mut().zip(on_image).for_each(|(sum, value)| *sum += value);
        }
        Ok(Pixels { map, kept: Some(reached / given) })
    }

    pub(super) fn item_of(&self, item: usize) -> &Item {
        &self.split.items[item]
    }

    /// Boxes of a class in pixels of the image as encoded.
    ///
    /// # Errors
    /// When the class has boxes that cannot be placed: without them what lies outside of them is not
    /// known either, and the image is left out.
    pub(super) fn boxes(
        &self,
        item: &Item,
        class: usize,
        examined: &Examined<'_>,
    ) -> Result<Vec<[f32; 4]>, Failure> {
        let name = &self.model.classes[class];
        let of_class = |object: &Object| self.split.classes[object.class] == *name;
        if !item.objects.iter().any(of_class) {
            return Ok(Vec::new());
        }
        let bounds = examined.bounds.as_ref().map_err(|problem| {
            Failure::Unreadable(Error::Image { path: item.path.clone(), problem: problem.clone() })
        })?;
        let boxes = item.objects.iter().zip(bounds).filter(|(object, _)| of_class(object));
        Ok(boxes.map(|(_, bounds)| *bounds).collect())
    }

    /// An image ready to be perturbed.
    pub(super) fn perturbed<'c, 'e>(&self, examined: &'c Examined<'e>) -> Perturbed<'c, 'e> {
        let channels = self.describer.channels();
        let parts = channels.iter().zip(&examined.parts);
        let stores = channels.iter().map(|part| -> Store<'_> {
            let storage = part.encoder.storage();
            Box::new(move |vector| {
                // A vector beyond what is stored stays as it is: the image's own was not.
                let _ = store(storage, vector);
            })
        });
        Perturbed::new(parts.map(|(part, of_image)| {
            (&of_image.contributions, &of_image.sums.signed[..], part.factor)
        }))
        .stored(&examined.vector, stores.collect())
    }

    /// `count` replacements for the descriptors of each part of an image: of a pooled channel, which has no
    /// mixture, the image's own.
    pub(super) fn draws(
        &self,
        examined: &Examined<'_>,
        count: usize,
        stream: &mut Stream,
    ) -> Result<Draws<'_>> {
        let parts = self.describer.channels().iter().zip(&examined.parts).zip(&self.mixtures);
        let replacements = parts.map(|((channel, part), mixture)| {
            let from = match channel.encoder.is_pooled() {
                true => Replacement::Rows(part.contributions.rows()),
                false => Replacement::Model(mixture),
            };
            (channel.encoder.encoder(), from)
        });
        Draws::new(replacements, count, stream)
    }

    /// `count` replacements for each part, from the image's own descriptors that `may` come (all of a part of which
    /// none may): what stands elsewhere in this image. Draws from a mixture are like no image, and cost a score by
    /// themselves.
    pub(super) fn own_draws(
        &self,
        examined: &Examined<'_>,
        may: &dyn Fn(usize) -> bool,
        count: usize,
        stream: &mut Stream,
    ) -> Result<Draws<'_>> {
        let mut first = 0;
        let of_part = |part: &describer::Examined<'_>| {
            let all = part.contributions.rows();
            let mut chosen: Vec<usize> = (0..all.nrows()).filter(|row| may(first + row)).collect();
            first += all.nrows();
            if chosen.is_empty() {
                chosen = (0..all.nrows()).collect();
            }
            // Not more of them than are drawn: they are copied.
            stream.shuffle(&mut chosen);
            chosen.truncate(count);
            all.select(Axis(0), &chosen)
        };
        let rows: Vec<Array2<f32>> = examined.parts.iter().map(of_part).collect();
        let parts = self.describer.channels().iter().zip(&rows);
        let replacements = parts
            .map(|(channel, rows)| (channel.encoder.encoder(), Replacement::Rows(rows.view())));
        Draws::new(replacements, count, stream)
    }

    /// The whole classifier.
    pub(super) fn classifier(&self) -> Classifier<'_> {
        Classifier { weights: self.model.weights.view(), bias: &self.model.bias }
    }
}

/// Relevance of an image, its parts and its joint vector, by a classifier of joint vectors: that of its
/// parts, side by side.
pub(super) fn joint_relevance(
    describer: &Describer,
    (parts, vector): (&[describer::Examined<'_>], &[f32]),
    classifier: Classifier<'_>,
    rule: Rule,
) -> Result<Relevance> {
    let parts = describer.channels().iter().zip(parts);
    let relevance_of = |(part, of_part): (&describer::Channel, &describer::Examined<'_>)| {
        let vector = &vector[part.columns.clone()];
        let (weights, bias) = of_part_alone(classifier, &part.columns);
        let classifier = Classifier { weights: weights.view(), bias: &bias };
        let describer::Examined { contributions, sums, .. } = of_part;
        relevance(contributions, sums, vector, classifier, rule)
    };
    Ok(Relevance::joined(parts.map(relevance_of).collect::<Result<_>>()?))
}

/// Weights and biases of a classifier for one part of the joint vector, whose every dimension has the same
/// share of the bias.
pub(super) fn of_part_alone(
    classifier: Classifier<'_>,
    part: &Range<usize>,
) -> (Array2<f32>, Vec<f32>) {
    let share = part.len() as f64 / classifier.weights.ncols() as f64;
    let bias = classifier.bias.iter().map(|&b| (f64::from(b) * share) as f32).collect();
    (classifier.weights.slice(s![.., part.clone()]).to_owned(), bias)
}

/// Weights and biases of some classes of a model.
pub(super) fn of_classes(model: &Model, classes: &[usize]) -> (Array2<f32>, Vec<f32>) {
    let bias = classes.iter().map(|&class| model.bias[class]).collect();
    (model.weights.select(Axis(0), classes), bias)
}
