//! What the table of `cargo xtask bench` needs from inside: one operation per
//! line of standard input, its result on a line of standard output.
//!
//! - `bare`: a no-op over a plain channel of a connection that is open, in ms:
//!   what the call of a tool is compared with;
//! - `exec`: a no-op by our own SSH, without policy and records, in ms;
//! - `ping`: a question to that server and its answer, in ms: the round trip;
//! - `get PORT PATH`, `put PORT PATH BYTES`: a file over a connection of its own,
//!   with its login, in ms;
//! - `walk PATH`: a tree over the open connection, in ms and entries;
//! - `journal DIR MS`, `raw DIR MS`: events a second that 64 callers get on disk.
//!
//! Started as `probe HOST PORT USER KEY KNOWN_HOSTS`. It trusts the host key that
//! the bare connection meets, and nothing else does.
//!
//! Invariant: one line of answer for one line of request, in order. It judges no
//! number.

#![expect(
    clippy::panic,
    reason = "a measurement that cannot go on stops and says why"
)]

mod bare;
mod records;

use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use openshell_host::ssh::{
    Auth, ExecRequest, Expect, Pool, PoolConfig, Program, Target, WriteKind, WritePlan,
    temporary_name,
};
use tokio_util::sync::CancellationToken;

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Fallible<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [host, port, user, key, known_hosts] = words.as_slice() else {
        panic!("probe HOST PORT USER KEY KNOWN_HOSTS");
    };
    let target = Target {
        id: "probe".to_owned(),
        host: host.clone(),
        port: port.parse()?,
        user: user.clone(),
        auth: Auth::IdentityFile {
            path: PathBuf::from(key),
            passphrase: None,
        },
        known_hosts: vec![PathBuf::from(known_hosts)],
        jump: None,
        shell: "/bin/sh".to_owned(),
        connect_timeout: Duration::from_secs(30),
        silence: Duration::from_secs(60),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(serve(&target, Path::new(key)))
}

async fn serve(target: &Target, key: &Path) -> Fallible<()> {
    let bare = bare::Bare::connect(target, key).await?;
    let pool = Pool::new(PoolConfig::default());
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split(' ').collect();
        let begun = Instant::now();
        let answer = match words.as_slice() {
            ["bare"] => {
                bare.run("true").await?;
                milliseconds(begun)
            }
            ["ping"] => {
                bare.ping().await?;
                milliseconds(begun)
            }
            ["exec"] => {
                let connection = pool.connection(target).await?;
                let request = ExecRequest {
                    program: Program::Argv(vec!["true".to_owned()]),
                    cwd: None,
                    timeout: Duration::from_secs(30),
                    head_limit: 1 << 16,
                    tail_limit: 1 << 16,
                    mark: None,
                };
                connection.exec(request, CancellationToken::new()).await?;
                milliseconds(begun)
            }
            ["get", port, path] => get(target, port.parse()?, path).await?,
            ["put", port, path, bytes] => put(target, port.parse()?, path, bytes.parse()?).await?,
            ["walk", path] => {
                let sftp = pool.connection(target).await?.sftp().await?;
                let walk = sftp.walk(path, true, 1_000_000, 64).await?;
                format!("{} {}", milliseconds(begun), walk.entries.len())
            }
            ["journal", dir, ms] => records::journal(Path::new(dir), span(ms)?).await?,
            ["raw", dir, ms] => records::raw(Path::new(dir), span(ms)?)?,
            other => panic!("{other:?} is not known here"),
        };
        let mut out = std::io::stdout().lock();
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}

fn span(ms: &str) -> Fallible<Duration> {
    Ok(Duration::from_millis(ms.parse()?))
}

fn milliseconds(begun: Instant) -> String {
    format!("{:.4}", begun.elapsed().as_secs_f64() * 1e3)
}

fn at(target: &Target, port: u16) -> Target {
    Target {
        port,
        ..target.clone()
    }
}

/// Reads a file as it comes, keeping nothing but its length.
async fn get(target: &Target, port: u16, path: &str) -> Fallible<String> {
    let begun = Instant::now();
    let pool = Pool::new(PoolConfig::default());
    let sftp = pool.connection(&at(target, port)).await?.sftp().await?;
    let mut bytes = 0;
    sftp.read_pieces(path, 0, u64::MAX, |piece| bytes += piece.len())
        .await?;
    let taken = milliseconds(begun);
    pool.close().await;
    Ok(format!("{taken} {bytes}"))
}

/// Makes a new file as a tool does: beside its name, synced, renamed, read back.
async fn put(target: &Target, port: u16, path: &str, bytes: usize) -> Fallible<String> {
    let plan = WritePlan {
        path: path.to_owned(),
        content: (0..bytes).map(|index| (index % 251) as u8).collect(),
        mode: 0o600,
        owner: None,
        found: None,
        expect: Expect::Absent,
        kind: WriteKind::Atomic,
        temporary: temporary_name()?,
    };
    let begun = Instant::now();
    let pool = Pool::new(PoolConfig::default());
    let sftp = pool.connection(&at(target, port)).await?.sftp().await?;
    sftp.write_atomic(&plan).await?;
    let taken = milliseconds(begun);
    pool.close().await;
    Ok(taken)
}
