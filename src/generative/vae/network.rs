//! The layers of the autoencoder: forward, and backward by hand.
//!
//! ```text
//! x ─ D×256 ─ ReLU ─ 256×256 ─ ReLU ─┬─ 256×q: m
//!                                    └─ 256×q: l, held within −8 … 4
//! z = m + ε e^{l/2} ─ q×256 ─ ReLU ─ 256×H ─ ReLU: h ─ H×D: o
//! bound = −½ Σ_d ((x − o)²_d e^{−2 ls_d} + 2 ls_d + ln 2π) − ½ Σ_j (m² + e^l − 1 − l)_j
//! ```

use ndarray::{ArrayView2, ArrayViewMut2};

use crate::generative::scratch::Products;
use crate::linalg::{multiply, multiply_add};
use crate::random::Stream;

/// Units of the layers between.
pub const WIDTH: usize = 256;

/// The logarithm of the code's variance is held within these.
const LOG_VARIANCES: [f64; 2] = [-8.0, 4.0];

/// The sizes of an autoencoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Values `D` of a row.
    pub dim: usize,
    /// Values `q` of a code.
    pub code: usize,
    /// Units `H` of the decoder's last hidden layer.
    pub hidden: usize,
}

/// The layers, in the order of their parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layer {
    First,
    Second,
    Mean,
    LogVariance,
    Third,
    Hidden,
    Output,
}

const LAYERS: [Layer; 7] = [
    Layer::First,
    Layer::Second,
    Layer::Mean,
    Layer::LogVariance,
    Layer::Third,
    Layer::Hidden,
    Layer::Output,
];

impl Sizes {
    /// Values that come out of a layer and go in.
    fn of(self, layer: Layer) -> [usize; 2] {
        let Self { dim, code, hidden } = self;
        match layer {
            Layer::First => [WIDTH, dim],
            Layer::Second => [WIDTH, WIDTH],
            Layer::Mean | Layer::LogVariance => [code, WIDTH],
            Layer::Third => [WIDTH, code],
            Layer::Hidden => [hidden, WIDTH],
            Layer::Output => [dim, hidden],
        }
    }

    /// Where the weights of a layer (out × in) begin; its biases follow.
    fn start(self, layer: Layer) -> usize {
        let before = LAYERS.into_iter().take_while(|&other| other != layer);
        before.map(|layer| self.of(layer)).map(|[out, inside]| out * (inside + 1)).sum()
    }

    /// Where the logarithms of `s` begin.
    fn deviations(self) -> usize {
        self.start(Layer::Output) + self.dim * (self.hidden + 1)
    }

    /// The sizes of a network of so many parameters; nothing where they fit no code.
    pub fn with_parameters(dim: usize, hidden: usize, parameters: usize) -> Option<Self> {
        let at = |code: usize| Self { dim, code, hidden }.checked_len();
        let (none, one) = (at(0)?, at(1)?);
        let rest = parameters.checked_sub(none)?;
        let code = rest / (one - none);
        let fits = code > 0 && rest.is_multiple_of(one - none) && dim > 0 && hidden > 0;
        fits.then_some(Self { dim, code, hidden })
    }

    /// [`len`](Self::len), where that is a number of this machine.
    fn checked_len(self) -> Option<usize> {
        let values = |[out, inside]: [usize; 2]| out.checked_mul(inside.checked_add(1)?);
        let all = LAYERS.into_iter().map(|layer| values(self.of(layer)));
        all.chain([Some(self.dim)]).try_fold(0usize, |sum, values| sum.checked_add(values?))
    }

    /// Number of all parameters.
    #[expect(clippy::len_without_is_empty, reason = "a network has at least one parameter")]
    pub fn len(self) -> usize {
        self.deviations() + self.dim
    }
}

/// The autoencoder in f64. Parameters lie one layer after the other: for each its weights (out × in), then
/// its biases; last the logarithms of `s`.
#[derive(Debug, Clone)]
pub struct Network {
    sizes: Sizes,
    values: Vec<f64>,
}

