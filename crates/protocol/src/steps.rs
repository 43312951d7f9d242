//! Counts the work of readers, for the tests that hold them to their law of time: what a reader costs grows no faster than what
//! it reads. Steps are bytes that were searched, copied or hashed, and items that were looked at; they are the same on every
//! machine and under every load. Without the feature `steps` (and outside of tests) nothing is counted and nothing is left of it.

#[cfg(any(test, feature = "steps"))]
thread_local! {
    static STEPS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Adds to the steps of this thread.
#[inline]
pub fn add(steps: usize) {
    #[cfg(any(test, feature = "steps"))]
    STEPS.set(STEPS.get().saturating_add(steps as u64));
    #[cfg(not(any(test, feature = "steps")))]
    let _ = steps;
}

/// What `work` gives, and the steps that it took.
#[cfg(any(test, feature = "steps"))]
pub fn counted<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = STEPS.get();
    let result = work();
    (result, STEPS.get() - before)
}
