//! `openshell install` and `uninstall`: exactly one entry comes and goes, and the
//! configuration is otherwise the person's own.
//!
//! They prove it to the byte, also after somebody else's edits. Whether OpenCode
//! then loads the plugin is the subject of `identity_doctor`.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use openshell_tests::{Cli, Output, Terminal};
use serde_json::Value;

/// A configuration somebody cared for.
const CARED_FOR: &str = "{\r\n\t// Models first.\r\n\t\"model\": \"a/b\", /* the good one */\r\n\
    \t\"plugin\": [\r\n\t\t\"other\", // needed\r\n\t],\r\n\t\"mcp\": {},\r\n}\r\n";

fn config_dir(cli: &Cli) -> PathBuf {
    let dir = cli.home().join(".config/opencode");
    fs::create_dir_all(&dir).expect("the home is the test's own");
    dir
}

fn put(cli: &Cli, name: &str, text: &str) -> PathBuf {
    let path = config_dir(cli).join(name);
    fs::write(&path, text).expect("the home is the test's own");
    path
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn done(output: &Output, action: &str) -> Value {
    assert_eq!(output.status, 0, "{output:?}");
    let value = output.json();
    assert_eq!(value["action"], action, "{output:?}");
    value
}

fn install(cli: &Cli, words: &[&str]) -> Output {
    cli.run(
        ["install", "--json"]
            .into_iter()
            .chain(words.iter().copied()),
    )
}

fn uninstall(cli: &Cli, words: &[&str]) -> Output {
    cli.run(
        ["uninstall", "--json"]
            .into_iter()
            .chain(words.iter().copied()),
    )
}

/// What must be as it was when everything is taken back.
fn nothing_left(cli: &Cli) {
    assert!(
        !cli.data_dir().exists(),
        "the data directory is still there"
    );
}

#[test]
fn what_install_adds_uninstall_takes_away_to_the_byte() {
    let cli = Cli::without_key();
    let kept = cli.dir().join("dotfiles.jsonc");
    fs::write(&kept, CARED_FOR).expect("ours");
    fs::set_permissions(&kept, fs::Permissions::from_mode(0o640)).expect("ours");
    let config = config_dir(&cli).join("opencode.jsonc");
    symlink(&kept, &config).expect("ours");

    let seen = done(&install(&cli, &["--dry-run"]), "dry-run");
    let diff = seen["diff"].as_str().unwrap_or_default();
    assert!(diff.contains("+\t\t[\"") && diff.contains("@@"), "{diff}");
    assert_eq!(text(&config), CARED_FOR);
    nothing_left(&cli);

    let added = done(&install(&cli, &[]), "added");
    let backup = added["backup"].as_str().unwrap_or_default();
    assert_eq!(text(Path::new(backup)), CARED_FOR);
    let now = text(&config);
    assert!(now.starts_with("{\r\n\t// Models first.\r\n"), "{now}");
    assert!(now.contains("\t\t\"other\", // needed\r\n\t\t[\""), "{now}");
    let entry = &added["entry"];
    let adapter = PathBuf::from(entry[0].as_str().unwrap_or_default());
    assert!(adapter.starts_with(cli.data_dir()), "{added}");
    assert!(adapter.join("lib/helper.js").is_file());
    let helper = PathBuf::from(entry[1]["command"].as_str().unwrap_or_default());
    assert!(helper.is_absolute() && helper.is_file(), "{added}");
    assert!(config.is_symlink());
    assert_eq!(
        fs::metadata(&kept).expect("it is there").mode() & 0o777,
        0o640
    );

    done(&install(&cli, &[]), "unchanged");
    assert_eq!(text(&config), now);
    fs::remove_file(adapter.join("index.js")).expect("just written");
    done(&install(&cli, &[]), "repaired");
    assert!(adapter.join("index.js").is_file());

    done(&uninstall(&cli, &["--dry-run"]), "dry-run");
    assert_eq!(text(&config), now);
    done(&uninstall(&cli, &[]), "removed");
    assert_eq!(text(&config), CARED_FOR);
    nothing_left(&cli);
    done(&uninstall(&cli, &[]), "nothing");
    nothing_left(&cli);
}

#[test]
fn a_home_without_opencode_is_left_without_it() {
    let cli = Cli::without_key();
    for words in [&[][..], &["--mcp"], &["--npm"]] {
        done(&install(&cli, words), "added");
    }
    let config = cli.home().join(".config/opencode/opencode.json");
    let value: Value = serde_json::from_str(&text(&config)).expect("plain JSON");
    assert_eq!(value["plugin"][0], "openshell-opencode@0.1.0", "{value}");
    assert_eq!(value["mcp"]["openshell"]["command"][1], "mcp", "{value}");
    assert_eq!(value["plugin"].as_array().map(Vec::len), Some(1));
    done(&uninstall(&cli, &[]), "removed");
    assert!(!config.exists());
    assert!(!cli.home().join(".config/opencode").exists());
    nothing_left(&cli);
}

#[test]
fn what_somebody_else_changed_meanwhile_stays() {
    let cli = Cli::without_key();
    let config = put(&cli, "opencode.json", "{\"a\": 1}\n");
    done(&install(&cli, &[]), "added");
    let now = text(&config).replace("{\"a\": 1,", "{\"a\": 2, \"b\": 3,");
    fs::write(&config, &now).expect("ours");
    done(&uninstall(&cli, &[]), "removed");
    assert_eq!(text(&config), "{\"a\": 2, \"b\": 3}\n");

    // An entry that is gone by itself is no error.
    done(&install(&cli, &[]), "added");
    fs::write(&config, "{}").expect("ours");
    let gone = done(&uninstall(&cli, &[]), "nothing");
    assert_eq!(gone["missing"].as_array().map(Vec::len), Some(1));
    assert_eq!(text(&config), "{}");
    nothing_left(&cli);
}

#[test]
fn a_configuration_that_cannot_be_read_is_not_written() {
    let cli = Cli::without_key();
    let broken = "{\n  \"plugin\": [\n    \"a\"\n    \"b\"\n  ]\n}\n";
    let config = put(&cli, "opencode.json", broken);
    let output = install(&cli, &[]);
    assert_eq!(
        (output.status, output.code().as_str()),
        (1, "CONFIG_UNREADABLE")
    );
    let message = output.json()["message"].to_string();
    assert!(
        message.contains("opencode.json: line 3, column 8"),
        "{message}"
    );
    assert_eq!(text(&config), broken);
    nothing_left(&cli);
    // Nor is another one beside it, whose word may count for nothing.
    let beside = put(&cli, "opencode.jsonc", "{\"plugin\": []}");
    assert_eq!(install(&cli, &[]).code(), "CONFIG_UNREADABLE");
    assert_eq!(text(&beside), "{\"plugin\": []}");
    fs::remove_file(&beside).expect("ours");

    fs::write(&config, "{}").expect("ours");
    done(&install(&cli, &[]), "added");
    fs::write(&config, broken).expect("ours");
    assert_eq!(uninstall(&cli, &[]).status, 1);
    assert_eq!(text(&config), broken);
    // It is still known what is to be taken back.
    fs::write(&config, "{}").expect("ours");
    done(&uninstall(&cli, &[]), "nothing");
}

#[test]
fn an_agent_may_look_and_may_not_act() {
    let mut cli = Cli::without_key();
    let config = put(&cli, "opencode.json", CARED_FOR);
    done(&install(&cli, &[]), "added");
    let now = text(&config);
    cli.set_env("OPENCODE", "1");
    for verb in ["install", "uninstall"] {
        let output = cli.run([verb, "--json"]);
        assert_eq!(
            (output.status, output.code().as_str()),
            (3, "PERSON_REQUIRED")
        );
        assert_eq!(text(&config), now);
        assert_eq!(cli.run([verb, "--json", "--dry-run"]).status, 0);
    }
    assert_eq!(cli.run(["uninstall", "--purge"]).status, 3);
}

/// Within the global folder a later file's list replaces an earlier one's.
#[test]
fn the_entry_goes_where_it_counts() {
    let mut cli = Cli::without_key();
    let json = put(&cli, "opencode.json", "{\"plugin\": [\"a\"]}");
    let jsonc = put(&cli, "opencode.jsonc", "{}");
    done(&install(&cli, &[]), "added");
    assert!(text(&json).contains("\"command\""));
    // Somebody makes the other file's word count.
    fs::write(&jsonc, "{\"plugin\": [\"b\"]}").expect("ours");
    done(&install(&cli, &[]), "moved");
    assert_eq!(text(&json), "{\"plugin\": [\"a\"]}");
    assert!(text(&jsonc).contains("\"command\""));
    done(&uninstall(&cli, &[]), "removed");
    assert_eq!(text(&jsonc), "{\"plugin\": [\"b\"]}");

    let named = cli.dir().join("named.json");
    cli.set_env("OPENCODE_CONFIG", &named.display().to_string());
    done(&install(&cli, &[]), "added");
    assert!(text(&named).contains("\"command\""));
    // It stays where it is as long as it is there.
    cli.unset_env("OPENCODE_CONFIG");
    done(&install(&cli, &[]), "unchanged");
    done(&uninstall(&cli, &[]), "removed");
    assert!(!named.exists());
    cli.set_env("OPENCODE_CONFIG", "named.json");
    assert_eq!(install(&cli, &[]).status, 1);
    cli.unset_env("OPENCODE_CONFIG");

    let elsewhere = cli.dir().join("xdg");
    cli.set_env("XDG_CONFIG_HOME", &elsewhere.display().to_string());
    done(&install(&cli, &[]), "added");
    assert!(elsewhere.join("opencode/opencode.json").is_file());
}

#[test]
fn an_entry_made_by_hand_is_not_doubled() {
    let cli = Cli::without_key();
    let by_hand = "{\"plugin\": [\"openshell-opencode\"]}";
    let config = put(&cli, "opencode.json", by_hand);
    done(&install(&cli, &[]), "registered-by-hand");
    done(&uninstall(&cli, &[]), "nothing");
    assert_eq!(text(&config), by_hand);
    let other = "{\"mcp\": {\"openshell\": {\"type\": \"remote\", \"url\": \"http://x\"}}}";
    fs::write(&config, other).expect("ours");
    assert_eq!(install(&cli, &["--mcp"]).status, 1);
    assert_eq!(text(&config), other);
    assert_eq!(install(&cli, &["--npm=left-pad"]).status, 2);
    nothing_left(&cli);
}

/// The configuration came from elsewhere, or the data directory was wiped.
#[test]
fn an_entry_of_ours_without_a_record_gets_one() {
    let cli = Cli::without_key();
    let before = "{\"plugin\": [\"other\"]}\n";
    let config = put(&cli, "opencode.json", before);
    done(&install(&cli, &[]), "added");
    let now = text(&config);
    let adapter = cli.data_dir().join("opencode").join("0.1.0");
    for (version, first) in [("0.1.0", "repaired"), ("0.0.9", "added")] {
        fs::remove_dir_all(cli.data_dir()).expect("ours");
        let place = format!("opencode/{version}");
        fs::write(&config, now.replace("opencode/0.1.0", &place)).expect("ours");
        for round in 0..5 {
            let action = if round == 0 { first } else { "unchanged" };
            done(&install(&cli, &[]), action);
            assert_eq!(text(&config), now);
            assert!(adapter.join("index.js").is_file(), "round {round}");
        }
        done(&uninstall(&cli, &[]), "removed");
        assert_eq!(text(&config), before);
        nothing_left(&cli);
        // Without having installed anything here, too.
        fs::write(&config, &now).expect("ours");
        done(&uninstall(&cli, &["--dry-run"]), "dry-run");
        done(&uninstall(&cli, &[]), "removed");
        assert_eq!(text(&config), before);
        nothing_left(&cli);
        done(&install(&cli, &[]), "added");
    }

    // What a configuration names stays when nothing can be done.
    fs::remove_file(cli.data_dir().join("opencode/installed.json")).expect("it was added");
    let beside = put(
        &cli,
        "opencode.jsonc",
        "{\"plugin\": [\"openshell-opencode\"]}",
    );
    done(&install(&cli, &[]), "registered-by-hand");
    assert!(adapter.join("index.js").is_file());
    fs::write(&beside, "{").expect("ours");
    assert_eq!(install(&cli, &[]).code(), "CONFIG_UNREADABLE");
    assert!(adapter.join("index.js").is_file());
}

#[test]
fn what_was_made_for_an_entry_goes_when_it_moves() {
    let cli = Cli::without_key();
    let dir = cli.home().join(".config/opencode");
    let made = dir.join("opencode.json");
    done(&install(&cli, &[]), "added");
    let elsewhere = cli.dir().join("elsewhere.json");
    let name = elsewhere.display().to_string();
    let words = ["--config", name.as_str()];
    let shown = done(
        &install(&cli, &[words[0], words[1], "--dry-run"]),
        "dry-run",
    );
    assert!(
        shown["diff"]
            .as_str()
            .is_some_and(|diff| diff.contains("-{"))
    );
    done(&install(&cli, &words), "moved");
    assert!(
        !dir.exists(),
        "the file and the directory were made for the entry"
    );
    done(&uninstall(&cli, &[]), "removed");
    assert!(!elsewhere.exists());
    nothing_left(&cli);

    // Within one directory, which stays ours.
    done(&install(&cli, &[]), "added");
    let other = dir.join("other.json");
    done(
        &install(&cli, &["--config", &other.display().to_string()]),
        "moved",
    );
    assert!(!made.exists() && other.exists());
    done(&uninstall(&cli, &[]), "removed");
    assert!(!dir.exists());
    nothing_left(&cli);

    // What somebody added since keeps the file.
    done(&install(&cli, &[]), "added");
    let mine = text(&made).replace("\"$schema\"", "\"theme\": \"x\", \"$schema\"");
    fs::write(&made, mine).expect("ours");
    fs::write(dir.join("opencode.jsonc"), "{\"plugin\": []}").expect("ours");
    done(&install(&cli, &[]), "moved");
    let left: Value = serde_json::from_str(&text(&made)).expect("plain JSON");
    assert_eq!(left["theme"], "x");
    assert!(left.get("plugin").is_none(), "{left}");
}

/// Some editors begin every file with one.
#[test]
fn a_byte_order_mark_stays_where_it_is() {
    let cli = Cli::without_key();
    let marked = format!("\u{feff}{CARED_FOR}");
    for before in [marked.as_str(), "\u{feff}{}", "\u{feff}"] {
        let config = put(&cli, "opencode.json", before);
        done(&install(&cli, &[]), "added");
        let now = text(&config);
        assert!(now.starts_with("\u{feff}{"), "{now:?}");
        done(&install(&cli, &[]), "unchanged");
        assert_eq!(text(&config), now);
        let report = cli.run_in(&cli.files(), ["doctor", "--json"]).json();
        let said = report.to_string();
        assert!(said.contains("0.1.0 in "), "doctor sees the entry: {said}");
        assert!(!said.contains("opencode.json: line"), "{said}");
        done(&uninstall(&cli, &[]), "removed");
        if before.contains('{') {
            assert_eq!(text(&config), before);
        }
        fs::remove_file(&config).expect("ours");
    }
    let by_hand = "\u{feff}{\"plugin\": [\"openshell-opencode\"]}";
    let config = put(&cli, "opencode.json", by_hand);
    done(&install(&cli, &[]), "registered-by-hand");
    assert_eq!(text(&config), by_hand);
    nothing_left(&cli);
}

#[test]
fn state_goes_only_when_a_person_says_so() {
    let cli = Cli::new();
    let config = put(&cli, "opencode.json", "{}");
    done(&install(&cli, &[]), "added");
    fs::create_dir_all(cli.config_dir()).expect("ours");
    fs::write(cli.config_dir().join("policy.toml"), "format = 1\n").expect("ours");
    fs::write(cli.config_dir().join("gateway.json"), "{}").expect("ours");
    assert_eq!(cli.run(["pause"]).status, 0);

    // Nobody can be asked: nothing happens at all.
    let refused = uninstall(&cli, &["--purge"]);
    assert_eq!(refused.status, 3, "{refused:?}");
    assert!(text(&config).contains("\"command\""));

    for (answer, status) in [("no", 3), ("yes", 0)] {
        let Some(mut terminal) = Terminal::start(&cli, &["uninstall", "--purge"]) else {
            return;
        };
        terminal.wait_for("Type yes or no:");
        let shown = terminal.shown();
        assert!(shown.contains("policy.toml"), "{shown}");
        assert!(
            shown.contains("stays: ") && shown.contains("gateway.json"),
            "{shown}"
        );
        terminal.type_line(answer);
        let output = terminal.finish();
        assert_eq!(output.status, status, "{output:?}");
        assert_eq!(text(&config), "{}");
        assert_eq!(
            cli.config_dir().join("policy.toml").exists(),
            answer == "no"
        );
    }
    // What is another program's is not touched, nor is the key.
    assert!(cli.config_dir().join("gateway.json").exists());
    assert!(!cli.config_dir().join("paused").exists());
    assert!(cli.key_file().exists());
    nothing_left(&cli);
}

#[test]
fn a_missing_key_is_said_and_made_where_that_is_wanted() {
    let mut cli = Cli::new();
    cli.unset_env("OPENSHELL_MASTER_KEY_FILE");
    // No session, so no keychain.
    let key = |words: &[&str]| install(&cli, words).json()["key"].clone();
    let missing = key(&[]);
    assert_eq!(missing["state"], "missing", "{missing}");
    let next = missing["next"].as_str().unwrap_or_default();
    assert!(next.contains("`openshell key init --file`"), "{missing}");
    assert!(!cli.config_dir().exists(), "nothing was made unasked");
    let made = key(&["--key-file"]);
    assert_eq!(made["state"], "made", "{made}");
    let file = cli.config_dir().join("master.key");
    let content = text(&file);
    for words in [&["--key-file"][..], &[]] {
        let there = key(words);
        assert_eq!(there["state"], "ok", "{there}");
    }
    assert_eq!(text(&file), content);
    let status = cli.run(["key", "init", "--json"]).json();
    assert_eq!(status["source"], "file", "{status}");
}
