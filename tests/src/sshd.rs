//! A real OpenSSH server on a free loopback port, for one test.
//!
//! Invariant: the server reads nothing outside its own directory but the system
//! account database: generated configuration, host keys, client key and
//! `authorized_keys`. Dropping the value ends the listener and every session it
//! forked. It deliberately does not fake any behaviour of sshd: what a test
//! needs to be different is a line of `sshd_config(5)`.

#![expect(
    clippy::panic,
    reason = "a fixture that cannot start must stop the test and say why"
)]

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::port::Port;
use crate::secrets::{self, Kind, Run};

/// Where Debian, Fedora, macOS and the BSDs install the server.
const SSHD: &str = "/usr/sbin/sshd";

/// How long a server may take until it listens.
const START_LIMIT: Duration = Duration::from_secs(20);

/// How a server differs from the default: public key only, root allowed, SFTP built in.
#[derive(Debug, Clone)]
pub struct SshdOptions {
    /// Lines appended to `sshd_config(5)`; a `Match` block may come last.
    pub extra_config: Vec<String>,
    /// `MaxSessions`; none leaves the server's default of 10.
    pub max_sessions: Option<u32>,
    /// Key types for `ssh-keygen -t`, each of which yields one host key.
    pub host_key_types: Vec<String>,
    /// Whether sessions get an empty directory as `HOME`, which keeps the rc
    /// files of the account from running.
    pub empty_home: bool,
    /// Whether passwords are accepted, by the `password` method.
    pub password_auth: bool,
    /// Whether passwords are accepted by `keyboard-interactive` (needs PAM).
    pub keyboard_interactive: bool,
    /// Listen on this port instead of a free one, to take the place of a stopped server.
    pub port: Option<u16>,
}

impl Default for SshdOptions {
    fn default() -> Self {
        Self {
            extra_config: Vec::new(),
            max_sessions: None,
            host_key_types: vec!["ed25519".to_owned()],
            empty_home: true,
            password_auth: false,
            keyboard_interactive: false,
            port: None,
        }
    }
}

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub struct Sshd {
    child: Child,
    port: u16,
    /// Kept also while the server is stopped, so that it can come back.
    _reserved: Option<Port>,
    dir: TempDir,
    host_keys: Vec<PathBuf>,
    user: String,
}

impl Sshd {
    /// Starts a server and returns once it listens.
    ///
    /// # Panics
    /// When OpenSSH is not installed or the server does not start; the message
    /// carries the server's own words.
    #[must_use]
    pub fn start(options: &SshdOptions) -> Self {
        assert!(
            Path::new(SSHD).exists(),
            "{SSHD} is missing: install the package openssh-server to run this test"
        );
        // A port found free may be taken before the server binds it.
        let mut attempts = 0;
        loop {
            attempts += 1;
            match Self::try_start(options) {
                Ok(server) => return server,
                Err(log) if log.contains("Address already in use") && attempts < 5 => {}
                Err(log) => panic!("sshd did not start: {log}"),
            }
        }
    }

    fn try_start(options: &SshdOptions) -> Result<Self, String> {
        if is_root() {
            // The privilege separation directory; sshd refuses to start without it.
            fs::create_dir_all("/run/sshd").expect("root can create /run/sshd");
        }
        let dir = tempfile::Builder::new()
            .prefix("openshell-sshd-")
            .tempdir()
            .expect("a temporary directory");
        // Sessions of other accounts read authorized_keys as those accounts.
        set_mode(dir.path(), 0o755);
        let home = dir.path().join("home");
        fs::create_dir(&home).expect("the directory is new");

        let mut host_keys = Vec::new();
        for kind in &options.host_key_types {
            let path = dir.path().join(format!("host_{kind}"));
            ssh_keygen(&path, kind, "");
            host_keys.push(path);
        }
        let client_key = dir.path().join("client");
        ssh_keygen(&client_key, "ed25519", "");
        let authorized = dir.path().join("authorized_keys");
        fs::copy(dir.path().join("client.pub"), &authorized).expect("the key was just made");
        set_mode(&authorized, 0o644);

        let reserved = options.port.is_none().then(Port::reserve);
        let port = options.port.or(reserved.as_ref().map(Port::number));
        let port = port.expect("one of them is there");
        let config = dir.path().join("sshd_config");
        fs::write(&config, config_text(options, dir.path(), &host_keys, port))
            .expect("the directory is writable");

        let mut server = Self {
            child: listen(dir.path()),
            port,
            _reserved: reserved,
            dir,
            host_keys,
            user: login_name(),
        };
        server.wait_until_it_listens()?;
        Ok(server)
    }

