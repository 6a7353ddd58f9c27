//! A reverse proxy that puts the right, fresh access token on every upstream call.

use std::process::ExitCode;

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    tokenward_gateway::cli::main()
}
