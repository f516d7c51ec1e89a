//! The `fvtool` binary: all of it is [`fvtool::cli`].

fn main() -> std::process::ExitCode {
    fvtool::cli::main(std::env::args_os()).into()
}
