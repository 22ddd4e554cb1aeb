//! One command: a real process between the ends of a channel.
//!
//! Invariant: the process leads a session of its own, as under sshd(8), and its
//! whole process group is killed when the channel ends, however it ends, also when
//! the runtime goes down. Only what left the group by itself can stay. The command
//! line itself is not looked at.

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use russh::server::{Handle, Msg};
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;

/// Directories commands are looked up in; nothing is taken from this process.
const SEARCH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Where the program that starts a session may be.
const SETSID: [&str; 2] = ["/usr/bin/setsid", "/bin/setsid"];
/// Most bytes sent in one message.
const CHUNK: usize = 32 * 1024;
/// Data type of standard error: RFC 4254, section 5.2.
const STDERR: u32 = 1;

/// Kills a process group when dropped.
///
/// Its leader must not have been reaped before, or the number could belong to
/// somebody else by then.
struct Group(Pid);

impl Group {
    fn signal(&self, signal: Signal) {
        // It fails when everybody is gone already.
        let _ = kill_process_group(self.0, signal);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// A command that was started and is not connected yet. Fields are dropped in
/// this order: the group is killed before its leader can be reaped.
pub(super) struct Running {
    group: Group,
    stdin: ChildStdin,
    stdout: ChildStdout,
    stderr: ChildStderr,
    child: Child,
}

/// Runs a command line with `/bin/sh`, in `root`, as sshd(8) runs it with the
/// login shell.
pub(super) fn start(command: &[u8], root: &Path) -> io::Result<Running> {
    let setsid = SETSID.iter().find(|program| Path::new(program).exists());
    let mut builder = match setsid {
        Some(program) => {
            let mut builder = Command::new(program);
            builder.arg("/bin/sh");
            builder
        }
        None => {
            // A process group alone is the next best thing to a session.
            let mut builder = Command::new("/bin/sh");
            builder.process_group(0);
            builder
        }
    };
    let mut child = builder
        .arg("-c")
        .arg(OsStr::from_bytes(command))
        .current_dir(root)
        .env_clear()
        .env("HOME", root)
        .env("PATH", SEARCH)
        .env("SHELL", "/bin/sh")
        .env("USER", "demo")
        .env("LOGNAME", "demo")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let leader = child
        .id()
        .and_then(|id| Pid::from_raw(id.cast_signed()))
        .ok_or(io::ErrorKind::NotFound)?;
    match (child.stdin.take(), child.stdout.take(), child.stderr.take()) {
        (Some(stdin), Some(stdout), Some(stderr)) => Ok(Running {
            group: Group(leader),
            stdin,
            stdout,
            stderr,
            child,
        }),
        _ => Err(io::ErrorKind::BrokenPipe.into()),
    }
}

impl Running {
    /// Connects the command with its channel until both outputs and the process
    /// have ended, or the client has closed the channel.
    pub(super) async fn serve(self, channel: Channel<Msg>, handle: Handle) {
        let Self {
            group,
            stdin,
            stdout,
            stderr,
            mut child,
        } = self;
        let id = channel.id();
        let (mut from_client, to_client) = channel.split();
        let to_client = Arc::new(to_client);
        let outputs = async {
            tokio::join!(
                pump(stdout, &to_client, None),
                pump(stderr, &to_client, Some(STDERR))
            );
            let _ = to_client.eof().await;
        };
        let ended = async {
            let sent = match end_of(group.0).await {
                End::Exit(status) => handle.exit_status_request(id, status).await,
                End::Signal(name) => {
                    handle
                        .exit_signal_request(id, name, false, String::new(), String::new())
                        .await
                }
            };
            // A client that is gone is noticed by `listen`.
            let _ = sent;
        };
        tokio::select! {
            _ = async { tokio::join!(outputs, ended) } => {}
            () = listen(&mut from_client, stdin, &group) => {}
        }
        drop(group);
        let _ = child.wait().await;
        let _ = to_client.close().await;
    }
}

/// Hands the client's bytes to the command. Ends when the channel does.
async fn listen(client: &mut ChannelReadHalf, mut stdin: ChildStdin, group: &Group) {
    // A command that does not read must not keep the end of the channel from
    // being seen, so the bytes wait here; the story's scripts are short.
    let (sender, mut receiver) = mpsc::unbounded_channel::<bytes::Bytes>();
    let feed = async {
        while let Some(data) = receiver.recv().await {
            if stdin.write_all(&data).await.is_err() {
                break;
            }
        }
        // Closing it is how the command learns of the end of its input.
        drop(stdin);
    };
    let take = async {
        let mut sender = Some(sender);
        while let Some(message) = client.wait().await {
            match message {
                ChannelMsg::Data { data } => {
                    if let Some(sender) = &sender {
                        // It fails once the command closed its input.
                        let _ = sender.send(data);
                    }
                }
                ChannelMsg::Eof => sender = None,
                ChannelMsg::Signal { signal } => {
                    if let Some(signal) = number(&signal) {
                        group.signal(signal);
                    }
                }
                ChannelMsg::Close => break,
                _ => {}
            }
        }
    };
    tokio::pin!(feed);
    tokio::pin!(take);
    tokio::select! {
        () = &mut feed => take.await,
        () = &mut take => {}
    }
}

/// Sends one output of the command until it ends or nobody listens.
async fn pump(mut from: impl AsyncRead + Unpin, to: &ChannelWriteHalf<Msg>, kind: Option<u32>) {
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(read) => bytes::Bytes::copy_from_slice(&buffer[..read]),
        };
        let sent = match kind {
            None => to.data_bytes(read).await,
            Some(kind) => to.extended_data_bytes(kind, read).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

/// How a process ended.
enum End {
    Exit(u32),
    Signal(Sig),
}

/// Waits for the end of a child without reaping it, so that its number stays
/// its own until the group is killed.
async fn end_of(leader: Pid) -> End {
    let waited = tokio::task::spawn_blocking(move || {
        loop {
            let flags = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            match waitid(WaitId::Pid(leader), flags) {
                Err(rustix::io::Errno::INTR) => {}
                other => return other,
            }
        }
    });
    let Ok(Ok(Some(status))) = waited.await else {
        // Nothing else waits for this child, so this is not expected; 255 is
        // what ssh(1) itself reports for "no status".
        return End::Exit(255);
    };
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => End::Exit(code.cast_unsigned()),
        (None, Some(number)) => End::Signal(name(number)),
        (None, None) => End::Exit(255),
    }
}

/// The signal of a name of RFC 4254, section 6.10, as far as a client has a use
/// for it here.
fn number(name: &Sig) -> Option<Signal> {
    match name {
        Sig::HUP => Some(Signal::HUP),
        Sig::INT => Some(Signal::INT),
        Sig::KILL => Some(Signal::KILL),
        Sig::QUIT => Some(Signal::QUIT),
        Sig::TERM => Some(Signal::TERM),
        Sig::USR1 => Some(Signal::USR1),
        _ => None,
    }
}

/// The name of a signal that ended a process.
fn name(number: i32) -> Sig {
    match Signal::from_named_raw(number) {
        Some(Signal::ABORT) => Sig::ABRT,
        Some(Signal::ALARM) => Sig::ALRM,
        Some(Signal::FPE) => Sig::FPE,
        Some(Signal::HUP) => Sig::HUP,
        Some(Signal::ILL) => Sig::ILL,
        Some(Signal::INT) => Sig::INT,
        Some(Signal::KILL) => Sig::KILL,
        Some(Signal::PIPE) => Sig::PIPE,
        Some(Signal::QUIT) => Sig::QUIT,
        Some(Signal::SEGV) => Sig::SEGV,
        Some(Signal::TERM) => Sig::TERM,
        Some(Signal::USR1) => Sig::USR1,
        // Names of one's own carry a domain (same section).
        _ => Sig::Custom(format!("{number}@openshell")),
    }
}
