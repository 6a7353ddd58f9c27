//! Asks the framework and its provider client what the vectors ask.

#[path = "vectors/refreshes.rs"]
pub(crate) mod refreshes;
#[path = "vectors/sign_ins.rs"]
pub(crate) mod sign_ins;

/// Runs one vector on a runtime of its own.
pub(crate) fn run<T>(vector: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(vector)
}