/// What a pass over a batch leaves.
#[derive(Debug, Default)]
pub(super) struct Pass {
    /// After each layer, and its ReLU where it has one; of the logarithms of variances before they are held.
    outputs: [Vec<f64>; 7],
    codes: Vec<f64>,
    noise: Vec<f64>,
    /// The gradient by what came out of a layer, and by what went in.
    given: Vec<f64>,
    handed: Vec<f64>,
}

impl Network {
    /// A network of given parameters.
    ///
    /// # Panics
    /// When there are not [`Sizes::len`] of them.
    pub fn of(sizes: Sizes, values: Vec<f64>) -> Self {
        assert_eq!(values.len(), sizes.len(), "parameters of an autoencoder");
        Self { sizes, values }
    }

    /// A network to begin with: weights and biases even within ±1/√in, `s` 1.
    pub fn random(sizes: Sizes, stream: &mut Stream) -> Self {
        let mut values = vec![0.0; sizes.len()];
        for layer in LAYERS {
            let [out, inside] = sizes.of(layer);
            let reach = (inside as f64).sqrt().recip();
            let start = sizes.start(layer);
            let of_layer = &mut values[start..start + out * (inside + 1)];
            of_layer.iter_mut().for_each(|value| *value = stream.between(-reach, reach));
        }
        Self { sizes, values }
    }

    /// Its sizes.
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// Its parameters.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The same, to be changed.
    pub(super) fn values_mut(&mut self) -> &mut [f64] {
        &mut self.values
    }

    /// Keeps `ln s_d` at `floors` or above.
    pub(super) fn hold_deviations(&mut self, floors: &[f64]) {
        let start = self.sizes.deviations();
        let deviations = &mut self.values[start..];
        deviations.iter_mut().zip(floors).for_each(|(log, &floor)| *log = log.max(floor));
    }

    /// `ln s_d`.
    pub(super) fn log_deviations(&self) -> &[f64] {
        &self.values[self.sizes.deviations()..]
    }

