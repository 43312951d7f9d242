//! The binary: command line, runtime, exit code.

use std::process::ExitCode;

use clap::Parser as _;
use grok2api::{
    CheckReport, Cli, Clock, Gateway, ImportReport, Logging, Mode, SeedSecrets, check_health, openapi_document,
    run_check, run_demo, run_import,
};

fn main() -> ExitCode {
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
