//! A part of work that is done in parts, and how the engines that start the parts number them.
//!
//! ```text
//! part I of N of S things:  ⌊I·S/N⌋ … ⌊(I+1)·S/N⌋,  I from 0
//! ```
//!
//! Parts are contiguous, lie in order, and hold each thing once.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// The environment's word for the number of parts, whatever the engine says.
const PARTS: &str = "FVTOOL_PARTS";

/// What to do where a number of parts does not follow from the environment.
const WAY_OUT: &str =
    "give --part I/N, or the number of all parts as FVTOOL_PARTS=N in the environment (I is then \
     the task's number as it is, from 0)";

/// One of several parts of the same work.
///
/// As text `I/N`, I from 0, or `auto`, which asks the environment ([`from_environment`](Self::from_environment)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    index: usize,
    count: usize,
}

impl Part {
    /// The only part: everything.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// Part `index`, from 0, of `count`.
    ///
    /// # Errors
    /// What is wrong with the numbers.
    pub fn new(index: usize, count: usize) -> Result<Self, String> {
        match count {
            0 => Err(format!("{index}/{count}: there must be at least one part")),
            1 if index > 0 => Err(format!("{index}/1: parts are numbered from 0, so the only one is 0/1")),
            _ if index >= count => Err(format!(
                "{index}/{count}: parts are numbered from 0, so the last one of {count} is {}/{count}",
                count - 1
            )),
            _ => Ok(Self { index, count }),
        }
    }

    /// Its number, from 0.
    pub fn index(self) -> usize {
        self.index
    }

    /// The number of all parts.
    pub fn count(self) -> usize {
        self.count
    }

    /// Its share of `things`; empty where there are fewer things than parts and others have them.
    pub fn range(self, things: usize) -> Range<usize> {
        let Range { start, end } = self.range_of(things as u64);
        // Neither is above `things`.
        start as usize..end as usize
    }

    /// As [`range`](Self::range), of what may be more than memory holds: the bytes of a file.
    pub fn range_of(self, things: u64) -> Range<u64> {
        let bound = |index: usize| (index as u128 * u128::from(things) / self.count as u128) as u64;
        bound(self.index)..bound(self.index + 1)
    }

    /// The part that this process is to do, by the environment of a job array. `get` is a variable's value.
    ///
    /// | engine | number | of |
    /// |---|---|---|
    /// | Slurm, `--array=0-99` or `1-100` | `SLURM_ARRAY_TASK_ID` less `_MIN` | `SLURM_ARRAY_TASK_COUNT` |
    /// | AWS Batch | `AWS_BATCH_JOB_ARRAY_INDEX` | `AWS_BATCH_JOB_ARRAY_SIZE` |
    /// | Kubernetes, indexed job | `JOB_COMPLETION_INDEX` | `JOB_COMPLETIONS`, which the pod must be given |
    /// | PBS | `PBS_ARRAY_INDEX` | `FVTOOL_PARTS` |
    ///
    /// `FVTOOL_PARTS=N` says the number of parts in place of the engine; the part is then the task's number as the
    /// engine gives it, which must be below N: such arrays are numbered from 0. Tasks that failed can so be repeated
    /// alone: Slurm tells the tasks of `--array=3,7` that there are two of them, and without `FVTOOL_PARTS` they would
    /// do halves of the whole instead of two of the first array's parts. Slurm's arrays that may be such a repetition
    /// are refused: those with gaps, those that begin at neither 0 nor 1, and those of a single task. That of the
    /// first few tasks alone (`--array=0-2`) looks like a new array, so `FVTOOL_PARTS` is the safe way.
    ///
    /// # Errors
    /// Where no engine or several have left their variables, or these do not say a part; with the way out.
    pub fn from_environment(get: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let get = |name: &str| get(name).filter(|value| !value.trim().is_empty());
        let found: Vec<&Engine> =
            ENGINES.iter().filter(|engine| get(engine.index).is_some()).collect();
        let engine = match found[..] {
            [engine] => engine,
            [] => {
                return Err(format!(
                    "no job array is to be seen (no {}); give --part I/N",
                    ENGINES.map(|engine| engine.index).join(", no ")
                ));
            }
            [first, second, ..] => {
                return Err(format!(
                    "two job arrays are to be seen, of {} ({}) and of {} ({}); give --part I/N",
                    first.name, first.index, second.name, second.index
                ));
            }
        };
        let number = |name: &str| -> Result<usize, String> {
            let text = get(name).ok_or_else(|| {
                format!(
                    "{} has set {}, but {name} is missing; {WAY_OUT}",
                    engine.name, engine.index
                )
            })?;
            text.trim().parse().map_err(|_| format!("{name} is `{text}`, which is no whole number"))
        };
        let index = number(engine.index)?;
        let [index, count] = if get(PARTS).is_some() {
            [index, number(PARTS)?]
        } else if engine.index == SLURM.index {
            [slurm(index, &number)?, number(SLURM.count)?]
        } else if engine.count == PARTS {
            return Err(format!(
                "{} does not say how many tasks there are; {WAY_OUT}",
                engine.name
            ));
        } else {
            [index, number(engine.count)?]
        };
        Self::new(index, count)
            .map_err(|problem| format!("by the environment of {}, {problem}", engine.name))
    }
}

