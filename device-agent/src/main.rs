//! The program of the wall display.

use std::process::ExitCode;

fn main() -> ExitCode {
    tokenward_device::cli::main()
}
