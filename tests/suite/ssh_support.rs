//! What the SSH suites share: a target for a fixture and short ways to call.
//!
//! It deliberately asserts nothing; failing to set up is a panic that says why.

use std::sync::Arc;
use std::time::Duration;

use openshell_host::ssh::{
    Auth, Connection, ExecOutcome, ExecRequest, Pool, PoolConfig, Program, Target,
};
use openshell_tests::{Sshd, SshdOptions};
use tokio_util::sync::CancellationToken;

/// A server with default options.
pub(crate) fn start() -> Sshd {
    Sshd::start(&SshdOptions::default())
}

/// The fixture's own account, by the fixture's key.
pub(crate) fn target(server: &Sshd) -> Target {
    Target {
        id: "fixture".to_owned(),
        host: "127.0.0.1".to_owned(),
        port: server.port(),
        user: server.user().to_owned(),
        auth: Auth::IdentityFile {
            path: server.client_key_path(),
            passphrase: None,
        },
        known_hosts: vec![server.known_hosts_path()],
        jump: None,
        shell: "/bin/sh".to_owned(),
        connect_timeout: Duration::from_secs(20),
    }
}

/// A connection in a pool of its own.
pub(crate) async fn connect(target: &Target) -> Arc<Connection> {
    Pool::new(PoolConfig::default())
        .connection(target)
        .await
        .expect("the fixture lets its own key in")
}

/// A request with generous limits.
pub(crate) fn request(program: Program) -> ExecRequest {
    ExecRequest {
        program,
        cwd: None,
        timeout: Duration::from_secs(30),
        head_limit: 1 << 20,
        tail_limit: 1 << 20,
    }
}

/// Words for a program.
pub(crate) fn argv(words: &[&str]) -> Program {
    Program::Argv(words.iter().map(ToString::to_string).collect())
}

/// A text for the shell.
pub(crate) fn script(text: &str) -> Program {
    Program::Script(text.to_owned())
}

/// Runs a program to its end.
pub(crate) async fn run(connection: &Connection, program: Program) -> ExecOutcome {
    connection
        .exec(request(program), CancellationToken::new())
        .await
        .expect("the command starts")
}

/// Standard output as text.
pub(crate) fn text(outcome: &ExecOutcome) -> String {
    String::from_utf8_lossy(&outcome.stdout.head).into_owned()
}
