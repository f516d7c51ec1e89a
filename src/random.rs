//! Seeded randomness: one independent stream per (seed, stage, item).
//!
//! A stream depends on nothing else: not on threads, order of work or the clock. The generator
//! is xoshiro256++ (Blackman & Vigna 2021), keyed by BLAKE3; how words become numbers is written
//! out here, because results must not change with a library's version.

/// The run's seed, from which every stream is derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Seed(pub u64);

impl Seed {
    /// The stream of `item` within `stage`.
    ///
    /// ```
    /// use fvtool::random::Seed;
    /// let once: Vec<u64> = std::iter::repeat_with({ let mut s = Seed(7).stream("demo", 3); move || s.next_u64() }).take(2).collect();
    /// let mut again = Seed(7).stream("demo", 3);
    /// assert_eq!(once, [again.next_u64(), again.next_u64()]);
    /// assert_ne!(once[0], Seed(7).stream("demo", 4).next_u64());
    /// ```
    pub fn stream(self, stage: &str, item: u64) -> Stream {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.0.to_le_bytes()).update(&item.to_le_bytes()).update(stage.as_bytes());
        let digest = hasher.finalize();
        let mut state = [0u64; 4];
        for (word, bytes) in state.iter_mut().zip(digest.as_bytes().chunks_exact(8)) {
            *word = u64::from_le_bytes(bytes.try_into().expect("chunks of eight bytes"));
        }
        Stream { state }
    }
}

/// A stream of random numbers. See [`Seed::stream`].
#[derive(Debug, Clone)]
pub struct Stream {
    state: [u64; 4],
}

impl Stream {
    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// Uniform in [0, 1), a multiple of 2⁻⁵³.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in [low, high).
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform in 0..bound (multiply-shift; its bias is below `bound`/2⁶⁴). `bound` 0 gives 0.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next_u64()) * bound as u128) >> 64) as usize
    }

    /// Standard normal (Box–Muller, one of the pair).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Shuffles in place (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            let j = self.below(i + 1);
            items.swap(i, j);
        }
    }

    /// `count` distinct indices out of `0..n`, ascending; all of them when `count ≥ n`.
    pub fn sample(&mut self, n: usize, count: usize) -> Vec<usize> {
        let mut kept = Vec::with_capacity(count.min(n));
        // Selection sampling (Knuth, TAOCP 2, algorithm 3.4.2 S): one pass, already in order.
        for i in 0..n {
            let wanted = count.min(n) - kept.len();
            if wanted == 0 {
                break;
            }
            if self.below(n - i) < wanted {
                kept.push(i);
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First words of xoshiro256++ from state {1, 2, 3, 4}, from the authors' C program.
    #[test]
    fn matches_the_published_generator() {
        let mut stream = Stream { state: [1, 2, 3, 4] };
        let words: Vec<u64> = (0..4).map(|_| stream.next_u64()).collect();
        assert_eq!(words, [41943041, 58720359, 3588806011781223, 3591011842654386]);
    }

    #[test]
    fn a_sample_is_distinct_ascending_and_unbiased() {
        let mut hits = [0u32; 20];
        for item in 0..4000 {
            let sample = Seed(1).stream("sample", item).sample(20, 5);
            assert_eq!(sample.len(), 5);
            assert!(sample.windows(2).all(|w| w[0] < w[1]));
            sample.iter().for_each(|&i| hits[i] += 1);
        }
        // Each index is drawn 1000 times on average, standard deviation 27: 5 of them allowed.
        assert!(hits.iter().all(|&h| (863..=1137).contains(&h)), "{hits:?}");
        assert_eq!(Seed(1).stream("sample", 0).sample(3, 9), [0, 1, 2]);
    }

    #[test]
    fn normals_have_unit_variance() {
        let mut stream = Seed(2).stream("normal", 0);
        let draws: Vec<f64> = (0..20_000).map(|_| stream.normal()).collect();
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        let variance = draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.035 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }
}
