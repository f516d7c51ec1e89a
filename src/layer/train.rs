//! Learning projection, mixture and classifier together.
//!
//! ```text
//! for each epoch, for each batch of images, of each some rows drawn anew:
//!   x ─ Front ─ h ─ Layer ─ F ─ root, length ─ v ─ Head ─ L
//!   ∂L/∂W, ∂L/∂b, ∂L/∂V by the chain of their derivatives ─ Adam
//!   γ of the batch ─ one step of EM ─ moving averages ─ mixture
//! ```
//!
//! Images of a batch run in parallel; what they give is added in their order, so the number of threads
//! changes no bit. After every epoch the state is rounded to what a file holds, and handed to the caller.

use ndarray::{Array1, Array2, ArrayView2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::encode::{BatchSums, Layer, Passed};
use super::front::{Front, Projected};
use super::head::{Head, one_class};
use super::params::Params;
use super::root::normalise;
use super::state::{Epoch, Learned, State, round};
use crate::dataset::Label;
use crate::error::{Error, Result};
use crate::gmm::{Gmm, Mixture};
use crate::position::Position;
use crate::progress::Progress;
use crate::projection::Projection;
use crate::random::Seed;

/// Shrinkage of the classifier's weights in every step, relative to its length.
const DECAY: f32 = 1e-4;

/// A loss so many times that of a classifier of zeros has diverged.
const DIVERGED: f64 = 4.0;

/// One image to learn from.
#[derive(Debug, Clone)]
pub struct Image {
    /// Its descriptors, or as many as were drawn, `N × D₀`.
    pub rows: Array2<f32>,
    /// One a row.
    pub positions: Vec<Position>,
}

/// Why learning ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// All epochs were done.
    Epochs,
    /// The loss on the images held out grew no smaller.
    Patience,
    /// The loss grew beyond all bounds.
    Diverged,
}

/// What was learned, and how.
#[derive(Debug, Clone)]
pub struct Fit {
    /// The best state.
    pub learned: Learned,
    /// Its epoch, from 1.
    pub best_epoch: usize,
    /// All epochs.
    pub history: Vec<Epoch>,
    /// Why it ended.
    pub stop: Stop,
    /// Images held out.
    pub held_out: usize,
}

/// What learning needs.
#[derive(Debug, Clone, Copy)]
pub struct Lesson<'a> {
    /// Images with descriptors.
    pub images: &'a [Image],
    /// A label for each class, of each image.
    pub labels: &'a [Vec<Label>],
    /// The projection that it starts from.
    pub projection: &'a Projection,
    /// The mixture that it starts from.
    pub mixture: &'a Gmm,
    /// Settings of the layer.
    pub params: &'a Params,
    /// Smallest variance, as a share of the rows' (`gmm.variance_floor`).
    pub variance_floor: f64,
    /// The run's seed.
    pub seed: Seed,
}

/// What one image gave its batch.
struct Step {
    loss: f64,
    vector: Array1<f32>,
    /// `∂L/∂t`.
    of_scores: Array1<f32>,
    /// `∂L/∂V`.
    of_components: Array2<f32>,
    passed: Passed<f32>,
}

/// Learns from `resumed`, or from the start, and hands every epoch's state to `keep`.
///
/// # Errors
/// [`Error::Setting`] when there is no class to tell from another, or the first epoch already diverges;
/// [`Error::Interrupted`]; what `keep` says.
pub fn fit(
    lesson: &Lesson<'_>,
    resumed: Option<State>,
    progress: &dyn Progress,
    keep: &mut dyn FnMut(&State) -> Result<()>,
) -> Result<Fit> {
    let params = lesson.params;
    let held_out = held_out(lesson);
    let taught: Vec<usize> =
        (0..lesson.images.len()).filter(|i| held_out.binary_search(i).is_err()).collect();
    let mut state = resumed.unwrap_or_else(|| start(lesson));
    let mut front = Front::of(lesson.projection);
    let each = taught.len() as u64;
    progress.begin("learn", each * (params.epochs - state.history.len()) as u64, "images");
    let bound = DIVERGED * lesson.loss_of_zeros(&state.now.head);
    let mut stop = Stop::Epochs;
    while state.history.len() < params.epochs {
        if is_over(&state, &held_out, params) {
            stop = Stop::Patience;
            break;
        }
        let (loss, mean_log_likelihood) =
            learn_epoch(lesson, &taught, &mut front, &mut state, progress)?;
        state.round();
        let number = state.history.len() + 1;
        if !loss.is_finite() || loss > bound || !is_finite(&state.now) {
            if state.best.is_none() {
                progress.end();
                return Err(too_fast(params));
            }
            progress.note(&format!(
                "the loss of epoch {number} grew beyond all bounds: learning stops, and the last good epoch is \
                 kept; with a smaller layer.learning_rate it may go on"
            ));
            stop = Stop::Diverged;
            break;
        }
        let held_out_loss =
            (!held_out.is_empty()).then(|| lesson.loss(&held_out, &front, &state.now));
        state.history.push(Epoch { loss, held_out: held_out_loss, mean_log_likelihood });
        let is_best = match (&state.best, held_out_loss) {
            (Some((best, _)), Some(now)) => {
                state.history[best - 1].held_out.is_none_or(|before| now < before)
            }
            _ => true,
        };
        if is_best {
            state.best = Some((number, state.now.clone()));
        }
        let of_held_out =
            held_out_loss.map_or_else(String::new, |loss| format!(", held out {loss:.3}"));
        progress.say(&format!("epoch {number}, loss {loss:.3}{of_held_out}"));
        keep(&state)?;
    }
    progress.end();
    let (best_epoch, learned) = state.best.expect("an epoch was done");
    Ok(Fit { learned, best_epoch, history: state.history, stop, held_out: held_out.len() })
}

