//! The generated files, the lint, and Prometheus' own tool.

#[path = "it/generated.rs"]
mod generated;
#[path = "it/lint.rs"]
mod lint;