    fn wait_until_it_listens(&mut self) -> Result<(), String> {
        let limit = Instant::now() + START_LIMIT;
        // One address after the other is bound; all of them are to be there.
        let addresses = fs::read_to_string(self.dir.path().join("sshd_config"))
            .expect("the server's own file")
            .lines()
            .filter(|line| line.starts_with("ListenAddress "))
            .count();
        while self.log().matches("Server listening on ").count() < addresses {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("{status}: {}", self.log()));
            }
            if Instant::now() > limit {
                return Err(format!("nothing after {START_LIMIT:?}: {}", self.log()));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Kills the listener and every session, and starts the same server again: same
    /// port, same keys, a new log.
    ///
    /// # Panics
    /// When it does not start again.
    pub fn restart(&mut self) {
        self.stop();
        self.child = listen(self.dir.path());
        if let Err(log) = self.wait_until_it_listens() {
            panic!("sshd did not start again: {log}");
        }
    }

    /// Port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Account that runs the server, which is the one that can log in.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// `TYPE BASE64` of the first host key.
    #[must_use]
    pub fn host_key_line(&self) -> String {
        self.host_key_lines().swap_remove(0)
    }

    /// `TYPE BASE64` of every host key, in the order of the options.
    #[must_use]
    pub fn host_key_lines(&self) -> Vec<String> {
        self.host_keys
            .iter()
            .map(|path| {
                let text = fs::read_to_string(path.with_extension("pub"))
                    .expect("ssh-keygen wrote the public key");
                text.split(' ')
                    .take(2)
                    .collect::<Vec<_>>()
                    .join(" ")
                    .trim()
                    .to_owned()
            })
            .collect()
    }

    /// A `known_hosts` file with every host key of this server, written on each call.
    #[must_use]
    pub fn known_hosts_path(&self) -> PathBuf {
        let path = self.dir.path().join("known_hosts");
        let text: String = self
            .host_key_lines()
            .iter()
            .map(|key| format!("[127.0.0.1]:{} {key}\n", self.port))
            .collect();
        fs::write(&path, text).expect("the directory is writable");
        path
    }

    /// Private key that may log in, mode 0600, without a passphrase.
    #[must_use]
    pub fn client_key_path(&self) -> PathBuf {
        self.dir.path().join("client")
    }

    /// Lets another public key log in, given as one line of a `.pub` file.
    pub fn authorize(&self, public_key: &str) {
        let path = self.dir.path().join("authorized_keys");
        let mut text = fs::read_to_string(&path).expect("the server's own file");
        text.push_str(public_key.trim());
        text.push('\n');
        fs::write(&path, text).expect("the server's own file");
    }

    /// Directory of the server, gone with it. Readable by every account.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// `HOME` of sessions, where the option asked for one.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// What the server has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = fs::read(self.dir.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// How many TCP connections the server has accepted.
    #[must_use]
    pub fn connections_seen(&self) -> usize {
        self.log().matches("Connection from ").count()
    }

    /// Cuts every connection, as a crash of the server's side would; the
    /// listener stays.
    pub fn drop_connections(&self) {
        for pid in children_of(self.child.id()) {
            kill(pid);
        }
    }

    /// Ends the listener and every session. Idempotent.
    pub fn stop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // The listener goes first: it could fork again in between.
            let sessions = children_of(self.child.id());
            let _ = self.child.kill();
            let _ = self.child.wait();
            for pid in sessions {
                kill(pid);
            }
        }
    }

    /// The server's version, such as `OpenSSH_9.2p1`.
    ///
    /// # Panics
    /// When OpenSSH is not installed.
    #[must_use]
    pub fn version() -> String {
        let output = Command::new(SSHD)
            .arg("-V")
            .output()
            .unwrap_or_else(|error| {
                panic!("{SSHD} cannot be run ({error}): install the package openssh-server")
            });
        // Servers older than 9.2 do not know -V and say their version in the usage text.
        let text = String::from_utf8_lossy(&output.stderr);
        text.split([' ', ',', '\n'])
            .find(|word| word.starts_with("OpenSSH_"))
            .unwrap_or_else(|| panic!("{SSHD} -V names no version: {text}"))
            .to_owned()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
        if let Some(run) = Run::current() {
            run.keep(&self.dir.path().join("log"));
        }
    }
}

