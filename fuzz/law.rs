//! The law of time for fuzz targets: what a reader costs grows no faster than what it reads. Steps are counted by the readers
//! themselves, so the machine does not matter; `-timeout=2` sees what they do not count.

/// What costs the same for every text.
const BASE: u64 = 1_000_000;

/// Runs `work`, which reads so many bytes, and holds it to so many steps for each.
pub fn hold<T>(bytes: usize, steps_per_byte: u64, work: impl FnOnce() -> T) -> T {
    let (result, steps) = protocol::steps::counted(work);
    let allowed = BASE + steps_per_byte * bytes as u64;
    assert!(steps <= allowed, "{steps} steps for {bytes} bytes, {allowed} allowed");
    result
}
