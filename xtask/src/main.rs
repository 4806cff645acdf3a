//! `cargo xtask`: what building, testing and showing the project needs beyond cargo.
#![forbid(unsafe_code)]

mod bpf;
mod builds;
mod command;
mod demo;
mod error;
mod image;
mod interrupt;
mod loaders;
mod namespace;
mod next;
mod say;
mod setup;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{error::Error, workspace::Workspace};

/// Builds, tests and shows Obtrace Zero.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_version_flag = true)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Starts a small application, sends it requests and shows what the agent sees of it.
    Demo(demo::Options),
    /// Runs everything that CI runs, or the parts that are named.
    Test(test::Options),
    /// Installs what `demo` and `test` need (as root), or says what is missing.
    Setup(setup::Options),
    /// Compiles the BPF objects that the repository ships.
    Bpf(bpf::Options),
    /// Builds the loaders of the six languages, or of those that are named.
    Loaders(loaders::Options),
    /// Makes an image as an OCI archive, without a container engine.
    Image(image::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    interrupt::install();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::failure(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(cli: Cli) -> Result<(), Error> {
    let workspace = Workspace::open()?;
    match cli.task {
        Task::Demo(options) => demo::run(&workspace, &options),
        Task::Test(options) => test::run(&workspace, &options),
        Task::Setup(options) => setup::run(&workspace, &options),
        Task::Bpf(options) => bpf::run(&workspace, &options),
        Task::Loaders(options) => loaders::run(&workspace, &options),
        Task::Image(options) => image::run(&workspace, &options),
    }
}
