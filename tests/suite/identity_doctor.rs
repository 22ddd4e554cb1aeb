//! `openshell doctor`: silent about nothing, and with a fix for what is wrong.
//!
//! They prove that every wrong has a line and a fix. That the fixes work when they
//! are typed is shown for `install` alone.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use openshell_tests::{Cli, Sshd, SshdOptions, binary};
use serde_json::Value;

/// The state and the detail of the checks of a kind.
fn found(report: &Value, check: &str) -> Vec<(String, String)> {
    let checks = report["checks"].as_array().expect("an array").iter();
    checks
        .filter(|found| found["check"] == check)
        .map(|found| {
            let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
            if found["state"] == "wrong" {
                assert!(found["fix"].is_string(), "{found} says no way out");
            }
            (text("state"), text("detail"))
        })
        .collect()
}

/// An installation whose PATH holds the binary and no OpenCode.
fn installation() -> Cli {
    let mut cli = Cli::new();
    let bin = cli.dir().join("bin");
    fs::create_dir(&bin).expect("the directory is ours");
    std::os::unix::fs::symlink(binary(), bin.join("openshell")).expect("the directory is ours");
    cli.set_env("PATH", &bin.display().to_string());
    cli
}

/// Runs it where somebody works; a home would be a project of its own.
fn doctor(cli: &Cli, flags: &[&str]) -> (i32, Value) {
    doctor_in(cli, &cli.files(), flags)
}

fn doctor_in(cli: &Cli, dir: &Path, flags: &[&str]) -> (i32, Value) {
    let words = ["doctor", "--json"]
        .into_iter()
        .chain(flags.iter().copied());
    let output = cli.run_in(dir, words);
    (output.status, output.json())
}

/// Puts an executable file there.
fn program(path: &Path, script: &str) {
    fs::write(path, format!("#!/bin/sh\n{script}\n")).expect("ours");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("ours");
}

/// OpenCode's answer to what tools it has, with all of them.
fn all_tools() -> String {
    let tools = [
        "list_servers",
        "remote_exec",
        "remote_read_file",
        "remote_write_file",
        "remote_patch_file",
        "remote_list_dir",
        "remote_stat",
        "remote_find",
    ];
    tools.map(|tool| format!("\"{tool}\": true")).join(", ")
}

#[test]
fn a_sound_installation_and_each_thing_that_can_be_wrong() {
    let mut cli = installation();
    let (status, report) = doctor(&cli, &[]);
    assert_eq!(status, 0, "{report}");
    assert!(!cli.config_dir().join("registry.json").exists());

    let mut server = Sshd::start(&SshdOptions::default());
    cli.enrol(&server, "web");
    let (status, report) = doctor(&cli, &["--servers"]);
    assert_eq!(status, 0, "{report}");
    for check in ["key", "registry", "journal", "policy", "program", "server"] {
        assert_eq!(found(&report, check)[0].0, "ok", "{check}: {report}");
    }
    server.stop();
    let (status, report) = doctor(&cli, &["--servers"]);
    assert_eq!(status, 1, "{report}");
    assert_eq!(found(&report, "server")[0].0, "wrong", "{report}");

    fs::write(cli.config_dir().join("policy.toml"), "nonsense = 1\n").expect("ours");
    let (status, report) = doctor(&cli, &[]);
    assert_eq!(
        (status, found(&report, "policy")[0].0.as_str()),
        (1, "wrong")
    );
    fs::remove_file(cli.config_dir().join("policy.toml")).expect("just written");

    let registry = cli.config_dir().join("registry.json");
    let good = fs::read_to_string(&registry).expect("it is there");
    fs::write(&registry, good.replace("127.0.0.1", "127.0.0.2")).expect("ours");
    let (status, report) = doctor(&cli, &[]);
    assert_eq!(
        (status, found(&report, "registry")[0].0.as_str()),
        (1, "wrong")
    );
    fs::write(&registry, good).expect("ours");

    fs::set_permissions(cli.key_file(), fs::Permissions::from_mode(0o644)).expect("ours");
    let (status, report) = doctor(&cli, &[]);
    assert_eq!((status, found(&report, "key")[0].0.as_str()), (1, "wrong"));
    fs::set_permissions(cli.key_file(), fs::Permissions::from_mode(0o600)).expect("ours");

    // Another program of the name comes first.
    let other = cli.dir().join("other");
    fs::create_dir(&other).expect("ours");
    program(&other.join("openshell"), ":");
    cli.set_env("PATH", &other.display().to_string());
    let (status, report) = doctor(&cli, &[]);
    assert_eq!(
        (status, found(&report, "program")[0].0.as_str()),
        (1, "wrong")
    );
}

