//! A reverse proxy that puts the right, fresh access token on every upstream call.

use std::process::ExitCode;

fn main() -> ExitCode {
    tokenward_gateway::cli::main()
}