/// What starts the tasks of an array, and its variables.
#[derive(Clone, Copy)]
struct Engine {
    name: &'static str,
    /// The task's number.
    index: &'static str,
    /// The number of tasks.
    count: &'static str,
}

const SLURM: Engine =
    Engine { name: "Slurm", index: "SLURM_ARRAY_TASK_ID", count: "SLURM_ARRAY_TASK_COUNT" };

const ENGINES: [Engine; 4] = [
    SLURM,
    Engine {
        name: "AWS Batch",
        index: "AWS_BATCH_JOB_ARRAY_INDEX",
        count: "AWS_BATCH_JOB_ARRAY_SIZE",
    },
    Engine { name: "Kubernetes", index: "JOB_COMPLETION_INDEX", count: "JOB_COMPLETIONS" },
    Engine { name: "PBS", index: "PBS_ARRAY_INDEX", count: PARTS },
];

/// The place of a Slurm task in an array that is whole as far as can be seen.
fn slurm(id: usize, number: &impl Fn(&str) -> Result<usize, String>) -> Result<usize, String> {
    let [first, last, count] =
        [number("SLURM_ARRAY_TASK_MIN")?, number("SLURM_ARRAY_TASK_MAX")?, number(SLURM.count)?];
    let refuse = |what: String| {
        Err(format!("{what}: it may be there to repeat some tasks of another, which had more parts; {WAY_OUT}"))
    };
    // Slurm's step says no more: that of `3,7` may be 4, as if every fourth task were meant.
    if last.checked_sub(first).is_none_or(|span| span != count.wrapping_sub(1)) {
        return refuse(format!("the Slurm array of {count} tasks from {first} to {last} has gaps"));
    }
    if first > 1 {
        return refuse(format!("the Slurm array begins at {first}, not at 0 or 1"));
    }
    if count == 1 {
        return refuse("the Slurm array has a single task".to_owned());
    }
    id.checked_sub(first)
        .ok_or_else(|| format!("{} is {id}, below the array's first, {first}", SLURM.index))
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Self::from_environment(|name| std::env::var(name).ok());
        }
        let whole = |digits: &str| digits.parse::<usize>().ok();
        let numbers = text.split_once('/').and_then(|(i, n)| Some((whole(i)?, whole(n)?)));
        let (index, count) = numbers.ok_or_else(|| {
            "it must be I/N, as 0/10 to 9/10 for the ten parts of ten, or auto".to_owned()
        })?;
        Self::new(index, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Part, String> {
        text.parse()
    }

    /// Variables as `NAME=value`.
    fn environment(variables: &[&str]) -> Result<Part, String> {
        let pairs: Vec<(&str, &str)> =
            variables.iter().map(|v| v.split_once('=').unwrap()).collect();
        let find = |name: &str| pairs.iter().find(|pair| pair.0 == name);
        Part::from_environment(|name| find(name).map(|pair| pair.1.to_owned()))
    }

    fn slurm_array(id: usize, [first, last, count, step]: [usize; 4]) -> Vec<String> {
        let value = |name: &str, value: usize| format!("SLURM_ARRAY_TASK_{name}={value}");
        vec![
            value("ID", id),
            value("MIN", first),
            value("MAX", last),
            value("COUNT", count),
            value("STEP", step),
        ]
    }

    fn in_slurm(id: usize, array: [usize; 4], more: &[&str]) -> Result<Part, String> {
        let variables = slurm_array(id, array);
        environment(&[&variables.iter().map(String::as_str).collect::<Vec<_>>(), more].concat())
    }

    #[test]
    fn a_part_is_written_as_its_number_from_0_of_all() {
        assert_eq!(parse("0/1"), Ok(Part::WHOLE));
        assert_eq!(parse("2/3").map(|part| (part.index(), part.count())), Ok((2, 3)));
        assert_eq!(parse("2/3").unwrap().to_string(), "2/3");
        for (text, words) in [
            ("3/3", "3/3: parts are numbered from 0, so the last one of 3 is 2/3"),
            ("1/1", "the only one is 0/1"),
            ("0/0", "at least one part"),
            ("", "I/N"),
            ("1", "I/N"),
            ("-1/3", "I/N"),
            ("1/3/4", "I/N"),
            ("a/b", "I/N"),
            ("1/99999999999999999999", "I/N"),
            ("Auto", "or auto"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains(words), "{text}: {problem}");
        }
    }

    #[test]
    fn ranges_of_the_largest_numbers_do_not_overflow() {
        let last = Part::new(usize::MAX - 1, usize::MAX).unwrap();
        assert_eq!(last.range(usize::MAX), usize::MAX - 1..usize::MAX);
        assert_eq!(Part::WHOLE.range(usize::MAX), 0..usize::MAX);
        assert_eq!(Part::WHOLE.range(0), 0..0);
        // More parts than things: some are empty, none is missing.
        let ranges = (0..5).map(|i| Part::new(i, 5).unwrap().range(3));
        assert_eq!(ranges.collect::<Vec<_>>(), [0..0, 0..1, 1..1, 1..2, 2..3]);
    }

    proptest! {
        /// Parts follow each other without a gap, and none has two things more than another.
        #[test]
        fn parts_hold_each_thing_once(things in 0_usize.., count in 1_usize..50) {
            let ranges: Vec<_> =
                (0..count).map(|i| Part::new(i, count).unwrap().range(things)).collect();
            prop_assert!(ranges[0].start == 0 && ranges[count - 1].end == things);
            prop_assert!(ranges.windows(2).all(|two| two[0].end == two[1].start));
            let sizes = ranges.iter().map(ExactSizeIterator::len);
            prop_assert!(sizes.clone().max().unwrap() - sizes.min().unwrap() <= 1);
        }
    }

    #[test]
    fn slurm_arrays_begin_at_0_or_1() {
        for first in [0, 1] {
            for index in 0..10 {
                let part = in_slurm(first + index, [first, first + 9, 10, 1], &[]);
                assert_eq!(part, Part::new(index, 10));
            }
        }
        // Older versions say no step.
        let array = ["SLURM_ARRAY_TASK_ID=2", "SLURM_ARRAY_TASK_MIN=1", "SLURM_ARRAY_TASK_MAX=4"];
        let part = environment(&[&array[..], &["SLURM_ARRAY_TASK_COUNT=4"]].concat());
        assert_eq!(part, Part::new(1, 4));
        let problem = environment(&array).unwrap_err();
        assert!(problem.contains("SLURM_ARRAY_TASK_COUNT is missing"), "{problem}");
    }

    #[test]
    fn slurm_arrays_that_may_repeat_failed_tasks_are_refused() {
        for (id, array, words) in [
            // --array=3,7, whatever Slurm calls its step.
            (3, [3, 7, 2, 1], "of 2 tasks from 3 to 7 has gaps"),
            (7, [3, 7, 2, 4], "has gaps"),
            (0, [0, 90, 10, 10], "has gaps"),
            (4, [1, 4, 3, 1], "has gaps"),
            (6, [5, 7, 3, 1], "begins at 5"),
            (3, [3, 3, 1, 1], "begins at 3"),
            (0, [0, 0, 1, 1], "a single task"),
            // Nonsense.
            (0, [7, 3, 2, 1], "has gaps"),
            (0, [0, 0, 0, 1], "has gaps"),
        ] {
            let problem = in_slurm(id, array, &[]).unwrap_err();
            assert!(problem.contains(words) && problem.contains("--part I/N"), "{problem}");
            assert!(problem.contains("FVTOOL_PARTS=N"), "{problem}");
        }
        assert!(in_slurm(12, [0, 9, 10, 1], &[])
            .unwrap_err()
            .contains("the last one of 10 is 9/10"));
        assert!(in_slurm(0, [1, 9, 9, 1], &[]).unwrap_err().contains("below the array's first"));
    }

    #[test]
    fn the_number_of_parts_can_be_said_so_that_failed_tasks_are_repeated() {
        assert_eq!(in_slurm(7, [3, 7, 2, 4], &["FVTOOL_PARTS=10"]), Part::new(7, 10));
        assert_eq!(in_slurm(0, [0, 0, 1, 1], &["FVTOOL_PARTS=1"]), Ok(Part::WHOLE));
        let problem = in_slurm(10, [1, 10, 10, 1], &["FVTOOL_PARTS=10"]).unwrap_err();
        assert!(problem.contains("10/10") && problem.contains("is 9/10"), "{problem}");
        assert_eq!(environment(&["PBS_ARRAY_INDEX=4", "FVTOOL_PARTS=5"]), Part::new(4, 5));
        assert_eq!(environment(&["JOB_COMPLETION_INDEX=4", "FVTOOL_PARTS=5"]), Part::new(4, 5));
        for wrong in ["FVTOOL_PARTS=0", "FVTOOL_PARTS=x"] {
            assert!(environment(&["PBS_ARRAY_INDEX=4", wrong]).is_err());
        }
    }

    #[test]
    fn other_engines() {
        let batch = ["AWS_BATCH_JOB_ARRAY_INDEX=0", "AWS_BATCH_JOB_ARRAY_SIZE=3"];
        assert_eq!(environment(&batch), Part::new(0, 3));
        let indexed = ["JOB_COMPLETION_INDEX=2", "JOB_COMPLETIONS=3"];
        assert_eq!(environment(&indexed), Part::new(2, 3));
        for (variables, words) in [
            (&[][..], "no job array is to be seen"),
            (&["FVTOOL_PARTS=3"], "no job array is to be seen"),
            // What is empty is not set.
            (&["SLURM_ARRAY_TASK_ID="], "no job array is to be seen"),
            (&indexed[..1], "JOB_COMPLETIONS is missing"),
            (&batch[..1], "AWS_BATCH_JOB_ARRAY_SIZE is missing"),
            (&["PBS_ARRAY_INDEX=1"], "PBS does not say how many"),
            (
                &["JOB_COMPLETION_INDEX=1", "PBS_ARRAY_INDEX=1"],
                "of Kubernetes (JOB_COMPLETION_INDEX) and of PBS",
            ),
            (
                &["JOB_COMPLETION_INDEX=one", "JOB_COMPLETIONS=3"],
                "is `one`, which is no whole number",
            ),
            (&["JOB_COMPLETION_INDEX=3", "JOB_COMPLETIONS=3"], "of Kubernetes, 3/3: parts"),
        ] {
            let problem = environment(variables).unwrap_err();
            assert!(problem.contains(words), "{problem}");
        }
    }
}