#[test]
fn opencode_and_its_plugin() {
    let cli = installation();
    let (_, report) = doctor(&cli, &[]);
    assert_eq!(found(&report, "opencode")[0].0, "note", "{report}");
    let opencode = |version: &str, tools: &str| {
        let script = format!(
            "case $1 in --version) echo {version} ;; *) echo '{{\"tools\": {{{tools}}}}}' ;; esac"
        );
        program(&cli.dir().join("bin/opencode"), &script);
    };
    let all = all_tools();
    opencode("1.18.33", &all);
    let first = |check: &str, status: i32| {
        let (ended, report) = doctor(&cli, &[]);
        assert_eq!(ended, status, "{report}");
        found(&report, check)[0].clone()
    };
    assert_eq!(first("plugin", 1).0, "wrong");

    let config = cli.home().join(".config/opencode");
    fs::create_dir_all(&config).expect("ours");
    let jsonc = config.join("opencode.jsonc");
    let by_name = "{\n  // the plugin\n  \"plugin\": [\"openshell-opencode\",],\n}\n";
    fs::write(&jsonc, by_name).expect("ours");
    assert_eq!(first("plugin", 0).0, "ok");
    assert_eq!(first("tools", 0).0, "ok");
    opencode("1.18.33", "\"bash\": true");
    assert_eq!(first("tools", 1).0, "wrong");
    for version in ["1.17.9", "2.0.1"] {
        opencode(version, &all);
        assert_eq!(first("opencode", 1).0, "wrong", "{version}");
    }
    opencode("1.18.33", &all);
    fs::write(&jsonc, "{\"plugin\": [1 2]}").expect("ours");
    assert!(first("opencode", 1).1.contains("1.18.33"));
    let (_, report) = doctor(&cli, &[]);
    let unreadable = &found(&report, "opencode")[1];
    assert!(unreadable.1.contains("line 1, column 14"), "{unreadable:?}");
    fs::remove_file(&jsonc).expect("just written");

    // What `install` does is what is looked for.
    assert_eq!(cli.run(["install"]).status, 0);
    for check in ["plugin", "helper", "tools"] {
        assert_eq!(first(check, 0).0, "ok", "{check}");
    }
    let adapter = cli.data_dir().join("opencode").join("0.1.0");
    let index = adapter.join("index.js");
    let good = fs::read(&index).expect("it is there");
    fs::write(&index, "export default {}").expect("ours");
    assert_eq!(first("plugin", 1).0, "wrong");
    fs::write(&index, good).expect("ours");
    let json = config.join("opencode.json");
    let installed = fs::read_to_string(&json).expect("it is there");
    for (from, to) in [("bin/openshell", "bin/gone"), ("0.1.0", "0.0.9")] {
        fs::write(&json, installed.replace(from, to)).expect("ours");
        let (status, report) = doctor(&cli, &[]);
        assert_eq!(status, 1, "{report}");
    }
    fs::write(&json, installed).expect("ours");
    // In a project that holds the configuration, it chooses no program.
    let (_, report) = doctor_in(&cli, &config, &[]);
    assert_eq!(found(&report, "project")[0].0, "note", "{report}");
    assert_eq!(found(&report, "helper")[0].0, "ok", "{report}");
    // A file whose list replaces the one with the entry.
    fs::write(&jsonc, "{\"plugin\": []}").expect("ours");
    assert_eq!(first("plugin", 1).0, "wrong");
}

