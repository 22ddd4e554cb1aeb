//! Measures warm calls beside OpenSSH in the same run, on the same loopback
//! server, and prints ratios: absolute numbers differ between machines.
//!
//! Each line alternates its two sides call by call, so that a slow moment of the
//! machine hits both.

mod verdicts;

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use openshell_tests::{Sshd, SshdOptions};
use serde_json::{Value, json};

/// Calls measured per line, after as many as `WARM_UP` that are not.
const CALLS: usize = 200;
const WARM_UP: usize = 20;

const USAGE: &str = "bench [calls|verdicts] [--helper PATH]";

fn main() -> ExitCode {
    let mut helper = workspace().join("target/release/openshell");
    let (mut calls_wanted, mut verdicts_wanted) = (true, true);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match (word.as_str(), words.size_hint()) {
            ("calls", _) => verdicts_wanted = false,
            ("verdicts", _) => calls_wanted = false,
            ("--helper", (1.., _)) => helper = words.next().map(PathBuf::from).unwrap_or_default(),
            _ => {
                eprintln!("error: {word:?} is not known here\n{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    if !helper.exists() {
        eprintln!("{} is missing: run `cargo xtask bench`", helper.display());
        return ExitCode::FAILURE;
    }
    if calls_wanted {
        calls(&helper);
    }
    if verdicts_wanted {
        verdicts::print(&helper);
    }
    ExitCode::SUCCESS
}

/// Warm calls beside OpenSSH's.
fn calls(helper: &Path) {
    let sshd = Sshd::start(&SshdOptions::default());
    let scratch = sshd.dir().join("bench");
    std::fs::create_dir_all(&scratch).expect("the fixture's own folder");
    let mut bridge = Bridge::start(helper, &sshd, &scratch);
    let master = ControlMaster::start(&sshd, &scratch);

    println!(
        "{}; {CALLS} calls a line, medians with the middle half",
        Sshd::version()
    );
    let fsync = fsync_times(&scratch);
    println!("fsync of a small append            {}", spread(&fsync));

    let file = scratch.join("four-kilobytes");
    std::fs::write(&file, vec![b'x'; 4096]).expect("the fixture's own folder");
    let exec = json!({"server": "bench", "command": "true"});
    let stat = json!({"server": "bench", "path": file});
    let read = json!({"server": "bench", "path": file, "length": 4096});

    let (ours, theirs) = alternate(
        || bridge.call("remote_exec", &exec),
        || master.run(&["true"]),
    );
    println!("remote_exec, warm, over the bridge {}", spread(&ours));
    println!("ssh over ControlMaster             {}", spread(&theirs));
    println!(
        "  ratio                            {:.2}",
        median(&ours) / median(&theirs)
    );

    let (stats, _) = alternate(|| bridge.call("remote_stat", &stat), || ());
    println!("remote_stat                        {}", spread(&stats));
    let (reads, _) = alternate(|| bridge.call("remote_read_file", &read), || ());
    println!("remote_read_file, 4 KB             {}", spread(&reads));
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Times two things in turn, in ms.
fn alternate(mut ours: impl FnMut(), mut theirs: impl FnMut()) -> (Vec<f64>, Vec<f64>) {
    let mut times = (Vec::new(), Vec::new());
    for round in 0..WARM_UP + CALLS {
        let first = timed(&mut ours);
        let second = timed(&mut theirs);
        if round >= WARM_UP {
            times.0.push(first);
            times.1.push(second);
        }
    }
    times
}

fn timed(work: &mut impl FnMut()) -> f64 {
    let started = Instant::now();
    work();
    milliseconds(started.elapsed())
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn quantile(times: &[f64], part: f64) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted
        .get((last as f64 * part).round() as usize)
        .copied()
        .unwrap_or(f64::NAN)
}

fn median(times: &[f64]) -> f64 {
    quantile(times, 0.5)
}

fn spread(times: &[f64]) -> String {
    format!(
        "{:8.2} ms   {:.2} .. {:.2}",
        median(times),
        quantile(times, 0.25),
        quantile(times, 0.75)
    )
}

/// What making a line of the journal durable costs on this disk.
fn fsync_times(folder: &Path) -> Vec<f64> {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.join("fsync"))
        .expect("the fixture's own folder");
    (0..CALLS)
        .map(|_| {
            timed(&mut || {
                file.write_all(&[b'x'; 700]).expect("a writable disk");
                file.sync_data().expect("a disk that syncs");
            })
        })
        .collect()
}

/// The helper, served over its own protocol.
struct Bridge {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    next: u64,
}

impl Bridge {
    fn start(helper: &Path, sshd: &Sshd, scratch: &Path) -> Self {
        let key = scratch.join("master.key");
        let command = |arguments: &[&str]| {
            let mut command = Command::new(helper);
            command
                .args(arguments)
                .env_clear()
                .env("PATH", "/usr/bin:/bin")
                .env("HOME", scratch)
                .env("OPENSHELL_CONFIG_DIR", scratch.join("config"))
                .env("OPENSHELL_DATA_DIR", scratch.join("data"))
                .env("OPENSHELL_MASTER_KEY_FILE", &key);
            command
        };
        let key_path = key.display().to_string();
        let port = sshd.port().to_string();
        let identity = sshd.client_key_path().display().to_string();
        let host_key = sshd.host_key_line();
        let add = [
            "server",
            "add",
            "bench",
            "--host",
            "127.0.0.1",
            "--port",
            &port,
            "--user",
            sshd.user(),
            "--identity",
            &identity,
            "--host-key",
            &host_key,
        ];
        for arguments in [&["key", "init", "--file", &key_path][..], &add[..]] {
            let output = command(arguments).output().expect("the helper runs");
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
        let mut child = command(&["bridge"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the helper runs");
        let input = child.stdin.take().expect("it is piped");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut bridge = Self {
            child,
            input,
            output,
            next: 0,
        };
        bridge.request(
            "initialize",
            &json!({"client": {"name": "bench", "version": "1"}, "protocol": {"min": 1, "max": 1}}),
        );
        bridge
    }

    fn request(&mut self, method: &str, params: &Value) -> Value {
        self.next += 1;
        let request =
            json!({"jsonrpc": "2.0", "id": self.next, "method": method, "params": params});
        writeln!(self.input, "{request}").expect("the helper reads");
        let mut line = String::new();
        self.output
            .read_line(&mut line)
            .expect("the helper answers");
        serde_json::from_str(&line).expect("an answer is JSON")
    }

    fn call(&mut self, tool: &str, arguments: &Value) {
        let answer = self.request("tools/call", &json!({"name": tool, "arguments": arguments}));
        assert_eq!(answer["result"]["envelope"]["status"], "ok", "{answer}");
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // The end of its input is how a helper is ended; killing covers a hang.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What people type instead: one `ssh` process per command over a shared
/// connection.
struct ControlMaster {
    arguments: Vec<String>,
}

impl ControlMaster {
    fn start(sshd: &Sshd, scratch: &Path) -> Self {
        let option = |text: String| ["-o".to_owned(), text];
        let mut arguments: Vec<String> = ["-F", "none", "-p"].map(str::to_owned).into();
        arguments.push(sshd.port().to_string());
        arguments.push("-i".to_owned());
        arguments.push(sshd.client_key_path().display().to_string());
        arguments.extend(option(format!(
            "UserKnownHostsFile={}",
            sshd.known_hosts_path().display()
        )));
        arguments.extend(option("IdentitiesOnly=yes".to_owned()));
        arguments.extend(option("BatchMode=yes".to_owned()));
        arguments.extend(option(format!(
            "ControlPath={}",
            scratch.join("cm").display()
        )));
        arguments.extend(option("ControlMaster=auto".to_owned()));
        arguments.extend(option("ControlPersist=60".to_owned()));
        arguments.push(format!("{}@127.0.0.1", sshd.user()));
        let master = Self { arguments };
        master.run(&["true"]);
        master
    }

    fn run(&self, command: &[&str]) {
        let status = Command::new("ssh")
            .args(&self.arguments)
            .args(command)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("openssh-client is installed");
        assert!(status.success());
    }
}

impl Drop for ControlMaster {
    fn drop(&mut self) {
        let _ = Command::new("ssh")
            .args(&self.arguments)
            .args(["-O", "exit"])
            .stderr(Stdio::null())
            .status();
    }
}
