//! The program. Everything is in the library, so that tests and the benchmark can reach it.

/// A request makes and frees some hundred small things, mostly in another thread than the one that made them before. The
/// system's allocator takes about a tenth more of the CPU time for it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    leadgate::cli::main()
}
