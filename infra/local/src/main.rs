//! The `redial` command: parses its arguments, runs one subcommand, exits. Decides nothing itself.

use std::process::ExitCode;

use clap::Parser as _;
use redial_local::cli::{self, Cli};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(cli::run(cli)),
        Err(error) => cli::cannot_start(&error),
    }
}
