//! What processes cost: CPU, memory and bytes written, from `/proc`. Linux only; elsewhere nothing is known, and said so.

use std::fs;

use super::distribution::rounded;

/// What a process has cost since it began.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Usage {
    /// User and system time of all its threads, those that ended included, in seconds.
    pub(super) cpu_s: f64,
    /// The most memory that was resident at once (`VmHWM`), in MiB.
    pub(super) peak_mib: f64,
    /// Resident now (`VmRSS`), in MiB.
    pub(super) resident_mib: f64,
    /// What it had written to storage, in MiB.
    pub(super) written_mib: f64,
}

/// What the machine has done since it started, all cores together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Machine {
    /// Seconds that something ran.
    pub(super) busy_s: f64,
    /// Seconds that the host gave to other virtual machines.
    pub(super) stolen_s: f64,
}

/// None if there is no such process, or no `/proc`.
pub(super) fn of_process(pid: u32) -> Option<Usage> {
    let cpu_ticks = ticks_of(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    // Another user's process does not tell.
    let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    Some(Usage {
        cpu_s: cpu_ticks as f64 / ticks_per_s(),
        peak_mib: rounded(kib_of(&status, "VmHWM:")? as f64 / 1024.0, 1),
        resident_mib: rounded(kib_of(&status, "VmRSS:")? as f64 / 1024.0, 1),
        written_mib: kib_of(&io, "write_bytes:").unwrap_or(0) as f64 / 1_048_576.0,
    })
}

/// None where there is no `/proc`.
pub(super) fn of_machine() -> Option<Machine> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let (busy, stolen) = machine_ticks_of(text.lines().next()?)?;
    Some(Machine {
        busy_s: busy as f64 / ticks_per_s(),
        stolen_s: stolen as f64 / ticks_per_s(),
    })
}

/// The kind of file system that a folder lies on, such as `ext4`: on `tmpfs` nothing is on a disk.
pub(super) fn file_system_of(folder: &std::path::Path) -> Option<String> {
    let folder = folder.canonicalize().ok()?;
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?, words.next()?))
    });
    let holding = mounts.filter(|(at, _)| folder.starts_with(at));
    // Of two at the same place the later one hides the earlier.
    holding.max_by_key(|(at, _)| at.len()).map(|(_, kind)| kind.to_owned())
}

#[cfg(target_os = "linux")]
fn ticks_per_s() -> f64 {
    rustix::param::clock_ticks_per_second() as f64
}

#[cfg(not(target_os = "linux"))]
fn ticks_per_s() -> f64 {
    100.0
}

/// utime and stime, proc_pid_stat(5). The name of the command may hold blanks and brackets: fields are counted after the last
/// bracket, where the state, field 3, is.
fn ticks_of(stat: &str) -> Option<u64> {
    let fields = stat.get(stat.rfind(')')? + 2..)?;
    let mut times = fields.split(' ').skip(11).map(str::parse::<u64>);
    Some(times.next()?.ok()? + times.next()?.ok()?)
}

/// The number behind a name at the beginning of a line.
fn kib_of(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Busy (user, nice, system, irq, softirq) and stolen ticks, proc_stat(5): not idle, not iowait.
fn machine_ticks_of(line: &str) -> Option<(u64, u64)> {
    let numbers: Vec<u64> = line
        .strip_prefix("cpu ")?
        .split_whitespace()
        .map_while(|number| number.parse().ok())
        .collect();
    let busy = [0, 1, 2, 5, 6].iter().filter_map(|field| numbers.get(*field)).sum();
    Some((busy, *numbers.get(7)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_blanks_hides_no_field() {
        let stat = "42 (a) b (c) S 1 42 42 0 -1 4194304 120 0 0 0 17 25 3 4 20 0 9 0 1234 5 6";
        assert_eq!(ticks_of(stat), Some(42));
        assert_eq!(ticks_of("42 (cut"), None);
    }

    #[test]
    fn waiting_for_a_disk_and_stolen_time_is_not_busy() {
        let line = "cpu  100 10 20 5000 300 3 4 7 0 0";
        assert_eq!(machine_ticks_of(line), Some((137, 7)));
        assert_eq!(machine_ticks_of("intr 1 2"), None);
    }

    #[test]
    fn sizes_stand_behind_their_names() {
        let status = "Name:\tredial\nVmHWM:\t   2048 kB\nVmRSS:\t   1024 kB\n";
        assert_eq!(kib_of(status, "VmHWM:"), Some(2048));
        assert_eq!(kib_of(status, "VmSwap:"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_that_works_has_cost_more_afterwards() {
        let before = of_process(std::process::id()).unwrap();
        let mut sum = 0u64;
        let mut rounds = 0u32;
        // Until two ticks are seen: however quick the machine is.
        let after = loop {
            sum = (0..100_000u64).fold(sum, |sum, n| std::hint::black_box(sum.wrapping_mul(31).wrapping_add(n)));
            rounds += 1;
            let now = of_process(std::process::id()).unwrap();
            if now.cpu_s >= before.cpu_s + 0.02 {
                break now;
            }
            assert!(rounds < 1_000_000, "{sum}");
        };
        assert!(after.peak_mib >= after.resident_mib && after.resident_mib > 0.0);
        assert!(of_machine().unwrap().busy_s > 0.0);
        assert_eq!(of_process(u32::MAX), None);
        assert!(file_system_of(std::path::Path::new("/proc")).is_some_and(|kind| kind == "proc"));
    }
}
