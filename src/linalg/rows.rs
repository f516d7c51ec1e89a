//! Rows of a matrix that may live in memory or in mapped files.

use std::ops::Range;

use ndarray::ArrayView2;

/// An `N × dim` matrix read row by row, whatever stores it.
pub trait Rows: Sync {
    /// Number of rows.
    fn len(&self) -> usize;

    /// Values in a row.
    fn dim(&self) -> usize;

    /// The values of row `i` in the given columns as f32. `scratch` is used where the stored form is
    /// another one (f16), so that a caller keeps one per worker; a pass over panels of columns
    /// converts each value once.
    fn segment<'a>(
        &'a self,
        i: usize,
        columns: Range<usize>,
        scratch: &'a mut Vec<f32>,
    ) -> &'a [f32];

    /// The whole row `i`.
    fn row<'a>(&'a self, i: usize, scratch: &'a mut Vec<f32>) -> &'a [f32] {
        self.segment(i, 0..self.dim(), scratch)
    }

    /// Writes the values of row `i` in the given columns to `out`.
    fn copy(&self, i: usize, columns: Range<usize>, out: &mut [f32]) {
        out.copy_from_slice(self.segment(i, columns, &mut Vec::new()));
    }

    /// Columns that were joined from one matrix each, with the factor that it was multiplied by.
    fn parts(&self) -> Vec<(Range<usize>, f32)> {
        vec![(0..self.dim(), 1.0)]
    }

    /// The given rows are read in these columns before long: what stores them may fetch them meanwhile. A
    /// hint; it changes no value.
    fn soon(&self, _rows: Range<usize>, _columns: Range<usize>) {}

    /// True when there is no row.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// All rows in neighbouring ranges of `step`, from the first to the last, for a pass that reads each row
/// once: while one range is worked on, the next is asked for ([`Rows::soon`]).
pub fn stream(rows: &dyn Rows, step: usize) -> impl Iterator<Item = Range<usize>> {
    let range = move |start: usize| start..(start + step).min(rows.len());
    (0..rows.len()).step_by(step).map(move |start| {
        let range_here = range(start);
        let ask_from = if start == 0 { 0 } else { range_here.end };
        rows.soon(ask_from..range(range_here.end).end.max(ask_from), 0..rows.dim());
        range_here
    })
}

/// Runs of neighbours in a list of rows.
fn neighbours(rows: &[usize]) -> impl Iterator<Item = Range<usize>> {
    let runs = rows.chunk_by(|a, b| a + 1 == *b);
    runs.map(|run| run[0]..run[0] + run.len())
}

impl Rows for ArrayView2<'_, f32> {
    fn len(&self) -> usize {
        self.nrows()
    }

    fn dim(&self) -> usize {
        self.ncols()
    }

    fn segment<'a>(&'a self, i: usize, columns: Range<usize>, _: &'a mut Vec<f32>) -> &'a [f32] {
        let values = self.as_slice().expect("rows are row-major");
        &values[i * self.ncols()..(i + 1) * self.ncols()][columns]
    }
}

/// Some neighbouring columns of a matrix.
pub struct Columns<'r> {
    matrix: &'r dyn Rows,
    columns: Range<usize>,
}

impl<'r> Columns<'r> {
    /// The given columns of `matrix`.
    ///
    /// # Panics
    /// When it has fewer.
    pub fn new(matrix: &'r dyn Rows, columns: Range<usize>) -> Self {
        assert!(columns.end <= matrix.dim(), "columns of a matrix");
        Self { matrix, columns }
    }

    fn of_matrix(&self, columns: Range<usize>) -> Range<usize> {
        self.columns.start + columns.start..self.columns.start + columns.end
    }
}

impl Rows for Columns<'_> {
    fn len(&self) -> usize {
        self.matrix.len()
    }

    fn dim(&self) -> usize {
        self.columns.len()
    }

    fn segment<'a>(
        &'a self,
        i: usize,
        columns: Range<usize>,
        scratch: &'a mut Vec<f32>,
    ) -> &'a [f32] {
        self.matrix.segment(i, self.of_matrix(columns), scratch)
    }

    fn copy(&self, i: usize, columns: Range<usize>, out: &mut [f32]) {
        self.matrix.copy(i, self.of_matrix(columns), out);
    }

    fn soon(&self, rows: Range<usize>, columns: Range<usize>) {
        self.matrix.soon(rows, self.of_matrix(columns));
    }
}

