//! Parse, run, exit code; nothing else.

use std::process::ExitCode;

use liangdi::cli;

/// What one thread takes and another gives back, as messages on their way do, leaves holes in the usual one: the memory of
/// a busy node grew by 14 MB a minute that nothing was using.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::start(std::env::args_os()).into()
}
