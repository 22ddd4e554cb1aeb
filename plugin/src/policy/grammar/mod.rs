//! What is known of each command, as tables.
//!
//! Invariant: a command line passes only if the program is in a table, every option
//! and operand is one that only looks, and the paths it touches are handed on to be
//! judged. The program must be given by its bare name or by its full name in a
//! system directory: a file of the same name elsewhere is another program. What the
//! paths hold is not known at this place.

mod accounts;
mod archive;
mod awk;
mod certificate;
mod condition;
mod content;
mod engine;
mod files;
mod find;
mod firewall;
mod hardware;
mod json;
mod links;
mod logs;
mod mounts;
mod network;
mod packages;
mod process;
mod programs;
mod ps;
mod rpm;
mod scheduling;
mod script;
mod search;
mod services;
mod settings;
mod shell;
mod software;
mod spec;
mod storage;
mod system;
mod text;
mod wording;

pub(super) use self::programs::VERSIONS;
pub(super) use self::spec::Command;
pub(super) use self::spec::Touch;
#[cfg(any(test, feature = "tables"))]
pub(super) use self::spec::{Kind, Operands, Style};
use super::lex::Word;
use super::types::{Finding, shown};

/// Every entry, by subject.
pub(super) const TABLES: &[&[Command]] = &[
    files::COMMANDS,
    text::COMMANDS,
    script::COMMANDS,
    content::COMMANDS,
    json::COMMANDS,
    certificate::COMMANDS,
    archive::COMMANDS,
    search::COMMANDS,
    system::COMMANDS,
    hardware::COMMANDS,
    mounts::COMMANDS,
    storage::COMMANDS,
    process::COMMANDS,
    accounts::COMMANDS,
    scheduling::COMMANDS,
    services::COMMANDS,
    logs::COMMANDS,
    settings::COMMANDS,
    network::COMMANDS,
    links::COMMANDS,
    firewall::COMMANDS,
    packages::COMMANDS,
    rpm::COMMANDS,
    software::COMMANDS,
    shell::COMMANDS,
];

/// Directories that only the system's own package tools write to.
const SYSTEM_DIRECTORIES: &[&str] = &["/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/"];

/// Commands of which some version takes `--help` for something else than a wish for it.
pub(super) const WITHOUT_HELP: &[&str] = &[
    "ldconfig",
    "losetup",
    "mailq",
    "newaliases",
    "service",
    "swapon",
];

/// The bare name of a program, unless it is a path to elsewhere.
pub(super) fn program_name(word: &str) -> Option<&str> {
    if !word.contains('/') {
        return Some(word);
    }
    let name = SYSTEM_DIRECTORIES
        .iter()
        .find_map(|directory| word.strip_prefix(directory))?;
    (!name.is_empty() && !name.contains('/')).then_some(name)
}

/// How the words of one command are read, one by one: what was looked at, and what it
/// was found to be.
pub(super) fn derive(words: &[Word]) -> Vec<(String, String)> {
    let Some((program, rest)) = words.split_first() else {
        return Vec::new();
    };
    let known = program_name(&program.text).and_then(|name| {
        let mut tables = TABLES.iter().copied().flatten();
        tables.find(|command| command.names.contains(&name))
    });
    let Some(command) = known else {
        return Vec::new();
    };
    let mut steps = vec![(
        program.text.clone(),
        format!("is in the tables: it {}", command.does),
    )];
    // Code of its own may take words out before the table reads the rest.
    let table_reads =
        |table| engine::judge(command, rest).is_err() || engine::judge(table, rest).is_ok();
    match (command.reads, command.style) {
        (Some(table), _) if table_reads(table) => steps.extend(engine::derive(table, rest)),
        (_, spec::Style::Custom(_)) => {
            let by_code = "is read by code of this command's own".to_owned();
            steps.extend(rest.iter().map(|word| (word.text.clone(), by_code.clone())));
        }
        _ => steps.extend(engine::derive(command, rest)),
    }
    steps
}

/// Judges the words of one command; where it passes, says which paths it touches.
pub(super) fn judge(words: &[Word]) -> (Finding, Vec<Touch>) {
    let Some((program, rest)) = words.split_first() else {
        return (
            Finding::reject("scan.empty", "the command is empty"),
            Vec::new(),
        );
    };
    let Some(name) = program_name(&program.text) else {
        let reason = format!(
            "{} is not in a directory of the system, so it may be any program",
            shown(&program.text)
        );
        return (Finding::ask("grammar.path", reason), Vec::new());
    };
    if let [only] = rest
        && only.is_literal()
        && VERSIONS
            .iter()
            .any(|(program, words)| *program == name && words.contains(&only.text.as_str()))
    {
        return (
            Finding::allow("grammar.version", format!("`{name}` shows its version")),
            Vec::new(),
        );
    }
    let Some(command) = TABLES
        .iter()
        .copied()
        .flatten()
        .find(|command| command.names.contains(&name))
    else {
        let (id, why) = programs::why(name);
        return (
            Finding::ask(format!("grammar.{id}"), format!("{} {why}", shown(name))),
            Vec::new(),
        );
    };
    if let [only] = rest
        && only.is_literal()
        && only.text == "--help"
        && !WITHOUT_HELP.contains(&name)
    {
        return (
            Finding::allow("grammar.help", format!("`{name}` shows how it is used")),
            Vec::new(),
        );
    }
    match engine::judge(command, rest) {
        Ok(touched) => (
            Finding::allow(
                format!("grammar.{name}"),
                format!("`{name}` {} and changes nothing", command.does),
            ),
            touched,
        ),
        Err(refusal) => {
            let rule = format!("grammar.{name}.{}", refusal.id);
            (
                Finding::ask(rule, format!("`{name}`: {}", refusal.reason)),
                Vec::new(),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_has_examples_and_no_name_stands_twice() {
        let mut seen = std::collections::BTreeSet::new();
        for command in TABLES.iter().copied().flatten() {
            assert!(
                !command.allowed.is_empty() && !command.asks.is_empty(),
                "{:?}",
                command.names
            );
            assert!(!command.does.is_empty(), "{:?}", command.names);
            for name in command.names {
                assert!(seen.insert(name), "{name}");
            }
            for refused in command.refused {
                let listed = match refused.option.strip_prefix('-') {
                    Some(letter) if letter.chars().count() == 1 => command.flags.contains(letter),
                    _ => command
                        .long
                        .split_ascii_whitespace()
                        .any(|long| long == refused.option),
                };
                assert!(!listed, "{:?} {}", command.names, refused.option);
            }
        }
    }

    #[test]
    fn trusts_no_name_elsewhere() {
        for (word, name) in [
            ("ls", Some("ls")),
            ("/usr/bin/ls", Some("ls")),
            ("./ls", None),
            ("/tmp/ls", None),
            ("/usr/bin/../../tmp/ls", None),
            ("/usr/bin/", None),
            ("bin/ls", None),
        ] {
            assert_eq!(program_name(word), name, "{word}");
        }
    }
}
