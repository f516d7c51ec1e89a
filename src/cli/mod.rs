//! The command line: grammar, dispatch, exit codes. The rest of the library knows nothing of it.
//!
//! Results go to stdout, everything else to stderr. Exit code 0: done; 1: failed or partly failed
//! (an image had to be skipped); 2: usage; 3: done, and `check` found something.

mod args;
mod audit;
mod bench_stage;
mod check;
mod command;
mod compare;
mod cross_validate;
mod data_stages;
mod demo;
mod describe;
mod eval;
mod explain;
mod export;
mod global;
mod inspect;
mod inspect_network;
mod list;
mod outcome;
mod predict;
mod program;
mod report;
mod revise;
mod run;
mod settings;
mod shell;
mod signals;
mod threads;
mod train_svm;
mod ui;
mod values;
mod why;

pub use program::main;
