//! What a verdict costs, printed and not asserted: time is no property of the code
//! alone. The work a text can cause is bounded by counts, which the other tests
//! hold to.
//!
//! `cargo test --release -p openshell-plugin --lib cost -- --ignored --nocapture`

use std::time::{Duration, Instant};

use super::super::preflight::LENGTH_CAP;
use super::super::types::{Rulebook, Subject};
use super::super::verdict::classify;
use super::command;

const EVERYDAY: &str = include_str!("../testdata/everyday.txt");
const HARMFUL: &str = include_str!("../testdata/harmful.txt");

/// `head`, then `unit` again and again up to `size` bytes.
fn filled(head: &str, unit: &str, size: usize) -> String {
    let count = size.saturating_sub(head.len()) / unit.len();
    format!("{head}{}", unit.repeat(count))
}

/// Texts that make some part of the policy work as hard as it can.
pub(super) fn hostile(size: usize) -> Vec<(&'static str, String)> {
    let unit = |name, head, unit| (name, filled(head, unit, size));
    let mut texts = vec![
        unit("words", "cat", " a"),
        unit("paths", "cat", " /a/b/c/d/e/f/g/h"),
        unit("deep path", "cat ", "/a"),
        unit("copies", "cat /srv/x", ".bak"),
        unit("copies of names", "cat", " /srv/x.bak.old.1.2.3"),
        unit("one long name", "cat /srv/", "a"),
        unit(
            "long names",
            "cat",
            " /srv/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        ),
        unit("patterns", "cat", " /srv/*a*b*c*d*e*f*g*"),
        unit("one pattern", "cat /srv/", "*a"),
        unit("patterns everywhere", "cat", " /*a*/*b*/*c*/*d*"),
        unit("question marks", "cat /srv/", "?"),
        unit("brackets", "cat /srv/", "[ab]"),
        unit("open brackets", "cat /srv/", "["),
        unit("cluster", "ls -", "l"),
        unit("options", "ls", " -l"),
        unit("long options", "ls", " --all"),
        unit("values", "grep -e", " -e x"),
        unit("includes", "grep -r x /srv", " --include=*a*b*c"),
        unit(
            "includes and trees",
            "grep -r --include=*a*b --include=*c*d x",
            " /srv/a",
        ),
        unit("semicolons", "ls", ";"),
        unit("sequences", "ls", ";ls"),
        unit("removals", "rm -r a", ";rm -r a"),
        unit("pipes", "ls", "|ls"),
        unit("assignments", "sudo", " a=1"),
        unit("numbers", "sudo", " 1"),
        unit("wrappers", "sudo", " sudo"),
        unit("options of wrappers", "sudo", " -n -a"),
        unit("scripts", "sh -c 'sh -c x'", ";sh -c 'rm -r x'"),
        unit("one script", "sh -c 'ls", ";ls"),
        unit("functions", "&", "(){"),
        unit("functions on one name", "&a", "(){a "),
        unit("functions in one word", "&(", "aaaaaaaaa(){aaaaaaaaa|"),
        unit("substitutions", "ls ", "$("),
        unit("backquotes", "ls ", "`"),
        unit("quotes", "ls ", "''"),
        unit("double quotes", "ls ", "\"\""),
        unit("escapes", "ls ", "\\a"),
        unit("dollars", "ls ", "$a"),
        unit("redirections", "ls", ">a"),
        unit("line breaks", "ls", "\nls"),
        unit("letters beyond ASCII", "ls ", "é"),
        unit("find tests", "find /srv", " -name x"),
        unit("find starts", "find", " /srv/a/b"),
        unit("test operators", "test a", " -a b"),
        unit("ps letters", "ps ", "a"),
        unit("ps lists", "ps", " -p 1"),
        unit("ip selectors", "ip addr show", " a"),
        unit("sed script", "sed -n '1p", ";1p"),
        unit("sed addresses", "sed -n '", "/a/,/b/p;"),
        unit("awk fields", "awk '{print $1", ",$1"),
        unit("jq filter", "jq '.", "|.a"),
        unit("echo", "echo", " a"),
        unit("unknown", "x", " -a"),
        unit("phrases", "systemctl status", " a"),
        unit("properties", "systemctl show -p A", " -p A"),
        unit("dots", "cat ", "../"),
        unit("current directories", "cat ", "./"),
        unit("slashes", "cat ", "/"),
        unit("diff", "diff", " a"),
        unit("braces", "ls ", "{a,"),
        unit("tildes", "ls", " ~"),
        unit("comments", "ls", " #"),
    ];
    // As many of each thing as is judged at all.
    let many = |name, head: &str, one: String, count: usize| {
        (name, format!("{head}{}", one.repeat(count)))
    };
    let glob = "*a?e".repeat(15);
    let deep = "/srv".repeat(31);
    texts.extend([
        many(
            "patterns up to the cap",
            "cat",
            format!(" /srv/{glob}x/{glob}y/{glob}z/{glob}"),
            16,
        ),
        many(
            "unlike patterns up to the cap",
            "cat",
            format!(" /{}{glob}/*", "a/".repeat(24)),
            16,
        ),
        many(
            "paths up to the cap",
            "cat",
            format!(" {deep}/credential.bak.old.1.2.3.orig"),
            128,
        ),
        many(
            "long paths up to the cap",
            "cat",
            format!(" {}", format!("/{}", "e".repeat(120)).repeat(4)),
            128,
        ),
        many(
            "trees up to the cap",
            &format!("grep -r x{}", format!(" --include={glob}").repeat(16)),
            format!(" {deep}"),
            16,
        ),
        many("options up to the cap", "ls", " -laF".to_owned(), 42),
        many(
            "scripts in scripts",
            "",
            "sh -c 'ls;rm -r x'|".to_owned(),
            2000,
        ),
    ]);
    texts.retain(|(_, text)| text.len() <= size);
    for (_, text) in &mut texts {
        if text.matches('\'').count() % 2 == 1 {
            text.pop();
            text.push('\'');
        }
    }
    texts
}

fn timed(subject: &Subject, rulebook: &Rulebook) -> Duration {
    (0..5)
        .map(|_| {
            let started = Instant::now();
            std::hint::black_box(classify(subject, rulebook));
            started.elapsed()
        })
        .min()
        .unwrap_or_default()
}

#[test]
#[ignore = "a measurement"]
fn cost() {
    let book = Rulebook::default();
    for (name, list) in [("everyday", EVERYDAY), ("harmful", HARMFUL)] {
        let mut times: Vec<Duration> = list
            .lines()
            .map(|line| timed(&command(line), &book))
            .collect();
        times.sort();
        println!(
            "{name}: p50 {:?} p90 {:?} p99 {:?} max {:?}",
            times[times.len() / 2],
            times[times.len() * 9 / 10],
            times[times.len() * 99 / 100],
            times[times.len() - 1]
        );
    }
    let mut worst: Vec<(Duration, Duration, &str, String)> = hostile(LENGTH_CAP)
        .into_iter()
        .map(|(name, whole)| {
            let half = whole[..whole.floor_char_boundary(whole.len() / 2)].to_owned();
            let rule = classify(&command(&whole), &book).rule;
            (
                timed(&command(&whole), &book),
                timed(&command(&half), &book),
                name,
                rule,
            )
        })
        .collect();
    worst.sort_by(|a, b| b.cmp(a));
    println!("the whole, a half:");
    for (whole, half, name, rule) in worst {
        println!("{whole:>12.1?} {half:>12.1?}  {name} ({rule})");
    }
}

/// The longest texts get a verdict, and none of them is allowed without words.
#[test]
fn hostile_texts_are_judged() {
    for (name, text) in hostile(LENGTH_CAP) {
        assert!(text.len() <= LENGTH_CAP + 1, "{name}");
        let verdict = classify(&command(&text), &Rulebook::default());
        assert!(!verdict.rule.is_empty(), "{name}");
    }
}
