//! A sample of kills at fault points; `cargo xtask faults` does all of them.
//!
//! They prove that the sample breaks no promise and that the ordinary binary holds
//! no fault point. A sample does not replace the long run.

use std::path::Path;
use std::process::Command;

use openshell_tests::faults::{
    Extent, Plan, connections_cut_sample, fault_binary, fault_points, kills,
};
use openshell_tests::{Bridge, Cli, Sshd, SshdOptions, Sudoers, binary};
use serde_json::{Value, json};

/// The texts that a binary holds, of the setting and the name of every point.
fn held(binary: &Path) -> Vec<String> {
    let mut search = Command::new("grep");
    search.args(["-a", "-o", "-F", "-e", "OPENSHELL_FAULT"]);
    for point in fault_points() {
        search.args(["-e", &point.name]);
    }
    let found = search.arg(binary).output().expect("grep(1) is in POSIX");
    assert!(
        found.status.code().is_some_and(|code| code < 2),
        "{found:?}"
    );
    let text = String::from_utf8(found.stdout).expect("names are ASCII");
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines.dedup();
    lines
}

#[test]
fn the_ordinary_binary_has_no_fault_points() {
    // What is looked for is there, where it should be.
    let names = fault_points().len();
    assert!(names > 50, "{names}");
    assert!(held(fault_binary()).len() > names / 2);
    assert_eq!(held(binary()), Vec::<String>::new());
}

#[test]
fn a_setting_that_cannot_be_understood_ends_the_process() {
    let server = Sshd::start(&SshdOptions::default());
    let cli = enrolled(&server);
    for setting in [
        "no.such.point",
        "bridge.reply.before:1:eio",
        "bridge.reply.before:x",
    ] {
        let mut command = cli.command(["call", "remote_stat", "{\"server\":\"a\",\"path\":\"/\"}"]);
        let ended = command.env("OPENSHELL_FAULT", setting).output();
        let ended = ended.expect("the binary can be run");
        assert_eq!(ended.status.code(), Some(99), "{setting}: {ended:?}");
    }
}

#[test]
fn kills_break_no_promise() {
    let report = kills(Plan {
        extent: Extent::Sample(12),
        workers: 2,
        seed: 1,
    });
    println!("{report}");
    assert!(report.runs() >= 12, "{report}");
    assert!(report.findings().is_empty(), "{report}");
}

#[test]
fn a_cut_connection_breaks_no_promise() {
    let report = connections_cut_sample();
    println!("{report}");
    assert_eq!(report.runs(), 4, "{report}");
    assert!(report.findings().is_empty(), "{report}");
}

fn enrolled(server: &Sshd) -> Cli {
    let cli = Cli::of(fault_binary());
    let made = cli.run(["key", "init", "--file", &cli.key_file().to_string_lossy()]);
    assert_eq!(made.status, 0, "{made:?}");
    cli.enrol(server, "a");
    cli
}

/// Temporary files in the directory of the "server".
fn strays(cli: &Cli) -> Vec<String> {
    let entries = std::fs::read_dir(cli.files()).expect("the fixture's directory");
    entries
        .map(|entry| {
            let name = entry.expect("the directory is readable").file_name();
            name.into_string().expect("its name is ASCII")
        })
        .filter(|name| name.starts_with(".openshell-"))
        .collect()
}

/// The name an attempt put on record for its temporary file.
fn recorded(cli: &Cli) -> Vec<Value> {
    let names = cli.records().into_iter().filter_map(|record| {
        let name = record["operation"]["temporary"].clone();
        (record["event"] == "attempt" && !name.is_null()).then_some(name)
    });
    names.collect()
}

