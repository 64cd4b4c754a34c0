//! What the operating system says of this process, read when the metrics page is asked for.

use std::fs;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, IntGauge};

use super::metrics::BadMetric;
use crate::clock::Clock;

/// CPU time, memory and open files of this process, under the names of Prometheus' own libraries.
pub(super) struct Process {
    cpu_seconds: Counter,
    resident_bytes: IntGauge,
    open_fds: IntGauge,
    start_seconds: IntGauge,
}

impl Process {
    pub(super) fn new(clock: &Clock) -> Result<Self, BadMetric> {
        let gauge = |name: &str, help: &str| IntGauge::new(name, help);
        let start = gauge(
            "process_start_time_seconds",
            "When the process started, in Unix time.",
        )?;
        start.set(i64::try_from(clock.unix_s()).unwrap_or(i64::MAX));
        Ok(Self {
            cpu_seconds: Counter::new("process_cpu_seconds_total", "User and system CPU time.")?,
            resident_bytes: gauge("process_resident_memory_bytes", "Resident memory.")?,
            open_fds: gauge("process_open_fds", "Open file descriptors.")?,
            start_seconds: start,
        })
    }

    /// Reads `/proc/self`; where there is none, the numbers stay as they are.
    fn read(&self) {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        if let Some(seconds) = cpu_seconds(&stat) {
            let spent = seconds - self.cpu_seconds.get();
            self.cpu_seconds.inc_by(spent.max(0.0));
        }
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        if let Some(bytes) = resident_bytes(&status) {
            self.resident_bytes.set(bytes);
        }
        if let Ok(entries) = fs::read_dir("/proc/self/fd") {
            // Without the one that lists them.
            let open = entries.count().saturating_sub(1);
            self.open_fds.set(i64::try_from(open).unwrap_or(i64::MAX));
        }
    }

    const fn parts(&self) -> [&dyn Collector; 4] {
        [
            &self.cpu_seconds,
            &self.resident_bytes,
            &self.open_fds,
            &self.start_seconds,
        ]
    }
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        self.parts().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.read();
        self.parts()
            .into_iter()
            .flat_map(Collector::collect)
            .collect()
    }
}

/// User and system time of `/proc/self/stat`, proc(5): fields 14 and 15.
fn cpu_seconds(stat: &str) -> Option<f64> {
    // The second field is the program's name in parentheses; it may hold anything.
    let (_, from_third) = stat.rsplit_once(") ")?;
    let mut ticks = from_third.split(' ').skip(11).map(str::parse::<u32>);
    let (user, system) = (ticks.next()?.ok()?, ticks.next()?.ok()?);
    Some((f64::from(user) + f64::from(system)) / TICKS_PER_SECOND)
}

/// `VmRSS` of `/proc/self/status`, proc(5): KiB.
fn resident_bytes(status: &str) -> Option<i64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: i64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kib.checked_mul(1_024)
}

/// `USER_HZ`: what Linux shows to programs, whatever its own clock does.
const TICKS_PER_SECOND: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_program_may_hold_anything() {
        let after = "S 1 2 3 4 5 6 7 8 9 10 170 4 13 14";
        assert_eq!(cpu_seconds(&format!("12 (a) b) {after}")), Some(1.74));
        assert_eq!(cpu_seconds("12 (a) S 1 2"), None);
        assert_eq!(
            resident_bytes("VmHWM:\t 9 kB\nVmRSS:\t   12 kB\n"),
            Some(12_288)
        );
    }

    #[test]
    fn this_process_has_memory_and_files() {
        let process = Process::new(&Clock::system()).unwrap();
        process.read();
        assert!(process.resident_bytes.get() > 1 << 20);
        assert!(process.open_fds.get() >= 3);
    }
}
