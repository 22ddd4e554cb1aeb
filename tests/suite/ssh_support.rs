//! What the SSH suites share: a target for a fixture and short ways to call.
//!
//! It deliberately asserts nothing; failing to set up is a panic that says why.
//!
//! Invariant of the fixture: a number it gives out stands on no other process's
//! command line.

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
        silence: Duration::from_secs(20),
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
        mark: None,
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

/// A number that no other process has on its command line.
pub(crate) fn unique() -> String {
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("the clock stands after 1970")
        .subsec_nanos();
    format!("{}{nanos:09}", std::process::id())
}

/// Processes whose command line contains a text.
pub(crate) fn processes(text: &str) -> Vec<String> {
    let output = std::process::Command::new("pgrep")
        .args(["-f", text])
        .output()
        .expect("pgrep is installed (procps)");
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(str::to_owned)
        .collect()
}

/// Kills processes by what `processes` returned.
pub(crate) fn kill(pids: &[String]) {
    for pid in pids {
        let pid = pid.parse().ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

/// Waits for something that must come; the limit is only there to end a failed test.
pub(crate) async fn eventually(what: &str, mut test: impl FnMut() -> bool) {
    for _ in 0..2_400 {
        if test() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never happened: {what}");
}

/// A throw-away account, removed when it is dropped.
pub(crate) struct Account {
    pub(crate) name: String,
}

impl Account {
    /// Creates an account, or says aloud why the test is skipped.
    pub(crate) fn create(label: &str, shell: &str, home: &std::path::Path) -> Option<Self> {
        if !rustix::process::getuid().is_root() {
            eprintln!("skipped: creating the account for {shell} needs root");
            return None;
        }
        if !std::path::Path::new(shell).exists() {
            eprintln!("skipped: {shell} is not installed");
            return None;
        }
        let name = format!("ostest-{label}-{}", std::process::id());
        std::fs::create_dir_all(home).expect("the fixture's directory");
        // An asterisk is a password nobody has; the default is a locked account.
        let home = home.to_str().expect("temporary paths are ASCII");
        account_tool(
            "useradd",
            &["-M", "-d", home, "-s", shell, "-p", "*", &name],
        );
        std::process::Command::new("chown")
            .args(["-R", &name, home])
            .status()
            .expect("chown(1) is in POSIX");
        Some(Self { name })
    }

    /// Gives the account a password made up now.
    pub(crate) fn password(&self) -> String {
        use std::io::Write;
        let password = format!("pw-{}", unique());
        openshell_tests::secrets::note(
            openshell_tests::secrets::Kind::Password,
            password.as_bytes(),
        );
        let mut child = std::process::Command::new("chpasswd")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("chpasswd is installed (passwd)");
        let line = format!("{}:{password}\n", self.name);
        let mut stdin = child.stdin.take().expect("it was asked for");
        stdin.write_all(line.as_bytes()).expect("chpasswd reads");
        drop(stdin);
        assert!(child.wait().expect("chpasswd ends").success());
        password
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        // By force: the last process of a session may be about to end.
        account_tool("userdel", &["-f", &self.name]);
    }
}

/// The account database has one lock, which other tests may hold.
fn account_tool(tool: &str, arguments: &[&str]) {
    let mut last = String::new();
    for _ in 0..200 {
        let output = std::process::Command::new(tool)
            .args(arguments)
            .output()
            .unwrap_or_else(|error| panic!("{tool} cannot be run: {error}"));
        if output.status.success() {
            return;
        }
        last = String::from_utf8_lossy(&output.stderr).into_owned();
        std::thread::sleep(Duration::from_millis(50));
    }
    // userdel complains of processes that are about to end; it is then only untidy.
    assert!(tool == "userdel", "{tool} {arguments:?}: {last}");
    eprintln!("{tool} {arguments:?}: {last}");
}