/// Some rows of a matrix, in any order.
pub struct Chosen<'r> {
    matrix: &'r dyn Rows,
    rows: Vec<usize>,
}

impl<'r> Chosen<'r> {
    /// The given rows of `matrix`.
    ///
    /// # Panics
    /// When it has no such row.
    pub fn new(matrix: &'r dyn Rows, rows: Vec<usize>) -> Self {
        assert!(rows.iter().all(|&row| row < matrix.len()), "rows of a matrix");
        Self { matrix, rows }
    }
}

impl Rows for Chosen<'_> {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn dim(&self) -> usize {
        self.matrix.dim()
    }

    fn segment<'a>(
        &'a self,
        i: usize,
        columns: Range<usize>,
        scratch: &'a mut Vec<f32>,
    ) -> &'a [f32] {
        self.matrix.segment(self.rows[i], columns, scratch)
    }

    fn copy(&self, i: usize, columns: Range<usize>, out: &mut [f32]) {
        self.matrix.copy(self.rows[i], columns, out);
    }

    fn soon(&self, rows: Range<usize>, columns: Range<usize>) {
        neighbours(&self.rows[rows]).for_each(|run| self.matrix.soon(run, columns.clone()));
    }

    fn parts(&self) -> Vec<(Range<usize>, f32)> {
        self.matrix.parts()
    }
}

/// A matrix some of whose columns count as 0.
#[derive(Debug)]
pub struct Blanked<R> {
    matrix: R,
    /// Ascending, apart from each other.
    columns: Vec<Range<usize>>,
}

impl<R: Rows> Blanked<R> {
    /// `matrix` without the given columns, ascending and apart from each other.
    pub fn new(matrix: R, columns: Vec<Range<usize>>) -> Self {
        Self { matrix, columns }
    }
}

impl<R: Rows> Rows for Blanked<R> {
    fn len(&self) -> usize {
        self.matrix.len()
    }

    fn dim(&self) -> usize {
        self.matrix.dim()
    }

    fn segment<'a>(
        &'a self,
        i: usize,
        columns: Range<usize>,
        scratch: &'a mut Vec<f32>,
    ) -> &'a [f32] {
        if self.columns.is_empty() {
            return self.matrix.segment(i, columns, scratch);
        }
        scratch.resize(columns.len(), 0.0);
        self.copy(i, columns, scratch);
        scratch
    }

    fn copy(&self, i: usize, columns: Range<usize>, out: &mut [f32]) {
        self.matrix.copy(i, columns.clone(), out);
        let first = self.columns.partition_point(|blank| blank.end <= columns.start);
        for blank in &self.columns[first..] {
            let (start, end) = (blank.start.max(columns.start), blank.end.min(columns.end));
            if start >= end {
                break;
            }
            out[start - columns.start..end - columns.start].fill(0.0);
        }
    }

    fn soon(&self, rows: Range<usize>, columns: Range<usize>) {
        self.matrix.soon(rows, columns);
    }

    fn parts(&self) -> Vec<(Range<usize>, f32)> {
        self.matrix.parts()
    }
}

/// Rows of several matrices of one width, one matrix after the other.
pub struct Stacked<'r> {
    matrices: Vec<&'r dyn Rows>,
}

impl<'r> Stacked<'r> {
    /// The given matrices.
    ///
    /// # Panics
    /// When they are of different widths.
    pub fn new(matrices: Vec<&'r dyn Rows>) -> Self {
        let widths = matrices.windows(2).all(|two| two[0].dim() == two[1].dim());
        assert!(widths, "stacked matrices are of one width");
        Self { matrices }
    }

    /// The matrix that a row is of, and its place there.
    fn of_row(&self, mut row: usize) -> (&'r dyn Rows, usize) {
        for matrix in &self.matrices {
            if row < matrix.len() {
                return (*matrix, row);
            }
            row -= matrix.len();
        }
        panic!("a row of stacked matrices");
    }

    /// The matrices that a range of rows is of, each with its own rows.
    fn of_range(&self, rows: Range<usize>) -> impl Iterator<Item = (&'r dyn Rows, Range<usize>)> {
        let mut start = 0;
        self.matrices.iter().filter_map(move |matrix| {
            let own =
                rows.start.max(start) - start..rows.end.saturating_sub(start).min(matrix.len());
            start += matrix.len();
            (!own.is_empty()).then_some((*matrix, own))
        })
    }
}