    fn weights(&self, layer: Layer) -> ArrayView2<'_, f64> {
        let [out, inside] = self.sizes.of(layer);
        let start = self.sizes.start(layer);
        ArrayView2::from_shape((out, inside), &self.values[start..start + out * inside])
            .expect("as many weights as it says")
    }

    fn biases(&self, layer: Layer) -> &[f64] {
        let [out, inside] = self.sizes.of(layer);
        let start = self.sizes.start(layer) + out * inside;
        &self.values[start..start + out]
    }

    /// What comes out of a layer for rows that go in.
    fn apply(&self, layer: Layer, input: &[f64], output: &mut Vec<f64>) {
        let [out, inside] = self.sizes.of(layer);
        let rows = input.len() / inside;
        output.resize(rows * out, 0.0);
        let biases = self.biases(layer);
        output.chunks_exact_mut(out).for_each(|row| row.copy_from_slice(biases));
        let input = ArrayView2::from_shape((rows, inside), input).expect("whole rows");
        let to = ArrayViewMut2::from_shape((rows, out), &mut output[..]).expect("sized above");
        multiply_add(to, input, self.weights(layer).t());
        if matches!(layer, Layer::First | Layer::Second | Layer::Third | Layer::Hidden) {
            output.iter_mut().for_each(|value| *value = value.max(0.0));
        }
    }

    /// For rows (`B × D`) the units with a 1 behind each row (`B × (H + 1)`), and `r = (x − o)/s²` (`B × D`),
    /// at the mean of the code.
    pub(super) fn score<'p>(&self, rows: &[f64], products: &'p mut Products) -> [&'p [f64]; 2] {
        let Sizes { dim, hidden, .. } = self.sizes;
        let [a, b, code, c, units, output, with_one, residuals] = &mut products.0;
        self.apply(Layer::First, rows, a);
        self.apply(Layer::Second, a, b);
        self.apply(Layer::Mean, b, code);
        self.apply(Layer::Third, code, c);
        self.apply(Layer::Hidden, c, units);
        self.apply(Layer::Output, units, output);
        with_one.clear();
        for row in units.chunks_exact(hidden) {
            with_one.extend_from_slice(row);
            with_one.push(1.0);
        }
        let precisions: Vec<f64> =
            self.log_deviations().iter().map(|log| (-2.0 * log).exp()).collect();
        residuals.clear();
        for (row, output) in rows.chunks_exact(dim).zip(output.chunks_exact(dim)) {
            let each = row.iter().zip(output).zip(&precisions);
            residuals.extend(each.map(|((x, o), precision)| (x - o) * precision));
        }
        [with_one, residuals]
    }

    /// The means of rows of these codes (`n × q`), and their deviations `s`.
    pub(super) fn decode(&self, codes: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (mut c, mut units, mut output) = (Vec::new(), Vec::new(), Vec::new());
        self.apply(Layer::Third, codes, &mut c);
        self.apply(Layer::Hidden, &c, &mut units);
        self.apply(Layer::Output, &units, &mut output);
        (output, self.log_deviations().iter().map(|log| log.exp()).collect())
    }

    /// The sum over rows (`B × D`) of the lower bound, with `noise` (`B × q`) for ε.
    pub(super) fn bound(&self, rows: &[f64], noise: &[f64], pass: &mut Pass) -> f64 {
        let Sizes { dim, .. } = self.sizes;
        pass.noise.clear();
        pass.noise.extend_from_slice(noise);
        let [a, b, mean, log, c, units, output] = &mut pass.outputs;
        self.apply(Layer::First, rows, a);
        self.apply(Layer::Second, a, b);
        self.apply(Layer::Mean, b, mean);
        self.apply(Layer::LogVariance, b, log);
        pass.codes.clear();
        let mut bound = 0.0;
        for ((m, l), noise) in mean.iter().zip(log.iter()).zip(noise) {
            let l = l.clamp(LOG_VARIANCES[0], LOG_VARIANCES[1]);
            pass.codes.push(m + noise * (0.5 * l).exp());
            bound -= 0.5 * (m * m + l.exp() - 1.0 - l);
        }
        self.apply(Layer::Third, &pass.codes, c);
        self.apply(Layer::Hidden, c, units);
        self.apply(Layer::Output, units, output);
        let logs = self.log_deviations();
        for (row, output) in rows.chunks_exact(dim).zip(output.chunks_exact(dim)) {
            for ((x, o), log) in row.iter().zip(output).zip(logs) {
                let apart = (x - o) * (-log).exp();
                bound -= 0.5 * apart * apart + log + 0.5 * std::f64::consts::TAU.ln();
            }
        }
        bound
    }

    /// Adds the gradient of what [`bound`](Self::bound) has just computed for `rows` to `gradient`, laid out as
    /// the parameters.
    pub(super) fn add_gradient(&self, rows: &[f64], pass: &mut Pass, gradient: &mut [f64]) {
        let Sizes { dim, .. } = self.sizes;
        let Pass { outputs, codes, noise, given, handed } = pass;
        let [a, b, mean, log, c, units, output] = outputs;
        // By o: r; by ln s: (x − o)²/s² − 1.
        given.clear();
        let deviations = self.sizes.deviations();
        for (row, output) in rows.chunks_exact(dim).zip(output.chunks_exact(dim)) {
            for (j, (x, o)) in row.iter().zip(output).enumerate() {
                let precision = (-2.0 * self.values[deviations + j]).exp();
                given.push((x - o) * precision);
                gradient[deviations + j] += (x - o).powi(2) * precision - 1.0;
            }
        }
        self.back(Layer::Output, units, given, gradient, handed);
        through_relu(units, handed);
        self.back(Layer::Hidden, c, handed, gradient, given);
        through_relu(c, given);
        self.back(Layer::Third, codes, given, gradient, handed);
        // By z: to m as it is, to l by ½ ε e^{l/2}; then what the prior adds.
        given.clear();
        for (((by_code, m), l), noise) in handed.iter_mut().zip(&*mean).zip(&*log).zip(&*noise) {
            let held = l.clamp(LOG_VARIANCES[0], LOG_VARIANCES[1]);
            let inside = *l > LOG_VARIANCES[0] && *l < LOG_VARIANCES[1];
            let by_log = *by_code * 0.5 * noise * (0.5 * held).exp() - 0.5 * (held.exp() - 1.0);
            given.push(if inside { by_log } else { 0.0 });
            *by_code -= m;
        }
        let (mut by_mean, mut by_log) = (Vec::new(), Vec::new());
        self.back(Layer::Mean, b, handed, gradient, &mut by_mean);
        self.back(Layer::LogVariance, b, given, gradient, &mut by_log);
        by_mean.iter_mut().zip(&by_log).for_each(|(sum, value)| *sum += value);
        through_relu(b, &mut by_mean);
        self.back(Layer::Second, a, &by_mean, gradient, handed);
        through_relu(a, handed);
        self.back(Layer::First, rows, handed, gradient, given);
    }

    /// Adds the gradient of a layer for what went in and the gradient by what came out; `handed` becomes the
    /// gradient by what went in.
    fn back(
        &self,
        layer: Layer,
        input: &[f64],
        by_output: &[f64],
        gradient: &mut [f64],
        handed: &mut Vec<f64>,
    ) {
        let [out, inside] = self.sizes.of(layer);
        let rows = by_output.len() / out;
        let by_output = ArrayView2::from_shape((rows, out), by_output).expect("whole rows");
        let input = ArrayView2::from_shape((rows, inside), input).expect("whole rows");
        let start = self.sizes.start(layer);
        let (weights, biases) =
            gradient[start..start + out * (inside + 1)].split_at_mut(out * inside);
        let to = ArrayViewMut2::from_shape((out, inside), weights).expect("sizes of the layer");
        multiply_add(to, by_output.t(), input);
        for row in by_output.rows() {
            biases.iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
        }
        handed.resize(rows * inside, 0.0);
        if layer != Layer::First {
            let to = ArrayViewMut2::from_shape((rows, inside), &mut handed[..]).expect("sized");
            multiply(to, by_output, self.weights(layer));
        }
    }
}

