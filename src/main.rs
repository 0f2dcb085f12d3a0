//! The program. Everything is in the library, so that tests and the benchmark can reach it.

fn main() -> std::process::ExitCode {
    leadgate::cli::main()
}