/// Before the first epoch.
fn start(lesson: &Lesson<'_>) -> State {
    let mut mixture = Mixture::from(lesson.mixture);
    // A component without weight has no gradient, and could never come back.
    let least = 1e-6;
    mixture.weights.iter_mut().for_each(|w| *w = w.max(least));
    round(&mut mixture);
    let dim = 2 * mixture.means.len();
    let classes = lesson.labels.first().map_or(0, Vec::len);
    let head = Head::new(classes, dim, one_class(lesson.labels));
    let components = lesson.projection.components().to_owned();
    State::start(Learned { components, mixture, head }, lesson.params.decay)
}

fn too_fast(params: &Params) -> Error {
    Error::setting(
        "layer.learning_rate",
        params.learning_rate,
        format!(
            "smaller here: the loss of the first epoch grew beyond all bounds (try {:.1e}, or a smaller \
             layer.head_factor)",
            params.learning_rate / 10.0
        ),
    )
}

fn is_finite(learned: &Learned) -> bool {
    learned.components.iter().all(|v| v.is_finite())
        && learned.head.weights.iter().all(|v| v.is_finite())
        && learned.mixture.to_gmm().is_ok()
}

fn is_over(state: &State, held_out: &[usize], params: &Params) -> bool {
    let since = state.best.as_ref().map_or(0, |(epoch, _)| state.history.len() - epoch);
    !held_out.is_empty() && since >= params.patience
}

/// Images that are not learned from, ascending: a share, chosen by the seed, without the last image of any
/// class.
fn held_out(lesson: &Lesson<'_>) -> Vec<usize> {
    let n = lesson.images.len();
    let wanted = (lesson.params.held_out * n as f64) as usize;
    let classes = lesson.labels.first().map_or(0, Vec::len);
    let mut left: Vec<usize> = (0..classes)
        .map(|class| lesson.labels.iter().filter(|of| of[class] == Label::Yes).count())
        .collect();
    let mut order: Vec<usize> = (0..n).collect();
    lesson.seed.stream("layer held out", 0).shuffle(&mut order);
    let mut chosen = Vec::new();
    for image in order {
        if chosen.len() == wanted {
            break;
        }
        let shown = || (0..classes).filter(|&class| lesson.labels[image][class] == Label::Yes);
        if shown().all(|class| left[class] > 1) {
            shown().for_each(|class| left[class] -= 1);
            chosen.push(image);
        }
    }
    chosen.sort_unstable();
    chosen
}

/// One pass over the images: mean loss, and mean log-likelihood of a row.
fn learn_epoch(
    lesson: &Lesson<'_>,
    taught: &[usize],
    front: &mut Front<f32>,
    state: &mut State,
    progress: &dyn Progress,
) -> Result<(f64, f64)> {
    let (params, epoch) = (lesson.params, state.history.len());
    let mut order = taught.to_vec();
    lesson.seed.stream("layer order", epoch as u64).shuffle(&mut order);
    let turn = std::f64::consts::PI * epoch as f64 / params.epochs as f64;
    let rate = params.learning_rate * 0.5 * (1.0 + turn.cos());
    let (mut loss, mut likelihood, mut rows) = (0.0, 0.0, 0usize);
    for batch in order.chunks(params.batch_images) {
        if progress.interrupted() {
            progress.end();
            return Err(Error::Interrupted);
        }
        front.components.assign(&state.now.components);
        let layer = Layer::<f32>::new(&state.now.mixture);
        let head = &state.now.head;
        let steps: Vec<Step> = batch
            .par_iter()
            .map(|&image| {
                let drawn = epoch as u64 * lesson.images.len() as u64 + image as u64;
                lesson.step(image, drawn, front, &layer, head)
            })
            .collect();
        let mut sums = BatchSums::new(layer.dim());
        let mut of_components = Array2::<f32>::zeros(state.now.components.dim());
        for step in &steps {
            loss += step.loss;
            likelihood += step.passed.log_likelihood;
            step.passed.add_to(&mut sums);
            of_components += &step.of_components;
        }
        rows += sums.rows();
        state.steps += 1;
        let [of_weights, of_bias] = of_head(&steps);
        let share = 1.0 / steps.len() as f32;
        let t = state.steps;
        let head = &mut state.now.head;
        let head_rate = rate * params.head_factor;
        let [components, weights, bias] = &mut state.moments;
        of_components *= share;
        components.step(slice(&mut state.now.components), flat(&of_components), rate, t);
        head.weights *= 1.0 - head_rate as f32 * DECAY;
        weights.step(slice(&mut head.weights), flat(&(of_weights * share)), head_rate, t);
        let of_bias = of_bias * share;
        bias.step(slice(&mut head.bias), flat(&of_bias), head_rate, t);
        let new = sums.maximisation(&layer, &state.now.mixture, lesson.variance_floor);
        state.now.mixture = state.averages.add(&new);
        progress.advance(batch.len() as u64);
    }
    front.components.assign(&state.now.components);
    Ok((loss / taught.len().max(1) as f64, likelihood / rows.max(1) as f64))
}

