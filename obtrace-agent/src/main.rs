//! The `obtrace-agent` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    obtrace_agent::cli::main(std::env::args_os())
}
