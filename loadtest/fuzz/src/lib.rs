//! Runs fuzz targets. A target is a function of bytes that panics where a promise is broken; it
//! stands in the unit tests of the package that makes the promise, so that it reaches what is
//! private there, and its corpus lies in this package's `corpus/NAME/`.
//!
//! `cargo test` tries every file of the corpus and a few thousand inputs near it: the same ones
//! each time, so that a failure is found again. Two variables make more of it:
//!
//! ```text
//! TOKENWARD_FUZZ_INPUTS=5000000 TOKENWARD_FUZZ_SEED=7 cargo test -p tokenward --lib hostile
//! ```
//!
//! A search that is led by coverage is libFuzzer's, through bolero, on a stable compiler:
//!
//! ```text
//! export RUSTFLAGS="--cfg fuzzing --cfg fuzzing_libfuzzer -Cpasses=sancov-module \
//!   -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
//!   -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
//! export BOLERO_LIBFUZZER_ARGS="$PWD/loadtest/fuzz/corpus/records -max_total_time=300"
//! cargo test -p tokenward --lib --target-dir target/fuzz -- store::hostile::records --nocapture
//! ```
//!
//! What such a search finds goes into the corpus, where every later test run tries it.

#[cfg(fuzzing)]
pub use bolero;

pub use near::{Corpus, seek};

mod near;

/// Makes a test of a fuzz target: `fuzz!(name, target)`, where the corpus lies in `corpus/name/`.
#[cfg(not(fuzzing))]
#[macro_export]
macro_rules! fuzz {
    ($name:ident, $target:expr) => {
        #[test]
        fn $name() {
            $crate::seek(stringify!($name), $target);
        }
    };
}

/// Makes a test of a fuzz target: `fuzz!(name, target)`, driven by the fuzzer of this build.
#[cfg(fuzzing)]
#[macro_export]
macro_rules! fuzz {
    ($name:ident, $target:expr) => {
        #[test]
        fn $name() {
            let target: fn(&[u8]) = $target;
            $crate::bolero::check!().for_each(|bytes: &[u8]| target(bytes));
        }
    };
}