#[test]
fn what_a_killed_write_left_is_removed_at_the_next_use() {
    let server = Sshd::start(&SshdOptions::default());
    let cli = enrolled(&server);
    let path = cli.files().join("f").display().to_string();
    let write = json!({"server": "a", "path": path, "content": "new\n"}).to_string();
    let mut killed = cli.command(["call", "remote_write_file", &write, "--yes"]);
    let killed = killed.env("OPENSHELL_FAULT", "sftp.write.data-confirmed");
    assert!(!killed.status().expect("the binary can be run").success());
    let left = strays(&cli);
    assert_eq!(left.len(), 1, "it was killed half-way: {left:?}");
    assert_eq!(recorded(&cli), [json!(left[0])]);
    // Somebody else's file of such a name is nobody's business.
    let other = cli.files().join(".openshell-0123456789abcdef.tmp");
    std::fs::write(&other, "theirs").expect("the fixture's directory");

    let uptime = json!({"server": "a", "command": "uptime"});
    cli.must("remote_exec", &uptime, &[]);
    assert_eq!(strays(&cli), [".openshell-0123456789abcdef.tmp"]);
    let noted = cli.records().into_iter().any(|record| {
        let text = record["text"].as_str().unwrap_or_default();
        record["event"] == "note" && text.contains(&left[0]) && text.contains("removed")
    });
    assert!(noted, "the removal is on record: {:?}", cli.records());
    assert!(!cli.files().join("f").exists());
}

/// The same for what was staged for root, and for what root's script made.
#[test]
fn what_a_killed_write_as_root_left_is_removed_at_the_next_use() {
    if !Sudoers::available() {
        return;
    }
    let server = Sshd::start(&SshdOptions::default());
    let cli = Cli::of(fault_binary());
    let made = cli.run(["key", "init", "--file", &cli.key_file().to_string_lossy()]);
    assert_eq!(made.status, 0, "{made:?}");
    cli.enrol_as(&server, "a", server.user(), &["--sudo", "ask"]);
    for point in ["sudo.stage.made", "sudo.install.before"] {
        let path = cli.files().join("f").display().to_string();
        let write = json!({"server": "a", "path": path, "content": "new\n", "sudo": true});
        let mut killed = cli.command(["call", "remote_write_file", &write.to_string(), "--yes"]);
        let killed = killed.env("OPENSHELL_FAULT", point).status();
        assert!(!killed.expect("the binary can be run").success());
        let attempts = cli.records().into_iter().rev();
        let operation = attempts
            .filter(|record| record["event"] == "attempt")
            .map(|record| record["operation"].clone())
            .next();
        let operation = operation.expect("the attempt is on record");
        let name = |field: &str| operation[field].as_str().map(str::to_owned);
        let staged = Path::new("/tmp").join(name("staging").expect("it names its staging"));
        assert!(staged.is_dir(), "{point}: {operation}");
        // As where the server went down under root's script.
        let temporary = name("temporary").expect("it names what root makes");
        let half = cli.files().join(format!("{temporary}-a1B2c3"));
        std::fs::write(&half, "ne").expect("the fixture's directory");

        let uptime = json!({"server": "a", "command": "uptime"});
        cli.must("remote_exec", &uptime, &[]);
        assert!(!staged.exists(), "{point}");
        assert_eq!(strays(&cli), Vec::<String>::new(), "{point}");
        assert!(!cli.files().join("f").exists());
    }
}

#[test]
fn what_a_lost_write_left_is_removed_by_the_same_helper() {
    let mut server = Sshd::start(&SshdOptions::default());
    let cli = enrolled(&server);
    let path = cli.files().join("f").display().to_string();
    let write = json!({"server": "a", "path": path, "content": "new\n"});
    let mut command = cli.command(["bridge"]);
    let mut bridge =
        Bridge::start(command.env("OPENSHELL_FAULT", "sftp.write.data-confirmed:1:stop"));
    let pid = bridge.pid();
    let envelope = std::thread::scope(|scope| {
        let call = scope.spawn(|| bridge.call("remote_write_file", &write, Some("k")));
        crate::cli_support::eventually("it stands still", || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.contains(") T ")
        });
        server.restart();
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid).expect("a process id"));
        let pid = pid.expect("not zero");
        rustix::process::kill_process(pid, rustix::process::Signal::CONT).expect("it is a child");
        call.join().expect("a client does not panic")
    });
    let envelope = envelope.expect("the helper goes on");
    assert_eq!(envelope["status"], "error", "{envelope}");
    let left = strays(&cli);
    assert_eq!(
        left.len(),
        1,
        "the connection was lost half-way: {envelope}"
    );
    assert!(
        envelope["message"].to_string().contains(&left[0]),
        "{envelope}"
    );
    let stat = json!({"server": "a", "path": "/"});
    let used = bridge.call("remote_stat", &stat, None).unwrap_or_default();
    assert_eq!(used["status"], "ok", "{used}");
    assert_eq!(strays(&cli), Vec::<String>::new());
    bridge.finish();
}
