//! SSH servers that are not OpenSSH, each for one test: dropbear, TinySSH and
//! ProFTPD's `mod_sftp`, as Debian packages them.
//!
//! Invariant: a server listens on 127.0.0.1 only, knows one account, which is a
//! throw-away one, and ends with the value. Where it cannot run, the caller is
//! told aloud and skips. It deliberately configures nothing but what is needed
//! to run apart from the system's own instance.

#![expect(
    clippy::panic,
    reason = "a fixture that cannot work must stop the test and say why"
)]

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::account::Account;
use crate::port::Port;
use crate::sshd::ssh_keygen;

/// How long a server may take until it listens.
const START_LIMIT: Duration = Duration::from_secs(60);

/// OpenSSH's SFTP server, which dropbear and TinySSH start as a subsystem.
const SFTP_SERVER: &str = "/usr/lib/openssh/sftp-server";

/// Another SSH server with its one account. Dropping it ends both.
#[derive(Debug)]
pub struct Peer {
    port: u16,
    _reserved: Option<Port>,
    host_key: String,
    process: Process,
    account: Account,
    dir: TempDir,
}

#[derive(Debug)]
enum Process {
    /// It listens by itself.
    Daemon(Child),
    /// It serves one connection a process; this end listens.
    PerConnection {
        ended: Arc<AtomicBool>,
        children: Arc<Mutex<Vec<Child>>>,
    },
}

impl Peer {
    /// A dropbear, which knows passwords and `~/.ssh/authorized_keys`.
    #[must_use]
    pub fn dropbear() -> Option<Self> {
        let program = installed("dropbear", "dropbear-bin")?;
        let (dir, account) = account_with_home()?;
        let key = dir.path().join("host");
        let made = run(Command::new("dropbearkey")
            .args(["-t", "ed25519", "-f"])
            .arg(&key));
        let host_key = made
            .lines()
            .find(|line| line.starts_with("ssh-ed25519 "))
            .map(first_two_words)
            .unwrap_or_else(|| panic!("dropbearkey printed no key: {made}"));
        let port = Port::reserve();
        let child = Command::new(program)
            .args(["-F", "-E", "-r"])
            .arg(&key)
            .args(["-p", &format!("127.0.0.1:{}", port.number()), "-P"])
            .arg(dir.path().join("pid"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log_file(dir.path()))
            .spawn()
            .unwrap_or_else(|error| panic!("{program} cannot be run: {error}"));
        Some(Self::listening(port, host_key, child, account, dir))
    }

    /// A TinySSH, which knows Ed25519 keys in `~/.ssh/authorized_keys` only.
    #[must_use]
    pub fn tinyssh() -> Option<Self> {
        let program = installed("tinysshd", "tinysshd")?;
        let (dir, account) = account_with_home()?;
        let keys = dir.path().join("host-keys");
        run(Command::new("tinysshd-makekey").arg("-q").arg(&keys));
        let printed = run(Command::new("tinysshd-printkey").arg(&keys));
        let host_key = first_two_words(&printed);
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let ended = Arc::new(AtomicBool::new(false));
        let children = Arc::new(Mutex::new(Vec::new()));
        let process = Process::PerConnection {
            ended: Arc::clone(&ended),
            children: Arc::clone(&children),
        };
        let log = dir.path().join("log");
        thread::spawn(move || {
            for stream in listener.incoming() {
                if ended.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(stream) = stream else { return };
                let child = serve(program, &keys, stream, &log);
                children
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(child);
            }
        });
        Some(Self {
            port,
            _reserved: None,
            host_key,
            process,
            account,
            dir,
        })
    }

    /// A ProFTPD with `mod_sftp`, which serves files and runs no commands. It
    /// knows passwords and one file of keys. Further lines go into its
    /// `<IfModule mod_sftp.c>`.
    #[must_use]
    pub fn proftpd(lines: &[&str]) -> Option<Self> {
        let program = installed("proftpd", "proftpd-core proftpd-mod-crypto")?;
        if !Path::new("/usr/lib/proftpd/mod_sftp.so").exists() {
            eprintln!("skipped: mod_sftp is not installed (proftpd-mod-crypto)");
            return None;
        }
        let (dir, account) = account_with_home()?;
        let key = dir.path().join("host");
        ssh_keygen(&key, "ed25519", "");
        let public = fs::read_to_string(key.with_extension("pub")).expect("just made");
        let port = Port::reserve();
        let place = dir.path().display();
        let text = format!(
            "ServerName peer\nServerType standalone\nDefaultAddress 127.0.0.1\nPort {}\n\
             User nobody\nGroup nogroup\nPidFile {place}/pid\nScoreboardFile {place}/score\n\
             DelayTable none\nTransferLog none\nSystemLog {place}/system\nWtmpLog off\n\
             UseReverseDNS off\nRequireValidShell off\nAllowOverwrite on\n\
             LoadModule mod_sftp.c\n<IfModule mod_sftp.c>\nSFTPEngine on\n\
             SFTPHostKey {place}/host\nSFTPAuthorizedUserKeys file:{place}/keys\n\
             SFTPAuthMethods publickey password\nSFTPLog {place}/sftp-log\n{}\n</IfModule>\n",
            port.number(),
            lines.join("\n")
        );
        fs::write(dir.path().join("config"), text).expect("the directory is ours");
        fs::write(dir.path().join("keys"), "").expect("the directory is ours");
        let child = Command::new(program)
            .args(["-n", "-c"])
            .arg(dir.path().join("config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log_file(dir.path()))
            .spawn()
            .unwrap_or_else(|error| panic!("{program} cannot be run: {error}"));
        Some(Self::listening(
            port,
            first_two_words(&public),
            child,
            account,
            dir,
        ))
    }

    fn listening(
        port: Port,
        host_key: String,
        child: Child,
        account: Account,
        dir: TempDir,
    ) -> Self {
        let mut peer = Self {
            port: port.number(),
            _reserved: Some(port),
            host_key,
            process: Process::Daemon(child),
            account,
            dir,
        };
        let limit = Instant::now() + START_LIMIT;
        while TcpStream::connect(("127.0.0.1", peer.port)).is_err() {
            if let Process::Daemon(child) = &mut peer.process
                && let Ok(Some(status)) = child.try_wait()
            {
                panic!("the server ended with {status}: {}", peer.log());
            }
            assert!(Instant::now() < limit, "it does not listen: {}", peer.log());
            thread::sleep(Duration::from_millis(10));
        }
        peer
    }

    /// Port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `TYPE BASE64` of its host key.
    #[must_use]
    pub fn host_key_line(&self) -> &str {
        &self.host_key
    }

    /// Its one account.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// A directory of the fixture's, for keys.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Lets a key pair log in to the account, and no other.
    ///
    /// # Panics
    /// When the public key cannot be read or put in place.
    pub fn authorize(&self, key: &Path) {
        let public = key.with_extension("pub");
        let ssh = self.account.home().join(".ssh");
        fs::create_dir_all(&ssh).expect("the home is the fixture's");
        fs::copy(&public, ssh.join("authorized_keys")).expect("the key was made");
        self.account.own(self.account.home());
        for (path, mode) in [(&ssh, 0o700), (&ssh.join("authorized_keys"), 0o600)] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("just made");
        }
        // ProFTPD reads the form of RFC 4716.
        let exported = run(Command::new("ssh-keygen")
            .args(["-e", "-m", "RFC4716", "-f"])
            .arg(&public));
        fs::write(self.dir.path().join("keys"), exported).expect("the directory is ours");
    }

    /// Lets one key pair of a kind log in, and returns its private half.
    #[must_use]
    pub fn authorized_key(&self, kind: &str) -> PathBuf {
        let path = self.dir.path().join(format!("client-{kind}"));
        if !path.exists() {
            ssh_keygen(&path, kind, "");
        }
        self.authorize(&path);
        path
    }

    /// What the server has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        ["log", "sftp-log", "system"]
            .iter()
            .filter_map(|name| fs::read(self.dir.path().join(name)).ok())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .collect()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the server's log:\n{}", self.log());
        }
        match &mut self.process {
            Process::Daemon(child) => {
                for pid in descendants(child.id()) {
                    kill(pid);
                }
                let _ = child.kill();
                let _ = child.wait();
            }
            Process::PerConnection { ended, children } => {
                ended.store(true, Ordering::Relaxed);
                // The listener looks at the flag when somebody comes.
                let _ = TcpStream::connect(("127.0.0.1", self.port));
                let mut children = children.lock().unwrap_or_else(PoisonError::into_inner);
                for child in children.iter_mut() {
                    for pid in descendants(child.id()) {
                        kill(pid);
                    }
                    let _ = child.kill();
                    let _ = child.wait();
                }
            }
        }
    }
}