/// Sums of `∂L/∂W` (classes × dim) and `∂L/∂b` (1 × classes) over a batch.
fn of_head(steps: &[Step]) -> [Array2<f32>; 2] {
    let stack = |values: &dyn Fn(&Step) -> Array1<f32>| {
        let mut all = Array2::zeros((steps.len(), values(&steps[0]).len()));
        all.rows_mut().into_iter().zip(steps).for_each(|(mut row, step)| row.assign(&values(step)));
        all
    };
    let scores = stack(&|step| step.of_scores.clone());
    let vectors = stack(&|step| step.vector.clone());
    let mut of_weights = Array2::zeros((scores.ncols(), vectors.ncols()));
    crate::linalg::multiply(of_weights.view_mut(), scores.t(), vectors.view());
    [of_weights, scores.sum_axis(Axis(0)).insert_axis(Axis(0))]
}

fn slice<D: ndarray::Dimension>(array: &mut ndarray::Array<f32, D>) -> &mut [f32] {
    array.as_slice_mut().expect("what is learned is row-major")
}

fn flat<D: ndarray::Dimension>(array: &ndarray::Array<f32, D>) -> &[f32] {
    array.as_slice().expect("derivatives are row-major")
}

impl Lesson<'_> {
    /// Some rows of an image, in its order, and their positions.
    fn draw(&self, image: usize, name: &str, number: u64) -> (Array2<f32>, Vec<Position>) {
        let Image { rows, positions } = &self.images[image];
        let chosen =
            self.seed.stream(name, number).sample(rows.nrows(), self.params.rows_per_image);
        let positions = chosen.iter().map(|&i| positions[i]).collect();
        (rows.select(Axis(0), &chosen), positions)
    }

    fn step(
        &self,
        image: usize,
        number: u64,
        front: &Front<f32>,
        layer: &Layer<f32>,
        head: &Head,
    ) -> Step {
        let (rows, positions) = self.draw(image, "layer rows", number);
        let (projected, passed) = pass(rows.view(), &positions, front, layer);
        let normalised = normalise(passed.gradients.view());
        let (loss, of_scores) = head.loss(normalised.vector.view(), &self.labels[image]);
        let of_vector = of_scores.dot(&head.weights);
        let of_gradients = normalised.backward(passed.gradients.view(), of_vector.view());
        let of_rows = layer.backward(&passed, of_gradients.view());
        let of_components = front.backward(rows.view(), &projected, &of_rows);
        Step { loss, vector: normalised.vector, of_scores, of_components, passed }
    }

    /// Mean loss of images, each by the same rows whenever it is measured.
    fn loss(&self, images: &[usize], front: &Front<f32>, learned: &Learned) -> f64 {
        let layer = Layer::<f32>::new(&learned.mixture);
        let losses: Vec<f64> = images
            .par_iter()
            .map(|&image| {
                let (rows, positions) = self.draw(image, "layer measured", image as u64);
                let (_, passed) = pass(rows.view(), &positions, front, &layer);
                let normalised = normalise(passed.gradients.view());
                learned.head.loss(normalised.vector.view(), &self.labels[image]).0
            })
            .collect();
        losses.iter().sum::<f64>() / images.len().max(1) as f64
    }

    /// Mean loss of a classifier that knows nothing.
    fn loss_of_zeros(&self, head: &Head) -> f64 {
        let zeros = Head::new(head.bias.len(), 0, head.one_class);
        let none = Array1::zeros(0);
        let sum: f64 = self.labels.iter().map(|labels| zeros.loss(none.view(), labels).0).sum();
        sum / self.labels.len().max(1) as f64
    }
}

fn pass(
    rows: ArrayView2<'_, f32>,
    positions: &[Position],
    front: &Front<f32>,
    layer: &Layer<f32>,
) -> (Projected<f32>, Passed<f32>) {
    let projected = front.forward(rows, positions);
    let passed = layer.forward(projected.rows.view());
    (projected, passed)
}