/// Sets the gradient to 0 where nothing came out.
fn through_relu(output: &[f64], gradient: &mut [f64]) {
    for (gradient, output) in gradient.iter_mut().zip(output) {
        if *output <= 0.0 {
            *gradient = 0.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;

    /// The gradient of every hundredth parameter, and of all of the small layers, against central
    /// differences.
    #[test]
    fn the_gradient_is_that_of_the_bound() {
        let sizes = Sizes { dim: 5, code: 2, hidden: 4 };
        let mut stream = Seed(3).stream("network", 0);
        let mut network = Network::random(sizes, &mut stream);
        let start = sizes.deviations();
        (0..5).for_each(|j| network.values[start + j] = 0.3 * j as f64 - 0.5);
        let rows: Vec<f64> = (0..7 * 5).map(|_| stream.normal()).collect();
        let noise: Vec<f64> = (0..7 * 2).map(|_| stream.normal()).collect();
        let mut pass = Pass::default();
        let mut gradient = vec![0.0; sizes.len()];
        network.bound(&rows, &noise, &mut pass);
        network.add_gradient(&rows, &mut pass, &mut gradient);
        let largest = gradient.iter().fold(0.0, |a: f64, b| a.max(b.abs()));
        let small: Vec<usize> = [Layer::Mean, Layer::LogVariance, Layer::Output]
            .into_iter()
            .flat_map(|layer| sizes.start(layer)..sizes.start(layer) + 20)
            .chain(start..sizes.len())
            .collect();
        let (mut checked, mut nonzero) = (0, 0);
        for place in (0..sizes.len()).step_by(97).chain(small) {
            const STEP: f64 = 1e-5;
            let kept = network.values[place];
            let mut at = |value: f64| {
                network.values[place] = value;
                network.bound(&rows, &noise, &mut pass)
            };
            let difference = (at(kept + STEP) - at(kept - STEP)) / (2.0 * STEP);
            network.values[place] = kept;
            let apart = (difference - gradient[place]).abs();
            assert!(apart < 1e-6 * largest, "{place}: {difference} {}", gradient[place]);
            checked += 1;
            nonzero += usize::from(gradient[place] != 0.0);
        }
        assert!(checked > 500 && nonzero > checked / 4, "{checked} {nonzero}");
    }
}
