//! What this process has used, from `/proc`; nothing where that is missing.

use std::fs;

/// Units of the CPU times in `/proc/self/stat` per second: the kernel shows users 100 whatever its
/// own clock does.
const CPU_TICKS_PER_SECOND: f64 = 100.0;

/// CPU time of all threads so far, user and system, in seconds; a multiple of 10 ms.
pub fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name may hold anything, a closing bracket included.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / CPU_TICKS_PER_SECOND)
}

/// Largest resident size in MiB since the start, or since [`forget_peak`].
pub fn peak_mib() -> Option<f64> {
    status_mib("VmHWM:")
}

/// Resident size in MiB.
pub fn resident_mib() -> Option<f64> {
    status_mib("VmRSS:")
}

fn status_mib(name: &str) -> Option<f64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib / 1024.0)
}

/// Lets [`peak_mib`] start from what is resident now. Where that is not allowed, the peak is that
/// of the whole process.
pub fn forget_peak() {
    // 5 resets the peak resident size (proc(5)).
    drop(fs::write("/proc/self/clear_refs", "5"));
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn work_and_memory_show() {
        let before = cpu_seconds().unwrap();
        let memory = vec![1_u8; 64 << 20];
        let mut sum = 0;
        while cpu_seconds().unwrap() < before + 0.03 {
            sum += memory.iter().map(|byte| usize::from(*byte)).sum::<usize>();
        }
        assert!(std::hint::black_box(sum) % memory.len() == 0);
        let peak = peak_mib().unwrap();
        assert!((64.0..10_000.0).contains(&peak), "{peak}");
    }
}
