//! What keeping a state costs with 10, 10,000 and 100,000 states kept already,
//! beside `git add` and `git commit` of the same file: `cargo xtask bench
//! snapshots`; `--json` prints the lines for programs, `--rounds N` measures each
//! so often.
//!
//! The sizes take turns call by call, so that a slow moment of the machine hits all
//! of them. The histories are made by `git fast-import` from the messages of real
//! commits and packed, as a store that was tidied is. All hold the same files in the
//! same folders, so that they differ in the number of states alone. What neither side
//! waits for a disk for is measured on a file system in memory, where there is one.
//!
//! Invariant: every size does the same changes. It asserts nothing about the times.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a measurement that cannot go on stops and says why"
)]

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use openshell_host::snapshots::{Change, FileState, Metadata, Snapshots};

const SIZES: [usize; 3] = [10, 10_000, 100_000];
/// Files in every history: as many as one server's configuration has.
const FILES: usize = 5_000;
/// Files that change: as many as the smallest history can have changed.
const CHANGING: usize = 10;
/// A file system whose files are on no disk.
const MEMORY: &str = "/dev/shm";
const ROUNDS: usize = 80;
const WARM_UP: usize = 10;
const SERVER: &str = "bench";

fn path(file: usize) -> String {
    format!("/srv/app{}/etc/conf{}.ini", file % 100, file / 100)
}

fn content(file: usize, version: usize) -> String {
    format!(
        "# file {file}\nversion = {version}\n{}",
        "key = value\n".repeat(40)
    )
}

fn change<'a>(path: &'a str, content: &'a str) -> Change<'a> {
    Change {
        server: SERVER,
        path,
        state: FileState::Present {
            content: Cow::Borrowed(content.as_bytes()),
            metadata: Metadata {
                mode: 0o644,
                mtime: 1_700_000_000,
                ..Metadata::default()
            },
        },
        action: "01J00000000000000000000000",
        tool: "remote_write_file",
        session: None,
        door: "bridge",
        approved: Some("person"),
        secret: false,
        run_as: None,
        undo: false,
        restores: None,
    }
}

fn git(repo: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .arg("--git-dir")
        .arg(repo)
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// A store with so many states of so many files.
fn fill(repo: &Path, states: usize) {
    let snapshots = Snapshots::open(repo, None).unwrap();
    let sample = content(0, 0);
    snapshots.after(&change(&path(0), &sample)).unwrap();
    let message = git(repo, &["log", "-1", "--format=%B", SERVER]);
    let old_hash = field(&message, "Sha256: ");
    let old_size = format!("Size: {}", field(&message, "Size: "));
    let mut stream = String::new();
    for state in 1..states {
        let (file, version) = (state % FILES.min(states), state);
        let (path, content) = (path(file), content(file, version));
        let message = message
            .replace(&self::path(0), &path)
            .replace(&old_hash, &sha256(&content))
            .replace(&old_size, &format!("Size: {}", content.len()));
        let message = message.trim_end();
        write!(
            stream,
            "commit refs/heads/{SERVER}\ncommitter openshell <openshell@localhost> \
             1700000000 +0000\ndata {}\n{message}\n{}{}",
            message.len(),
            if state == 1 {
                // The folders are as full as they will be from the first state on.
                let all = (0..FILES).map(|file| put(file, 0)).collect::<String>();
                format!("from refs/heads/{SERVER}^0\n{all}")
            } else {
                String::new()
            },
            put(file, version),
        )
        .unwrap();
    }
    let mut child = Command::new("git")
        .arg("--git-dir")
        .arg(repo)
        .args(["fast-import", "--quiet"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(stream.as_bytes())
        .unwrap();
    assert!(child.wait().unwrap().success());
}

/// What gives a file its content, for `git fast-import`.
fn put(file: usize, version: usize) -> String {
    let (path, content) = (path(file), content(file, version));
    format!(
        "M 100644 inline {}\ndata {}\n{content}\n",
        path.trim_start_matches('/'),
        content.len()
    )
}

fn field(message: &str, name: &str) -> String {
    let line = message.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("{name} is not in {message}"))
        .to_owned()
}

fn sha256(text: &str) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A place and the times taken there, in ms.
struct Line {
    name: String,
    times: Vec<f64>,
}

impl Line {
    fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            times: Vec::new(),
        }
    }

    fn time(&mut self, round: usize, work: impl FnOnce()) {
        let started = Instant::now();
        work();
        let taken = started.elapsed().as_secs_f64() * 1e3;
        if round >= WARM_UP {
            self.times.push(taken);
        }
    }

    fn quantile(&self, part: f64) -> f64 {
        let mut sorted = self.times.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        sorted[(last as f64 * part).round() as usize]
    }

    fn print(&self, base: Option<&Self>) {
        if std::env::args().any(|word| word == "--json") {
            let line = serde_json::json!({
                "name": self.name,
                "median": self.quantile(0.5),
                "low": self.quantile(0.25),
                "high": self.quantile(0.75),
            });
            println!("{line}");
            return;
        }
        let ratio = base.map_or_else(String::new, |base| {
            format!("   x {:.2}", self.quantile(0.5) / base.quantile(0.5))
        });
        println!(
            "{:44} {:8.2} ms   {:.2} .. {:.2}{ratio}",
            self.name,
            self.quantile(0.5),
            self.quantile(0.25),
            self.quantile(0.75)
        );
    }
}