/// Whoever wrote a repository must not have a program run by looking at it.
#[test]
fn nothing_that_a_project_brought_along_is_run() {
    let mut cli = installation();
    let project = cli.dir().join("project");
    let below = project.join("below");
    for dir in [&below, &project.join(".git"), &project.join("bin")] {
        fs::create_dir_all(dir).expect("ours");
    }
    let project = project.canonicalize().expect("just made");
    let ran = cli.dir().join("ran");
    let touch = format!("echo \"$0 $*\" >> '{}'", ran.display());
    for name in [
        "x",
        "openshell",
        "opencode",
        "bin/openshell",
        "bin/opencode",
    ] {
        program(&project.join(name), &touch);
    }
    fs::write(
        project.join("package.json"),
        "{\"name\": \"openshell-opencode\", \"version\": \"0.1.0\"}",
    )
    .expect("ours");
    // An OpenCode of the person's own, which says where it was started.
    let started = cli.dir().join("started");
    let script = format!(
        "[ \"$1\" = --version ] && echo 1.18.33 && exit\n\
         echo \"$(pwd -P) $(ls -a | wc -l) $OPENCODE_DISABLE_PROJECT_CONFIG\" >> '{}'\n\
         echo '{{\"tools\": {{{}}}}}'",
        started.display(),
        all_tools()
    );
    program(&cli.dir().join("bin/opencode"), &script);
    let path = format!(
        ".:bin::{}:{}:/usr/bin:/bin",
        project.join("bin").display(),
        cli.dir().join("bin").display()
    );
    cli.set_env("PATH", &path);

    let absolute = project.join("x").display().to_string();
    let config = project.join("opencode.json");
    for (spec, command) in [
        ("openshell-opencode", "\"./x\"".to_owned()),
        ("openshell-opencode", "[\"./x\", \"-v\"]".to_owned()),
        ("openshell-opencode", format!("\"{absolute}\"")),
        ("openshell-opencode", "\"x\"".to_owned()),
        (".", "\"./x\"".to_owned()),
    ] {
        let text = format!("{{\"plugin\": [[\"{spec}\", {{\"command\": {command}}}]]}}");
        fs::write(&config, text).expect("ours");
        for dir in [&project, &below] {
            let (_, report) = doctor_in(&cli, dir, &[]);
            assert!(!ran.exists(), "{spec} {command}: {report}");
            let said = found(&report, "project");
            assert!(said[0].1.contains("does not count here"), "{report}");
            assert_eq!(found(&report, "program")[0].0, "ok", "{report}");
            // OpenCode would run the project's plugins.
            assert!(!started.exists(), "{report}");
            assert_eq!(found(&report, "tools")[0].0, "note", "{report}");
        }
    }

    // The person's own entry: it is loaded, elsewhere, and its program is judged.
    let own = cli.home().join(".config/opencode");
    fs::create_dir_all(&own).expect("ours");
    let own = own.join("opencode.json");
    let choose = |command: &str| {
        let text =
            format!("{{\"plugin\": [[\"openshell-opencode\", {{\"command\": \"{command}\"}}]]}}");
        fs::write(&own, text).expect("ours");
    };
    fs::remove_file(&config).expect("just written");
    choose(&cli.dir().join("bin/openshell").display().to_string());
    let (status, report) = doctor_in(&cli, &project, &[]);
    assert_eq!(status, 0, "{report}");
    assert_eq!(found(&report, "tools")[0].0, "ok", "{report}");
    let said = fs::read_to_string(&started).expect("OpenCode was started");
    let words: Vec<&str> = said.split_whitespace().collect();
    let [place, "2", "1"] = words[..] else {
        panic!("{said}");
    };
    assert!(!Path::new(place).starts_with(&project), "{said}");

    // Another program of the person's choice is run, in an empty directory as well.
    let mine = cli.dir().join("mine");
    program(&mine, &touch);
    choose(&mine.display().to_string());
    let (_, report) = doctor_in(&cli, &project, &[]);
    assert_eq!(found(&report, "helper")[0].0, "wrong", "{report}");
    assert!(ran.exists(), "{report}");
    fs::remove_file(&ran).expect("it is there");
    // One that depends on the directory is not, nor one in the project.
    for (command, state) in [
        ("./x", "wrong"),
        (absolute.as_str(), "note"),
        ("x", "wrong"),
    ] {
        choose(command);
        let (_, report) = doctor_in(&cli, &project, &[]);
        assert_eq!(found(&report, "helper")[0].0, state, "{command}: {report}");
        assert!(!ran.exists(), "{command}: {report}");
    }
}