/// Serves one connection on standard input and output, as inetd would.
fn serve(program: &str, keys: &Path, stream: TcpStream, log: &Path) -> Child {
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(log)
        .expect("the directory is ours");
    let output: OwnedFd = stream
        .try_clone()
        .expect("a socket can be duplicated")
        .into();
    let input: OwnedFd = stream.into();
    Command::new(program)
        .args(["-v", "-x", &format!("sftp={SFTP_SERVER}")])
        .arg(keys)
        .stdin(Stdio::from(input))
        .stdout(Stdio::from(output))
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| panic!("{program} cannot be run: {error}"))
}

/// Where a server is, or nothing, said aloud, where it is not installed.
fn installed(name: &'static str, packages: &str) -> Option<&'static str> {
    let path = match name {
        "dropbear" => "/usr/sbin/dropbear",
        "tinysshd" => "/usr/sbin/tinysshd",
        _ => "/usr/sbin/proftpd",
    };
    if Path::new(path).exists() {
        return Some(path);
    }
    eprintln!("skipped: {name} is not installed ({packages})");
    None
}

/// A directory, and an account whose home lies in it. Below `/home`, because
/// TinySSH believes no key below a directory that everybody can write to.
fn account_with_home() -> Option<(TempDir, Account)> {
    if !rustix::process::getuid().is_root() {
        eprintln!("skipped: making an account needs root");
        return None;
    }
    let dir = tempfile::Builder::new()
        .prefix("openshell-peer-")
        .tempdir_in("/home")
        .expect("root can write to /home");
    // Sessions reach the home as the account.
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("just made");
    let home = dir
        .path()
        .canonicalize()
        .expect("it exists")
        .join("account");
    fs::create_dir(&home).expect("the directory is new");
    let account = Account::create("/bin/sh", &home)?;
    Some((dir, account))
}

fn log_file(dir: &Path) -> fs::File {
    fs::File::create(dir.join("log")).expect("the directory is ours")
}

fn run(command: &mut Command) -> String {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?} cannot be run: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn first_two_words(line: &str) -> String {
    line.split_ascii_whitespace()
        .take(2)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Children and theirs.
fn descendants(pid: u32) -> Vec<i32> {
    let Ok(output) = Command::new("pgrep")
        .args(["-P", &pid.to_string()])
        .output()
    else {
        return Vec::new();
    };
    let children: Vec<u32> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.trim().parse().ok())
        .collect();
    let mut all = Vec::new();
    for child in children {
        all.extend(descendants(child));
        all.extend(i32::try_from(child));
    }
    all
}

fn kill(pid: i32) {
    if let Some(pid) = rustix::process::Pid::from_raw(pid) {
        // Gone already is what was wanted.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}
