//! `redial bench`: how fast a Redial on this machine is and what it costs. Starts what it measures and leaves nothing behind:
//! no process, no folder, no endpoint. Decides nothing of how Redial works.

mod account;
mod arguments;
mod billed;
mod board;
mod children;
mod distribution;
mod error;
mod load;
mod moment;
mod payload;
mod post;
mod receive;
mod report;
mod setup;
mod single;
mod stage;
#[cfg(test)]
mod tests;
mod usage;
mod words;

use std::io;

use indicatif::{ProgressBar, ProgressStyle};

pub(super) use self::arguments::BenchArgs;
use self::arguments::{Part, Plan};
use self::distribution::rounded;
pub(super) use self::error::BenchError;
use self::report::{Circumstances, Idle, Series};
use self::stage::{Setting, Stage};
use super::error::{CliError, Finish};
use super::output::{Output, note};
use crate::serve::Signals;

/// Measures, as the arguments say.
pub(super) async fn run(args: BenchArgs) -> Result<Finish, CliError> {
    if let Some(Part::Receive { port }) = args.part {
        return receive::run(port).await;
    }
    let plan = Plan::of(&args.load)?;
    let mut signals = Signals::listen().map_err(BenchError::Machine)?;
    let mut stage = Stage::default();
    let finish = tokio::select! {
        finish = measure(&args, &plan, &mut stage) => finish,
        () = signals.next() => Err(BenchError::Stopped.into()),
    };
    stage.clear().await;
    finish
}

async fn measure(args: &BenchArgs, plan: &Plan, stage: &mut Stage) -> Result<Finish, CliError> {
    let setting = setting(args)?;
    let program = setting.named.is_none().then(|| setting.program.display().to_string());
    let mut on = Circumstances::new(program);
    if on.build == "debug" && setting.named.is_none() && setting.program == setting.own_program {
        note("this is a debug build: its figures say nothing about a release (cargo build --release)");
    }
    let mut output = Output::to_stdout(args.server.json);
    if let Some(seconds) = args.idle {
        let idle = idle(args.repeat, seconds, stage, &setting).await?;
        report::write_idle(&mut output, &on, &idle)?;
        return Ok(Finish::Complete);
    }
    let growth: Vec<Plan> = match &args.growth {
        Some(sizes) => sizes.iter().map(|tenants| plan.with_tenants(*tenants)).collect(),
        None => vec![plan.clone()],
    };
    let mut all = Vec::new();
    for plan in growth {
        let mut runs = Vec::new();
        for nth in 1..=args.repeat {
            let bar = bar(&plan, nth, args);
            let run = stage.run(&setting, &plan, &bar).await;
            bar.finish_and_clear();
            on.data_on = stage
                .data()
                .and_then(|data| usage::file_system_of(&data))
                .or(on.data_on);
            stage.clear().await;
            runs.push(run?);
        }
        all.push(Series { plan, runs });
    }
    if on.data_on.as_deref() == Some("tmpfs") {
        note("the data lay in memory (tmpfs): what was acknowledged was on no disk; give a folder on one with --data");
    }
    match (&args.growth, all.as_slice()) {
        (None, [series]) => report::write_series(&mut output, &on, series)?,
        (_, all) => report::write_growth(&mut output, &on, all)?,
    }
    Ok(if all.iter().all(Series::is_sound) {
        Finish::Complete
    } else {
        Finish::Partial
    })
}

async fn idle(runs: u32, seconds: u32, stage: &mut Stage, setting: &Setting) -> Result<Vec<Idle>, CliError> {
    let mut all = Vec::new();
    for _ in 0..runs {
        let measured = stage.idle(setting, seconds).await;
        stage.clear().await;
        let Some((before, after, seconds)) = measured? else {
            return Err(BenchError::Machine(io::Error::from(io::ErrorKind::Unsupported)).into());
        };
        all.push(Idle {
            seconds: rounded(seconds, 1),
            cpu_percent: rounded((after.cpu_s - before.cpu_s) / seconds * 100.0, 3),
            resident_mib: after.resident_mib,
            written_mib: rounded(after.written_mib - before.written_mib, 2),
        });
    }
    Ok(all)
}

fn setting(args: &BenchArgs) -> Result<Setting, CliError> {
    let own_program = std::env::current_exe().map_err(BenchError::Machine)?;
    let server = &args.server;
    Ok(Setting {
        program: server.program.clone().unwrap_or_else(|| own_program.clone()),
        own_program,
        billable: args.billable,
        below: server.data.clone().unwrap_or_else(std::env::temp_dir),
        named: server.named(),
        server_pid: server.server_pid,
        public_url: server.public_url.clone(),
        receiver_port: server.receiver_port,
    })
}

/// How far a run is; hidden unless stderr is a terminal.
fn bar(plan: &Plan, nth: u32, args: &BenchArgs) -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{prefix} {bar:30} {human_pos} of {human_len} {msg}");
    let which = if args.growth.is_some() {
        format!("{} endpoints, run {nth} of {}", plan.tenants, args.repeat)
    } else {
        format!("run {nth} of {}", args.repeat)
    };
    style
        .map_or(bar.clone(), |style| bar.with_style(style))
        .with_prefix(which)
}
