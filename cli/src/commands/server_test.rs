//! `openshell server test`: connects, and shows each step with its time.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use openshell_host::ssh::{ExecRequest, Program};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::error::CliError;
use crate::ui::{GREEN, RED, Ui};

/// Time for the probe command.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// One step and how it went.
struct Step {
    name: &'static str,
    result: Result<String, CliError>,
    took: Duration,
}

pub(crate) fn run(id: &str, context: &Context, ui: Ui) -> Result<ExitCode, CliError> {
    let mut steps = Vec::new();
    context.runtime().block_on(probe(id, context, &mut steps))?;
    let failed = steps.iter().any(|step| step.result.is_err());
    if ui.json {
        let list: Vec<_> = steps
            .iter()
            .map(|step| {
                json!({
                    "step": step.name,
                    "ok": step.result.is_ok(),
                    "detail": match &step.result {
                        Ok(detail) => detail,
                        Err(error) => &error.message,
                    },
                    "code": step.result.as_ref().err().and_then(|error| error.code.clone()),
                    "ms": step.took.as_secs_f64() * 1e3,
                })
            })
            .collect();
        ui.value(&json!({
            "status": if failed { "error" } else { "ok" },
            "id": id,
            "steps": list,
        }));
    } else {
        for step in &steps {
            let (mark, detail) = match &step.result {
                Ok(detail) => (format!("{GREEN}ok{GREEN:#}    "), detail.clone()),
                Err(error) => (format!("{RED}failed{RED:#}"), error.message.clone()),
            };
            let took = format!("{:.1} ms", step.took.as_secs_f64() * 1e3);
            let detail = openshell_host::approvals::escape_line(&detail);
            ui.line(&format!("{mark} {:<9} {took:>10}  {detail}", step.name));
        }
        let next = steps
            .iter()
            .find_map(|step| step.result.as_ref().err())
            .and_then(|error| error.next.clone());
        if let Some(next) = next {
            ui.note(&next);
        }
    }
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Takes the steps in order and stops at the first that fails.
async fn probe(id: &str, context: &Context, steps: &mut Vec<Step>) -> Result<(), CliError> {
    let supervisor = context.supervisor()?;
    let started = Instant::now();
    let target = match supervisor.target(id).await {
        Ok(target) => target,
        Err(failure) => {
            steps.push(step("registry", started, Err(failure.into())));
            return Ok(());
        }
    };
    let login = format!("{}@{}:{}", target.user, target.host, target.port);
    steps.push(step("registry", started, Ok(login)));

    let started = Instant::now();
    let connected = supervisor.resources().pool().connection(&target).await;
    let connection = match connected {
        Ok(connection) => connection,
        Err(error) => {
            steps.push(step("connect", started, Err(error.into())));
            return Ok(());
        }
    };
    let key = connection.host_key();
    let detail = format!(
        "logged in; host key {} {}",
        key.key_type(),
        key.fingerprint()
    );
    steps.push(step("connect", started, Ok(detail)));

    let started = Instant::now();
    let request = ExecRequest {
        program: Program::Argv(vec!["uname".to_owned(), "-sm".to_owned()]),
        cwd: None,
        timeout: PROBE_TIMEOUT,
        head_limit: 1024,
        tail_limit: 0,
        mark: None,
    };
    let ran = connection
        .exec(request, CancellationToken::new())
        .await
        .map(|outcome| {
            let system = String::from_utf8_lossy(&outcome.stdout.head);
            format!("/bin/sh is there; {}", system.trim())
        });
    steps.push(step("exec", started, ran.map_err(Into::into)));

    let started = Instant::now();
    let files = async {
        let sftp = connection.sftp().await?;
        let home = sftp.realpath(".").await?;
        Ok::<_, openshell_host::ssh::SshError>(format!(
            "files are reachable; login directory {home}"
        ))
    };
    let files = files.await;
    steps.push(step("sftp", started, files.map_err(Into::into)));
    Ok(())
}

fn step(name: &'static str, started: Instant, result: Result<String, CliError>) -> Step {
    Step {
        name,
        result,
        took: started.elapsed(),
    }
}
