//! The `obtrace-zero` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    obtrace_operator::cli::main(std::env::args_os())
}
