//! Writes `docs/policy.md` from the tables and holds it to them, so that the page
//! cannot say anything else than what decides.
//!
//! `cargo xtask docs` writes it; without `UPDATE` in the environment it is compared.
//!
//! Invariant: every entry of the tables is on the page, examples included. What the
//! words of the page mean is not checked.

use std::fmt::Write as _;
use std::path::Path;

use super::super::tables::{Entry, Operands, Tables, Value, tables};
use super::super::{catastrophe, grammar, privilege};

const INTRODUCTION: &str = "\
# What runs without a question

This page is written from the tables that decide (`cargo xtask docs`), and a test
keeps it so.

A command runs unasked only if it is one command of literal words and file name
patterns, its program is listed below, every option and operand is one of the listed,
and no path it reads is on the list of secrets. Every name a pattern stands for is
judged, and no shell expands it; `~` at the beginning of a path is the login directory.
Whatever is not listed is asked about; an abbreviation of an option is not listed. A
pipeline, a redirection, a variable, a substitution or a second command is asked about;
with the operator's `pipelines = \"each-stage\"`, a pipeline whose every command would
run unasked runs unasked as well. The program must be given by its bare name or by its
full name in `/bin`, `/sbin`, `/usr/bin` or `/usr/sbin`.

`openshell policy explain COMMAND` shows how a verdict came about, word by word.

In the tables, *name* is a word that does not look like an option, *metadata* a path
of which name and metadata are seen, *content* a path whose content is read and which
must not be a secret, *checked* a value that code of the entry examines.
";

#[test]
fn the_page_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/policy.md");
    let page = page(&tables());
    if std::env::var_os("UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/policy.md is not what the tables say: run `cargo xtask docs`"
    );
}

fn page(tables: &Tables) -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("\n## Commands\n");
    let mut commands: Vec<&Entry> = tables.commands.iter().collect();
    commands.sort_by_key(|entry| entry.names[0]);
    for entry in commands {
        command(&mut page, entry);
    }
    page.push_str(
        "\n## Versions\n\nThese programs run with exactly one word, and that one of these:\n\n",
    );
    for (name, words) in &tables.versions {
        writeln!(page, "- `{name}` {}", code(words)).unwrap();
    }
    writeln!(
        page,
        "\n## Help\n\nEvery program listed under *Commands* runs with `--help` as its only word, \
         but not these, some\nversion of which takes it for something else: {}",
        code(grammar::WITHOUT_HELP)
    )
    .unwrap();
    secrets(&mut page, tables);
    writeln!(
        page,
        "\n## Another account\n\nWhat runs as another account, by {}:\n",
        code(privilege::PROGRAMS)
    )
    .unwrap();
    for line in privilege::LIST {
        writeln!(page, "- {line}").unwrap();
    }
    page.push_str(
        "\n## Never\n\nRefused whoever agrees. `override = true` in an operator's rule lifts \
         `catastrophe.*` for one\nsimple command of literal words; nothing lifts the rest.\n\n",
    );
    for line in catastrophe::LIST {
        writeln!(page, "- {line}").unwrap();
    }
    page
}

fn code(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(" ")
}

fn command(page: &mut String, entry: &Entry) {
    writeln!(
        page,
        "\n### {}\n\n{}.\n",
        entry.names.join(", "),
        entry.does
    )
    .unwrap();
    let mut options: Vec<String> = entry
        .flags
        .iter()
        .map(|flag| format!("`-{flag}`"))
        .collect();
    options.extend(entry.long.iter().map(|long| format!("`{long}`")));
    options.extend(
        entry
            .values
            .iter()
            .map(|(option, value)| format!("`{option}` {}", kind(value))),
    );
    options.extend(
        entry
            .optional
            .iter()
            .map(|(option, value)| format!("`{option}` [{}]", kind(value))),
    );
    if entry.number {
        options.push("`-N`".to_owned());
    }
    let by_code = entry.custom && options.is_empty();
    if by_code {
        page.push_str("Its words are read by code of its own; the examples say what passes.\n");
    } else {
        let options = match options.as_slice() {
            [] => "none".to_owned(),
            options => options.join(", "),
        };
        writeln!(page, "- options: {options}").unwrap();
        writeln!(page, "- operands: {}", operands(&entry.operands)).unwrap();
    }
    if entry.custom && !by_code || entry.checked {
        page.push_str("- options and operands are looked at together as well\n");
    }
    for refused in &entry.refused {
        writeln!(page, "- not `{}`: it {}", refused.option, refused.why).unwrap();
    }
    page.push('\n');
    for (texts, verdict) in [(entry.allowed, "runs"), (entry.asks, "asks")] {
        for text in texts {
            // Two backquotes, since some examples hold one.
            writeln!(page, "- {verdict}: `` {text} ``").unwrap();
        }
    }
}

fn kind(value: &Value) -> String {
    match value {
        Value::Text => "text".to_owned(),
        Value::Number => "number".to_owned(),
        Value::Name => "name".to_owned(),
        Value::Metadata => "metadata".to_owned(),
        Value::Content => "content".to_owned(),
        Value::Pattern => "pattern of names".to_owned(),
        Value::OneOf(words) => words.join("\\|"),
        Value::Checked => "checked".to_owned(),
    }
}

fn operands(operands: &Operands) -> String {
    match operands {
        Operands::None => "none".to_owned(),
        Operands::UpTo(count, value) => format!("at most {count} × {}", kind(value)),
        Operands::Any(value) => format!("any number of {}", kind(value)),
        Operands::FirstThen(first, then) => {
            format!("one {}, then any number of {}", kind(first), kind(then))
        }
        Operands::Phrases(phrases) => {
            let phrases: Vec<String> = phrases
                .iter()
                .map(|phrase| match *phrase {
                    "" => "nothing".to_owned(),
                    phrase => format!("`{phrase}`"),
                })
                .collect();
            format!(
                "{} (`*` is one name, `%` one text, `...` any number of names)",
                phrases.join(", ")
            )
        }
    }
}

fn secrets(page: &mut String, tables: &Tables) {
    page.push_str(
        "\n## Secrets\n\nReading the content of these is asked about, by commands and by the file \
         tools alike;\ntheir names and metadata are free. `*` and `?` match within one component, \
         `**` any number of\nthem, and a pattern that does not start with `/` matches at any \
         depth. Case is ignored.\n`secret_paths` in `policy.toml` adds to the list.\n",
    );
    for secret in &tables.secrets {
        writeln!(
            page,
            "\n### {}\n\n{}:\n\n{}",
            secret.id,
            secret.what,
            code(&secret.patterns)
        )
        .unwrap();
    }
    writeln!(
        page,
        "\nA name with one of these at its end is a copy, and as secret as what it copies:\n{}",
        code(&tables.copies)
    )
    .unwrap();
    writeln!(page, "\nPublic all the same:\n{}", code(&tables.public)).unwrap();
    writeln!(
        page,
        "\nHolding no secrets by convention, so that they may be searched as a whole:\n{}",
        code(&tables.public_trees)
    )
    .unwrap();
}