/// Generates a key pair at `path` and `path.pub`, with `ssh-keygen -t kind`.
///
/// # Panics
/// When `ssh-keygen` is missing or refuses.
pub fn ssh_keygen(path: &Path, kind: &str, passphrase: &str) {
    let mut command = Command::new("ssh-keygen");
    command.args(["-q", "-t", kind, "-C", "", "-N", passphrase, "-f"]);
    command.arg(path);
    if kind == "rsa" {
        command.args(["-b", "2048"]);
    }
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| {
            panic!("ssh-keygen cannot be run ({error}): install the package openssh-client")
        });
    assert!(
        output.status.success(),
        "ssh-keygen -t {kind} failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    secrets::note_private_key(path);
    // Shorter ones are in no need of being kept.
    if passphrase.len() >= 12 {
        secrets::note(Kind::Passphrase, passphrase.as_bytes());
    }
}

/// Starts the listener from the configuration in a directory.
fn listen(dir: &Path) -> Child {
    let log = fs::File::create(dir.join("log")).expect("the directory is writable");
    Command::new(SSHD)
        .args(["-D", "-e", "-f"])
        .arg(dir.join("sshd_config"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("{SSHD} cannot be run: {error}"))
}

fn config_text(options: &SshdOptions, dir: &Path, host_keys: &[PathBuf], port: u16) -> String {
    let yes_no = |on: bool| if on { "yes" } else { "no" };
    let mut lines = vec![
        "ListenAddress 127.0.0.1".to_owned(),
        format!("Port {port}"),
        "PidFile none".to_owned(),
        // The directory stands below a world-writable one.
        "StrictModes no".to_owned(),
        "PermitRootLogin yes".to_owned(),
        "PubkeyAuthentication yes".to_owned(),
        format!(
            "AuthorizedKeysFile {}",
            dir.join("authorized_keys").display()
        ),
        format!("PasswordAuthentication {}", yes_no(options.password_auth)),
        format!(
            "KbdInteractiveAuthentication {}",
            yes_no(options.keyboard_interactive)
        ),
        // Only keyboard-interactive needs PAM; without it no system policy interferes.
        format!("UsePAM {}", yes_no(options.keyboard_interactive)),
        "UseDNS no".to_owned(),
        "PrintMotd no".to_owned(),
        "MaxStartups 1000".to_owned(),
        "LogLevel VERBOSE".to_owned(),
        "Subsystem sftp internal-sftp".to_owned(),
    ];
    // Since 9.8 refused logins earn the address a pause, which here is everyone's address.
    if version_number(&Sshd::version()) >= (9, 8) {
        lines.push("PerSourcePenalties no".to_owned());
    }
    lines.extend(
        host_keys
            .iter()
            .map(|path| format!("HostKey {}", path.display())),
    );
    if let Some(limit) = options.max_sessions {
        lines.push(format!("MaxSessions {limit}"));
    }
    if options.empty_home {
        lines.push(format!("SetEnv HOME={}", dir.join("home").display()));
    }
    lines.extend(options.extra_config.iter().cloned());
    lines.join("\n") + "\n"
}

fn version_number(version: &str) -> (u32, u32) {
    let digits = version.trim_start_matches("OpenSSH_");
    let mut parts = digits.split(|c: char| !c.is_ascii_digit());
    let mut next = || parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
    (next(), next())
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the fixture's own path");
}

fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

fn login_name() -> String {
    let output = Command::new("id")
        .arg("-un")
        .output()
        .expect("id(1) is in POSIX");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Direct children, by `pgrep -P`, which Linux and the BSDs share.
fn children_of(pid: u32) -> Vec<i32> {
    match Command::new("pgrep")
        .args(["-P", &pid.to_string()])
        .output()
    {
        Ok(output) => String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter_map(|line| line.trim().parse().ok())
            .collect(),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("pgrep is missing: install the package procps")
        }
        Err(error) => panic!("pgrep cannot be run: {error}"),
    }
}

fn kill(pid: i32) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        // Gone already is what was wanted.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::version_number;

    #[test]
    fn versions_are_compared_as_numbers() {
        let table = [
            ("OpenSSH_9.2p1", (9, 2)),
            ("OpenSSH_10.0p2", (10, 0)),
            ("OpenSSH_9.8", (9, 8)),
            ("nonsense", (0, 0)),
        ];
        for (text, expected) in table {
            assert_eq!(version_number(text), expected, "{text}");
        }
    }
}
