//! `openshell doctor`: silent about nothing, and with a fix for what is wrong.

use std::fs;
use std::os::unix::fs::PermissionsExt;

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

fn doctor(cli: &Cli, flags: &[&str]) -> (i32, Value) {
    let words = ["doctor", "--json"]
        .into_iter()
        .chain(flags.iter().copied());
    let output = cli.run(words);
    (output.status, output.json())
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
    fs::write(other.join("openshell"), "#!/bin/sh\n").expect("ours");
    fs::set_permissions(other.join("openshell"), fs::Permissions::from_mode(0o755)).expect("ours");
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
    let program = cli.dir().join("bin/opencode");
    fs::write(&program, "#!/bin/sh\necho 1.18.33\n").expect("ours");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("ours");
    let (status, report) = doctor(&cli, &[]);
    assert_eq!(
        (status, found(&report, "plugin")[0].0.as_str()),
        (1, "wrong")
    );
    let config = cli.home().join(".config/opencode");
    fs::create_dir_all(&config).expect("ours");
    fs::write(
        config.join("opencode.jsonc"),
        "{\n  // the plugin\n  \"plugin\": [\"openshell-opencode\",],\n}\n",
    )
    .expect("ours");
    let (status, report) = doctor(&cli, &[]);
    assert_eq!(
        (status, found(&report, "plugin")[0].0.as_str()),
        (0, "ok"),
        "{report}"
    );
}