/// Nor must it have anybody wait.
#[test]
fn what_is_no_configuration_is_said_and_not_waited_for() {
    let cli = installation();
    let project = cli.dir().join("project");
    let plugin = project.join("plugin");
    for dir in [&plugin, &project.join(".git"), &project.join(".opencode")] {
        fs::create_dir_all(dir).expect("ours");
    }
    let fifo = |path: &Path| {
        let made = std::process::Command::new("mkfifo").arg(path).status();
        assert!(made.expect("mkfifo can be run").success());
    };
    fifo(&project.join("opencode.json"));
    fifo(&plugin.join("package.json"));
    fs::create_dir(project.join(".openshell")).expect("ours");
    fifo(&project.join(".openshell/policy.toml"));
    let huge = fs::File::create(project.join(".opencode/opencode.json")).expect("ours");
    huge.set_len(1 << 40).expect("a hole takes no room");
    let text = "{\"plugin\": [\"./plugin\"]}";
    fs::write(project.join("opencode.jsonc"), text).expect("ours");
    let (status, report) = doctor_in(&cli, &project, &[]);
    // What a run leaves is read whole, to look for secrets.
    huge.set_len(0).expect("ours");
    assert_eq!(status, 1, "{report}");
    let said = found(&report, "opencode");
    let of = |words: &str| {
        said.iter()
            .any(|(state, detail)| state == "wrong" && detail.contains(words))
    };
    assert!(of("opencode.json is not a regular file"), "{report}");
    assert!(of("opencode.json is longer than"), "{report}");
    let (state, detail) = &found(&report, "policy")[0];
    assert!(
        state == "wrong" && detail.contains("not a regular file"),
        "{report}"
    );
}

/// Before there is a registry: what the first server would need.
#[test]
fn a_key_that_could_not_be_had() {
    let mut cli = installation();
    fs::remove_file(cli.key_file()).expect("it was made");
    let (status, report) = doctor(&cli, &[]);
    assert_eq!((status, found(&report, "key")[0].0.as_str()), (1, "wrong"));
    // No session, so no keychain.
    cli.unset_env("OPENSHELL_MASTER_KEY_FILE");
    let (status, report) = doctor(&cli, &[]);
    assert_eq!((status, found(&report, "key")[0].0.as_str()), (1, "wrong"));
    assert!(!cli.key_file().exists() && !cli.config_dir().exists());

    // The fix it names is all it takes.
    let words = "`openshell key init --file`";
    let checks = report["checks"].as_array().expect("an array");
    let key = checks.iter().find(|check| check["check"] == "key");
    let fix = key.and_then(|key| key["fix"].as_str()).unwrap_or_default();
    assert!(fix.contains(words), "{report}");
    assert_eq!(cli.run(["key", "init", "--file"]).status, 0);
    let (status, report) = doctor(&cli, &[]);
    assert_eq!((status, found(&report, "key")[0].0.as_str()), (0, "ok"));
    let server = Sshd::start(&SshdOptions::default());
    cli.enrol(&server, "a");
    let (status, report) = doctor(&cli, &[]);
    assert_eq!(status, 0, "{report}");
    let (_, detail) = &found(&report, "key")[0];
    assert!(detail.contains("master.key"), "{report}");
    // A register that has a key gets no second one in this way.
    let again = cli.run(["key", "init", "--file"]);
    assert_eq!(again.status, 1, "{again:?}");
}

#[test]
fn others_are_kept_out_and_the_clock_is_right() {
    let cli = installation();
    assert_eq!(cli.run(["pause"]).status, 0);
    assert_eq!(cli.run(["resume"]).status, 0);
    let (status, report) = doctor(&cli, &[]);
    assert_eq!(status, 0, "{report}");
    assert_eq!(found(&report, "access")[0].0, "ok", "{report}");
    assert_eq!(found(&report, "clock")[0].0, "ok", "{report}");
    let policy = cli.config_dir().join("policy.toml");
    fs::write(&policy, "format = 1\n").expect("ours");
    fs::set_permissions(&policy, fs::Permissions::from_mode(0o666)).expect("ours");
    let (status, report) = doctor(&cli, &[]);
    assert_eq!(status, 1, "{report}");
    let (state, detail) = &found(&report, "access")[0];
    assert!(
        state == "wrong" && detail.contains("policy.toml"),
        "{report}"
    );
    fs::set_permissions(&policy, fs::Permissions::from_mode(0o644)).expect("ours");

    fs::create_dir_all(cli.audit_dir()).expect("ours");
    fs::set_permissions(cli.data_dir(), fs::Permissions::from_mode(0o700)).expect("ours");
    fs::set_permissions(cli.audit_dir(), fs::Permissions::from_mode(0o700)).expect("ours");
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(3600);
    let note = fs::File::create(cli.audit_dir().join("note")).expect("ours");
    note.set_modified(later).expect("ours");
    let (_, report) = doctor(&cli, &[]);
    assert_eq!(found(&report, "clock")[0].0, "wrong", "{report}");
}
