//! How much CPU a delivery costs the dispatcher, its record included, as a multiple of what a bare client needs that signs
//! and posts the same bytes to the same receiver. Three processes: this one, which is DynamoDB and KMS and prints what comes
//! of it; the receiver; and the one that is measured, which has one thread, as a function on Lambda has.
//! docs/PERFORMANCE.md.

mod bare;
mod events;
mod measured;
mod receiver;
mod report;
mod stage;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

// As the functions have it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Anything that ends a run.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Measure the CPU that a delivery costs the dispatcher, against a bare client.
#[derive(Debug, Parser)]
struct Arguments {
    /// Rounds: in each, every sender makes its deliveries once
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(3..=1_000))]
    rounds: u32,
    /// Deliveries of each sender in a round
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    deliveries: u32,
    /// Bytes of an event's `data`, about
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(300..=16_000))]
    payload_bytes: u32,
    /// Have one sender send alone, for a profiler: without a ratio
    #[arg(long, value_name = "SENDER")]
    only: Option<measured::Sender>,
    /// How it was built: only printed
    #[arg(long, default_value = "not said", hide = true)]
    build: String,
    #[command(subcommand)]
    part: Option<Part>,
}

/// The other processes.
#[derive(Debug, Subcommand)]
enum Part {
    /// Answers 200 to whatever is posted.
    #[command(hide = true)]
    Receiver,
    /// Sends, and measures what that costs it.
    #[command(hide = true)]
    Measured(measured::Orders),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // As the functions have it: one thread, which is what is measured.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let done = runtime.map_err(Failure::from).and_then(|runtime| {
        runtime.block_on(async {
            match &arguments.part {
                None => stage::run(&arguments).await,
                Some(Part::Receiver) => receiver::run().await,
                Some(Part::Measured(orders)) => measured::run(orders).await,
            }
        })
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("FAIL {failure}");
            ExitCode::FAILURE
        }
    }
}