impl Rows for Stacked<'_> {
    fn len(&self) -> usize {
        self.matrices.iter().map(|matrix| matrix.len()).sum()
    }

    fn dim(&self) -> usize {
        self.matrices.first().map_or(0, |matrix| matrix.dim())
    }

    fn segment<'a>(
        &'a self,
        i: usize,
        columns: Range<usize>,
        scratch: &'a mut Vec<f32>,
    ) -> &'a [f32] {
        let (matrix, row) = self.of_row(i);
        matrix.segment(row, columns, scratch)
    }

    fn copy(&self, i: usize, columns: Range<usize>, out: &mut [f32]) {
        let (matrix, row) = self.of_row(i);
        matrix.copy(row, columns, out);
    }

    fn soon(&self, rows: Range<usize>, columns: Range<usize>) {
        self.of_range(rows).for_each(|(matrix, own)| matrix.soon(own, columns.clone()));
    }
}

/// Rows of several matrices side by side, each multiplied by a factor: row `i` is
/// `[s_1 · A_1[r_1(i)] | s_2 · A_2[r_2(i)] | …]`.
#[derive(Debug)]
pub struct Joined<R> {
    parts: Vec<Part<R>>,
    len: usize,
    dim: usize,
}

#[derive(Debug)]
struct Part<R> {
    matrix: R,
    factor: f32,
    /// Row of `matrix` for every row of the whole.
    rows: Vec<usize>,
    /// First column in the whole.
    start: usize,
}

impl<R: Rows> Joined<R> {
    /// Joins matrices with their factors and, for every row of the whole, the row of theirs.
    ///
    /// # Panics
    /// When the lists of rows are of different lengths.
    pub fn new(matrices: impl IntoIterator<Item = (R, f32, Vec<usize>)>) -> Self {
        let (mut parts, mut dim) = (Vec::<Part<R>>::new(), 0);
        for (matrix, factor, rows) in matrices {
            let start = dim;
            dim += matrix.dim();
            if let Some(first) = parts.first() {
                assert_eq!(first.rows.len(), rows.len(), "rows of joined matrices");
            }
            parts.push(Part { matrix, factor, rows, start });
        }
        let len = parts.first().map_or(0, |part| part.rows.len());
        Self { parts, len, dim }
    }
}

