//! Completions in real shells, and the manual.
//!
//! They prove that looking makes nothing and that no verb is without a page. How a
//! shell shows the choices is not checked.

use std::fs;
use std::process::Command;

use openshell_tests::{Cli, Sshd, SshdOptions, binary};

/// Runs a shell with the binary on PATH; none, saying so, where there is no such
/// shell.
fn shell(cli: &Cli, program: &str, script: &str) -> Option<String> {
    let dir = binary().parent().expect("a file").display().to_string();
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(program);
    command
        .arg("-c")
        .arg(script)
        .env_clear()
        .envs(
            cli.command([""; 0])
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .env("PATH", format!("{dir}:{path}"));
    let Ok(output) = command.output() else {
        eprintln!("skipped: there is no {program}");
        return None;
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{program}: {output:?}");
    Some(said)
}

#[test]
fn shells_complete_verbs_and_servers() {
    let server = Sshd::start(&SshdOptions::default());
    let cli = Cli::new();
    for id in ["web-1", "web-2", "db"] {
        cli.enrol(&server, id);
    }
    let bash = "eval \"$(openshell completions bash)\"; complete -p openshell >/dev/null || exit 1
        try() { COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); COMP_TYPE=9; COMPREPLY=()
          _clap_complete_openshell openshell \"${@: -1}\"; echo \"${COMPREPLY[*]}\"; }
        try openshell uninst; try openshell server show web";
    if let Some(said) = shell(&cli, "bash", bash) {
        assert_eq!(said, "uninstall\nweb-1 web-2\n");
    }
    let fish = "openshell completions fish | source; complete -C 'openshell server show d'";
    if let Some(said) = shell(&cli, "fish", fish) {
        assert!(said.starts_with("db\t"), "{said}");
        assert!(said.contains("@127.0.0.1"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    if let Some(said) = shell(&cli, "zsh", "openshell completions zsh | head -1") {
        assert_eq!(said, "#compdef openshell\n");
    }
    assert_eq!(cli.run(["completions", "command.com"]).status, 2);

    // An installation that is not there is not made by looking.
    let bare = Cli::without_key();
    if let Some(said) = shell(&bare, "bash", bash) {
        assert_eq!(said, "uninstall\n\n");
    }
    assert!(!bare.config_dir().exists() && !bare.data_dir().exists());
}

#[test]
fn every_verb_has_a_page() {
    let cli = Cli::without_key();
    let first = cli.run(["man"]);
    assert!(first.stdout.contains(".TH openshell 1"), "{first:?}");
    let dir = cli.dir().join("man1");
    let written = cli.run(["man", "--dir", &dir.display().to_string()]);
    assert_eq!(written.status, 0, "{written:?}");
    for name in ["openshell", "openshell-install", "openshell-server-add"] {
        let page = fs::read_to_string(dir.join(format!("{name}.1")));
        let page = page.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(page.contains(".SH SYNOPSIS"), "{page}");
    }
    assert_eq!(cli.run(["man", "--dir", "/dev/null/x"]).status, 1);
}
