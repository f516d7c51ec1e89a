//! Relevance of visual words, the components of every channel's mixture, in a run: from stored vectors, and from
//! images that were taken apart ([`crate::explanation::words`]).

use ndarray::Array2;

use super::explainer::{Examined, Explainer, of_classes, of_part_alone};
use super::selection::Word;
use crate::describer;
use crate::descriptors::Frame;
use crate::error::Result;
use crate::explanation::audit::GRID;
use crate::explanation::audit_words::spot_share;
use crate::explanation::{Classifier, words};
use crate::linalg::Rows;

impl Explainer {
    /// All words: the components of every channel.
    pub(super) fn words(&self) -> Vec<Word> {
        let channels = self.describer.channels().iter().enumerate();
        let of_channel = |(channel, part): (usize, &describer::Channel)| {
            let components = part.encoder.encoder().layout().components();
            (0..components).map(move |component| Word { channel, component })
        };
        channels.flat_map(of_channel).collect()
    }

    /// The name of a word: its number, after that of its channel where there are several.
    pub(super) fn name_of(&self, word: Word) -> String {
        match self.describer.channels()[word.channel].encoder.name() {
            "" => word.component.to_string(),
            channel => format!("{channel}:{}", word.component),
        }
    }

    /// `R_k` of every word for a class, from the stored vector of an image.
    pub(super) fn relevance_of_words(&self, item: usize, class: usize) -> Vec<f64> {
        let row = self.rows[&self.split.items[item].id];
        let mut scratch = Vec::new();
        let vector = self.vectors.row(row, &mut scratch);
        let weights = self.model.weights.row(class);
        let weights = weights.to_slice().expect("a model's rows are contiguous");
        let share = f64::from(self.model.bias[class]) / weights.len() as f64;
        let of_channel = |part: &describer::Channel| {
            let columns = part.columns.clone();
            let layout = part.encoder.encoder().layout();
            words::of_vector(layout, &vector[columns.clone()], &weights[columns], share)
        };
        self.describer.channels().iter().flat_map(of_channel).collect()
    }

    /// The part of a class's weights and bias that is of one channel.
    fn of_channel(&self, class: usize, channel: &describer::Channel) -> (Array2<f32>, Vec<f32>) {
        let (weights, bias) = of_classes(&self.model, &[class]);
        of_part_alone(Classifier { weights: weights.view(), bias: &bias }, &channel.columns)
    }

    /// The frames of a channel, and the relevance of each by some of its components alone, a column each.
    pub(super) fn words_by_descriptors<'x>(
        &self,
        examined: &'x Examined<'_>,
        class: usize,
        channel: usize,
        components: &[usize],
    ) -> Result<(&'x [Frame], Array2<f64>)> {
        let (channel, part) = (&self.describer.channels()[channel], &examined.parts[channel]);
        let (weights, bias) = self.of_channel(class, channel);
        let found = words::of_descriptors(
            &part.contributions,
            &part.sums,
            &examined.vector[channel.columns.clone()],
            Classifier { weights: weights.view(), bias: &bias },
            self.rules.descriptors,
            components,
        )?;
        Ok((&part.frames, found))
    }

    /// The word that explains each descriptor most, by its number among all.
    pub(super) fn nearest_words(&self, examined: &Examined<'_>) -> Vec<Option<usize>> {
        let mut first = 0;
        let mut of_row = Vec::with_capacity(examined.frames.len());
        for (channel, part) in self.describer.channels().iter().zip(&examined.parts) {
            let nearest = part.contributions.nearest_components();
            of_row.extend(nearest.into_iter().map(|k| k.map(|k| first + k as usize)));
            first += channel.encoder.encoder().layout().components();
        }
        of_row
    }

    /// Of the positive relevance of some words outside what is marked in `near`, the share in the one spot that has
    /// most of it.
    pub(super) fn spot_of_words(
        &self,
        examined: &Examined<'_>,
        class: usize,
        words: &[usize],
        near: &[bool],
    ) -> Result<f64> {
        let [width, height] = examined.size;
        let known = self.words();
        let mut cells = vec![0.0; GRID * GRID];
        for channel in 0..self.describer.channels().len() {
            let of_channel = words.iter().filter(|&&word| known[word].channel == channel);
            let components: Vec<usize> = of_channel.map(|&word| known[word].component).collect();
            if components.is_empty() {
                continue;
            }
            let (frames, relevance) =
                self.words_by_descriptors(examined, class, channel, &components)?;
            for (frame, of_frame) in frames.iter().zip(relevance.rows()) {
                let pixel = frame.pixel(examined.size);
                if !near[pixel] {
                    let (row, column) =
                        (pixel / width * GRID / height, pixel % width * GRID / width);
                    cells[row * GRID + column] += of_frame.iter().map(|r| r.max(0.0)).sum::<f64>();
                }
            }
        }
        Ok(spot_share(&cells))
    }

    /// Of every word, its share of the positive relevance of all words, from the descriptors whose centre is
    /// not marked in `near` (a mark a pixel); and the share of all descriptors that are such and its.
    pub(super) fn words_outside(
        &self,
        examined: &Examined<'_>,
        item: usize,
        class: usize,
        near: &[bool],
    ) -> Result<(Vec<f32>, Vec<f32>)> {
        let outside = |frame: &Frame| !near[frame.pixel(examined.size)];
        let all = self.relevance_of_words(item, class);
        let total: f64 = all.iter().map(|r| r.max(0.0)).sum();
        let mut words = Vec::with_capacity(all.len());
        for (channel, part) in self.describer.channels().iter().zip(&examined.parts) {
            let (weights, bias) = self.of_channel(class, channel);
            let marked: Vec<bool> = part.frames.iter().map(outside).collect();
            words.extend(words::of_marked(
                &part.contributions,
                &part.sums,
                &examined.vector[channel.columns.clone()],
                Classifier { weights: weights.view(), bias: &bias },
                self.rules.descriptors,
                &marked,
            )?);
        }
        let mut rows = vec![0.0f32; words.len()];
        let each = 1.0 / examined.frames.len() as f32;
        for (word, frame) in self.nearest_words(examined).into_iter().zip(&examined.frames) {
            if let Some(word) = word.filter(|_| outside(frame)) {
                rows[word] += each;
            }
        }
        let share = |r: f64| if total > 0.0 { (r.max(0.0) / total) as f32 } else { 0.0 };
        Ok((words.into_iter().map(share).collect(), rows))
    }
}