fn main() {
    let mut words = std::env::args().skip_while(|word| word != "--rounds");
    let rounds = match (words.next(), words.next()) {
        (None, _) => ROUNDS,
        (_, number) => number.unwrap().parse().unwrap(),
    };
    let dir = tempfile::tempdir().unwrap();
    let mut stores = Vec::new();
    for size in SIZES {
        let repo = dir.path().join(format!("{size}.git"));
        fill(&repo, size);
        let started = Instant::now();
        let snapshots = Snapshots::open(&repo, None).unwrap();
        let text = content(0, size + 1);
        snapshots.before(&change(&path(0), &text)).unwrap();
        let first = started.elapsed().as_secs_f64() * 1e3;
        drop(snapshots);
        let started = Instant::now();
        let snapshots = Snapshots::open(&repo, None).unwrap();
        snapshots.before(&change(&path(0), &text)).unwrap();
        let next = started.elapsed().as_secs_f64() * 1e3;
        println!(
            "{size:7} states: first call of a process {next:.1} ms; {first:.1} ms where the index \
             has to be made"
        );
        stores.push((size, snapshots));
    }
    measure(&stores, rounds);
    beside_git(dir.path(), rounds);
    in_memory(rounds);
}

fn measure(stores: &[(usize, Snapshots)], rounds: usize) {
    let line = |what: &str, size: usize| Line::new(format!("{what}, {size} states"));
    let mut lines: Vec<[Line; 3]> = stores
        .iter()
        .map(|(size, _)| {
            [
                line("before, as last seen", *size),
                line("before, changed by others", *size),
                line("after", *size),
            ]
        })
        .collect();
    for round in 0..WARM_UP + rounds {
        for ((size, snapshots), lines) in stores.iter().zip(&mut lines) {
            // Files all over the history, the oldest ones included.
            let file = match *size {
                few if few < FILES => round % CHANGING,
                _ => round * 7919 % FILES,
            };
            let path = path(file);
            let theirs = content(file, 1_000_000 + round);
            let ours = content(file, 2_000_000 + round);
            let [known, drift, after] = lines;
            drift.time(round, || {
                snapshots.before(&change(&path, &theirs)).unwrap();
            });
            known.time(round, || {
                snapshots.before(&change(&path, &theirs)).unwrap();
            });
            after.time(round, || {
                snapshots.after(&change(&path, &ours)).unwrap();
            });
        }
    }
    let base = &lines[0];
    for what in 0..3 {
        for (index, lines) in lines.iter().enumerate() {
            lines[what].print((index > 0).then_some(&base[what]));
        }
    }
}

/// A work tree of as many files, for plain git.
fn work_tree(dir: &Path) -> PathBuf {
    let work = dir.join("work");
    let bare = dir.join(format!("{}.git", SIZES[1]));
    let cloned = Command::new("git")
        .args(["clone", "--quiet", "--branch", SERVER])
        .args([&bare, &work])
        .status();
    assert!(cloned.is_ok_and(|status| status.success()));
    work
}

/// Changes a file as a person would, with a setting of git.
fn commit(work: &Path, setting: &str, name: &str, content: &str) {
    std::fs::write(work.join(name), content).unwrap();
    for arguments in [&["add", name][..], &["commit", "--quiet", "-m", "edit"]] {
        let status = Command::new("git")
            .arg("-C")
            .arg(work)
            .args(["-c", "user.name=x", "-c", "user.email=x@y"])
            .args(["-c", setting, "-c", "gc.auto=0"])
            .args(arguments)
            .status();
        assert!(status.is_ok_and(|status| status.success()));
    }
}

/// What plain git takes for the same.
fn beside_git(dir: &Path, rounds: usize) {
    let work = work_tree(dir);
    let mut line = Line::new("git add, git commit, fsync");
    for round in 0..WARM_UP + rounds.div_ceil(2) {
        let file = round * 7919 % FILES;
        let (path, content) = (path(file), content(file, 3_000_000 + round));
        line.time(round, || {
            let name = path.trim_start_matches('/');
            commit(&work, "core.fsync=committed,index", name, &content);
        });
    }
    line.print(None);
}

/// Both in turns where an fsync costs nothing.
fn in_memory(rounds: usize) {
    let Ok(dir) = tempfile::tempdir_in(MEMORY) else {
        return;
    };
    let repo = dir.path().join(format!("{}.git", SIZES[1]));
    fill(&repo, SIZES[1]);
    let work = work_tree(dir.path());
    let snapshots = Snapshots::open(&repo, None).unwrap();
    let mut ours = Line::new("after, no disk");
    let mut git = Line::new("git add, git commit, no disk, no fsync");
    for round in 0..WARM_UP + rounds.div_ceil(2) {
        let file = round * 7919 % FILES;
        let (path, content) = (path(file), content(file, 4_000_000 + round));
        ours.time(round, || {
            snapshots.after(&change(&path, &content)).unwrap();
        });
        git.time(round, || {
            let name = path.trim_start_matches('/');
            commit(&work, "core.fsync=none", name, &content);
        });
    }
    git.print(None);
    ours.print(Some(&git));
}
