//! The binary: command line, runtime, exit code.

use std::process::ExitCode;

use clap::Parser as _;
use grok2api::{
    CheckReport, Cli, Clock, Gateway, ImportReport, Logging, Mode, SeedSecrets, check_health, openapi_document,
    run_check, run_demo, run_import,
};

/// From which size on the allocator maps a block by itself and gives it back when it is freed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const MAPPED_BLOCK: (&str, &str) = ("MALLOC_MMAP_THRESHOLD_", "131072");

/// Starts the program anew, in the same process, with glibc's threshold for mapped blocks fixed, unless whoever started it has set one.
/// Otherwise glibc raises it to the largest block that was freed, up to 32 MiB: after the first image, images lie in heaps that grow and
/// are not given back. It reads this from the environment alone, before `main`.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn fix_allocator() {
    use std::os::unix::process::CommandExt as _;

    let (name, size) = MAPPED_BLOCK;
    if std::env::var_os(name).is_some() || std::env::var_os("GLIBC_TUNABLES").is_some() {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut arguments = std::env::args_os();
    let mut command = std::process::Command::new(program);
    if let Some(own_name) = arguments.next() {
        command.arg0(own_name);
    }
    // Returns only if it did not work; then memory peaks last longer, and nothing else changes.
    let _ = command.args(arguments).env(name, size).exec();
}

fn main() -> ExitCode {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fix_allocator();
    let cli = Cli::parse();
    let mode = match SeedSecrets::from_environment().and_then(|secrets| cli.into_mode(secrets)) {
        Ok(mode) => mode,
        Err(error) => return fail(&error),
    };
    if let Mode::Healthcheck(listen) = mode {
        return report_health(check_health(listen));
    }
    // As many open files as the system allows; where it does not, the present limit serves.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error),
    };
    let mut report = None;
    let result = runtime.block_on(async {
        match mode {
            Mode::Serve(bootstrap) => {
                let logging = Logging::start(bootstrap.log_format);
                let gateway = Gateway::start(bootstrap, Clock::system(), Some(logging)).await?;
                gateway.announce();
                gateway.run_until_signal().await;
                Ok(())
            }
            Mode::Demo(demo) => run_demo(demo).await,
            Mode::Import(import) => {
                print_report(&run_import(import, Clock::system()).await?);
                Ok(())
            }
            // Told below: what is wrong decides how it ends.
            Mode::Check(check) => {
                report = Some(run_check(&check).await?);
                Ok(())
            }
            Mode::Openapi => {
                print_openapi();
                Ok(())
            }
            Mode::Healthcheck(_) => Ok(()),
        }
    });
    match result {
        Ok(()) => report.as_ref().map_or(ExitCode::SUCCESS, print_check),
        Err(error) => fail(&error),
    }
}

#[expect(clippy::print_stdout, reason = "printing it is what the command is for")]
fn print_check(report: &CheckReport) -> ExitCode {
    print!("{report}");
    if report.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[expect(clippy::print_stdout, reason = "printing it is what the command is for")]
fn print_openapi() {
    print!("{}", openapi_document());
}

#[expect(clippy::print_stderr, reason = "the container engine keeps what a check says")]
fn report_health(health: Result<(), String>) -> ExitCode {
    match health {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the report is what the command answers")]
fn print_report(report: &ImportReport) {
    print!("{report}");
}

#[expect(clippy::print_stderr, reason = "a start that failed is told where the person is looking")]
fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("grok2api cannot start: {error}");
    ExitCode::FAILURE
}
