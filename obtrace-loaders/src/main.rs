//! The `obtrace-loaders` program.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    obtrace_loaders::cli::main(std::env::args_os())
}
