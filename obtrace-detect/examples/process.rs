//! `process PID...`: what runs in processes and why that is believed, a line of JSON each.
//!
//! `process --rounds N PID...` reads and judges each process N times and prints what that costs.

use std::{env, fs, hint::black_box, process::ExitCode};

use obtrace_detect::{
    Process,
    process::{Inspection, ProcessError, Reader, inspect},
};
use serde_json::{Value, json};

fn main() -> ExitCode {
    let mut arguments = env::args().skip(1).peekable();
    let mut rounds = None;
    if arguments.next_if(|argument| argument == "--rounds").is_some() {
        rounds = arguments.next().and_then(|number| number.parse::<u32>().ok());
    }
    let mut reader = Reader::new();
    let mut code = ExitCode::SUCCESS;
    for argument in arguments {
        let Ok(pid) = argument.parse() else {
            eprintln!("error: {argument:?} is not a process number");
            return ExitCode::from(2);
        };
        let result = match rounds {
            None => reader.read(pid).map(|process| println!("{}", line(pid, &process))),
            Some(rounds) => cost(&mut reader, pid, rounds),
        };
        if let Err(error) = result {
            eprintln!("error: {error}");
            code = ExitCode::FAILURE;
        }
    }
    code
}

fn line(pid: u32, process: &Process<'_>) -> Value {
    let Inspection {
        runtime,
        version,
        framework,
        strategy,
        confidence,
        reasons,
        libc,
        architecture,
        agents,
        wrapper,
        ..
    } = inspect(process);
    json!({
        "pid": pid,
        "language": runtime.language().as_str(),
        "runtime": runtime.as_str(),
        "version": version,
        "framework": framework.map(|framework| framework.as_str()),
        "strategy": strategy.as_str(),
        "confidence": confidence.as_f64(),
        "libc": libc.map(|libc| libc.as_str()),
        "architecture": architecture,
        "agents": agents.iter().map(|agent| agent.vendor).collect::<Vec<_>>(),
        "wrapper": wrapper,
        "evidence": reasons.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

/// CPU time of reading and judging one process, in user space and in the kernel: as it is done at first, and again.
fn cost(reader: &mut Reader, pid: u32, rounds: u32) -> Result<(), ProcessError> {
    let process = reader.read(pid)?;
    let bytes = reader.executable_bytes();
    let each = |work: &mut dyn FnMut() -> Result<(), ProcessError>| {
        let before = cpu_ticks();
        for _ in 0..rounds {
            work()?;
        }
        // The kernel counts hundredths of a second: 1,000 rounds tell 10 microseconds.
        let ticks = u32::try_from(cpu_ticks().saturating_sub(before)).unwrap_or(u32::MAX);
        Ok(f64::from(ticks) * 10_000.0 / f64::from(rounds.max(1)))
    };
    let first = each(&mut || Reader::new().read(pid).map(|process| drop(black_box(inspect(&process)))))?;
    let again = each(&mut || reader.read(pid).map(|process| drop(black_box(inspect(&process)))))?;
    let judging = each(&mut || {
        black_box(inspect(&process));
        Ok(())
    })?;
    println!(
        "{pid}: {first:.0} µs of CPU at first, {again:.0} µs again, {judging:.0} µs of it for judging; \
         {bytes} bytes of its executable read"
    );
    Ok(())
}

/// User and system time of this process.
fn cpu_ticks() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field may have blanks and brackets in it.
    let fields = stat.rsplit(')').next().unwrap_or_default();
    fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}