impl<R: Rows> Rows for Joined<R> {
    fn len(&self) -> usize {
        self.len
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn segment<'a>(
        &'a self,
        i: usize,
        columns: Range<usize>,
        scratch: &'a mut Vec<f32>,
    ) -> &'a [f32] {
        if let [only] = &self.parts[..]
            && only.factor == 1.0
        {
            return only.matrix.segment(only.rows[i], columns, scratch);
        }
        scratch.resize(columns.len(), 0.0);
        self.copy(i, columns, scratch);
        scratch
    }

    fn parts(&self) -> Vec<(Range<usize>, f32)> {
        let of = |part: &Part<R>| (part.start..part.start + part.matrix.dim(), part.factor);
        self.parts.iter().map(of).collect()
    }

    fn copy(&self, i: usize, columns: Range<usize>, out: &mut [f32]) {
        for part in &self.parts {
            let (start, end) = (part.start, part.start + part.matrix.dim());
            let seen = columns.start.max(start)..columns.end.min(end);
            if seen.is_empty() {
                continue;
            }
            let out = &mut out[seen.start - columns.start..seen.end - columns.start];
            part.matrix.copy(part.rows[i], seen.start - start..seen.end - start, out);
            if part.factor != 1.0 {
                out.iter_mut().for_each(|value| *value *= part.factor);
            }
        }
    }

    fn soon(&self, rows: Range<usize>, columns: Range<usize>) {
        for part in &self.parts {
            let (start, end) = (part.start, part.start + part.matrix.dim());
            let seen = columns.start.max(start)..columns.end.min(end);
            if !seen.is_empty() {
                let of_part = seen.start - start..seen.end - start;
                let runs = neighbours(&part.rows[rows.clone()]);
                runs.for_each(|run| part.matrix.soon(run, of_part.clone()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn joined_rows_are_those_of_their_matrices() {
        let (a, b) = (array![[1.0f32, 2.0], [3.0, 4.0]], array![[5.0f32], [6.0], [7.0]]);
        let joined = Joined::new([(a.view(), 1.0, vec![1, 0]), (b.view(), 2.0, vec![0, 2])]);
        assert_eq!((joined.len(), Rows::dim(&joined)), (2, 3));
        let scratch = &mut Vec::new();
        assert_eq!(joined.row(0, scratch), [3.0, 4.0, 10.0]);
        assert_eq!(joined.row(1, scratch), [1.0, 2.0, 14.0]);
        for (columns, expected) in [(1..3, &[2.0, 14.0][..]), (2..3, &[14.0]), (0..1, &[1.0])] {
            assert_eq!(joined.segment(1, columns, scratch), expected);
        }
        let blanked = Blanked::new(joined, vec![0..1, 2..3]);
        assert_eq!(blanked.row(0, scratch), [0.0, 4.0, 0.0]);
        assert_eq!(blanked.segment(1, 1..2, scratch), [2.0]);
        let stacked = [a.view(), array![[8.0f32, 9.0]].view()].map(|m| m.to_owned());
        let views = stacked.each_ref().map(|m| m.view());
        let stacked = Stacked::new(views.iter().map(|m| m as &dyn Rows).collect());
        assert_eq!((stacked.len(), stacked.row(2, scratch)), (3, &[8.0, 9.0][..]));
        let alone = Joined::new([(a.view(), 1.0, vec![1])]);
        assert_eq!(alone.segment(0, 1..2, &mut Vec::new()), [4.0]);
    }

    /// Keeps what was asked for.
    struct Asked(std::sync::Mutex<Vec<[usize; 4]>>, [usize; 2]);

    impl Rows for Asked {
        fn len(&self) -> usize {
            self.1[0]
        }

        fn dim(&self) -> usize {
            self.1[1]
        }

        fn segment<'a>(&'a self, _: usize, _: Range<usize>, _: &'a mut Vec<f32>) -> &'a [f32] {
            &[]
        }

        fn soon(&self, rows: Range<usize>, columns: Range<usize>) {
            self.0.lock().unwrap().push([rows.start, rows.end, columns.start, columns.end]);
        }
    }

    impl Asked {
        fn new(rows: usize, columns: usize) -> Self {
            Self(Default::default(), [rows, columns])
        }

        fn take(&self) -> Vec<[usize; 4]> {
            std::mem::take(&mut self.0.lock().unwrap())
        }
    }

    #[test]
    fn what_is_asked_of_a_whole_is_asked_of_its_parts() {
        let (a, b) = (Asked::new(5, 4), Asked::new(3, 4));
        Columns::new(&a, 1..3).soon(2..4, 0..1);
        assert_eq!(a.take(), [[2, 4, 1, 2]]);
        Chosen::new(&a, vec![3, 4, 0, 2]).soon(0..3, 0..4);
        assert_eq!(a.take(), [[3, 5, 0, 4], [0, 1, 0, 4]]);
        Stacked::new(vec![&a, &b]).soon(4..7, 1..4);
        assert_eq!((a.take(), b.take()), (vec![[4, 5, 1, 4]], vec![[0, 2, 1, 4]]));
        let joined = Joined::new([(a, 1.0, vec![1, 2, 0]), (b, 2.0, vec![0, 1, 2])]);
        let blanked = Blanked::new(joined, std::iter::once(0..2).collect());
        let take =
            || blanked.matrix.parts.iter().map(|part| part.matrix.take()).collect::<Vec<_>>();
        blanked.soon(0..3, 3..6);
        assert_eq!(take(), [vec![[1, 3, 3, 4], [0, 1, 3, 4]], vec![[0, 3, 0, 2]]]);
        blanked.soon(1..2, 4..5);
        assert_eq!(take(), [vec![], vec![[1, 2, 0, 1]]]);
    }

    #[test]
    fn a_stream_asks_for_every_row_once_before_it_comes() {
        let rows = Asked::new(7, 2);
        let mut stream = stream(&rows, 3);
        for (range, asked) in [(0..3, [0, 6, 0, 2]), (3..6, [6, 7, 0, 2]), (6..7, [7, 7, 0, 2])] {
            assert_eq!((stream.next(), rows.take()), (Some(range), vec![asked]));
        }
        assert_eq!(stream.next(), None);
        assert_eq!(super::stream(&Asked::new(0, 2), 3).next(), None);
    }
}
