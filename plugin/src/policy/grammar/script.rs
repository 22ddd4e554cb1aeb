//! Filters that have a language of their own, and the few scripts of `sed` that are
//! plainly read-only.
//!
//! `sed` can write files and run programs from within its scripts, so a script is
//! held to a form in which no such command fits; everything else is asked about.
//! Invariant: a script that passes ends with its input and names no file. Whether
//! it is right is not looked at.

use super::super::lex::Word;
use super::super::paths::Access;
use super::spec::{Command, Outcome, Refusal, Style, Touch, examples};

pub(super) const COMMANDS: &[Command] = &[
    Command {
        names: &["sed"],
        does: "prints chosen lines",
        style: Style::Custom(sed),
        allowed: examples![
            "sed -n '10,20p' /srv/a",
            "sed -n 5p /srv/a",
            "sed -n '$p' x",
            "sed -n '/start/,/end/p' /srv/a",
            "sed -n '1,5p;10p' x",
            "sed -nE '/a|b/p' /srv/a",
            "sed '/^#/d' /srv/a",
            "sed -e '/^#/d' -e '/^$/d' /etc/ssh/sshd_config",
            "sed 's/foo/bar/g' /srv/a",
            "sed 10q /srv/a",
            "sed -n '/a/!p' /srv/a",
            "sed p x",
        ],
        asks: examples![
            "sed -i s/a/b/ /srv/a",
            "sed -n '3w /srv/o' /srv/i",
            "sed s/a/b/e x",
            "sed -n '1e id' x",
            "sed 's/a/b/w x' y",
            "sed s/a/b/gw x",
            "sed -e p -i x",
            "sed 's/a/b/e' x",
            "sed '1i x' y",
            "sed 'y/a/b/' x",
            "sed 'R x' y",
            "sed 'e id' x",
            "sed '/a/s//b/w' x",
            "sed -n -f x y",
            "sed -n 1p -i x",
            "sed -n '/a/w x' y",
            "sed -n 'r /etc/shadow' x",
            "sed -n '1p' /etc/shadow",
            "sed -n '/[/]/p;1e/p' x",
            "sed -n 1p -s x",
            "sed -n p --in-place x",
            r"sed -n '\,a,p' x",
            r"sed -n '/a\/w x/p' y",
        ],
        ..Command::BARE
    },
    Command {
        names: &["awk", "gawk", "mawk", "nawk"],
        does: "prints columns",
        style: Style::Custom(super::awk::awk),
        allowed: examples![
            "awk '{print $1}' /srv/a",
            "awk -F: '{print $1, $3}' /etc/passwd",
            "awk '{ print $NF }' /srv/a",
            "awk -F , '{print $2}' x",
            "awk '/error/ {print $1}' /srv/a",
            "awk '/error/' /srv/a",
            "awk 'NR==5' /srv/a",
            "awk 'END{print NR}' /srv/a",
            "awk -F: '$3 >= 1000 {print $1}' /etc/passwd",
            "awk '{s+=$1} END {print s}' /srv/a",
            "awk -v n=3 'NR==n' /srv/a",
        ],
        asks: examples![
            "awk 'BEGIN{system(\"id\")}'",
            "awk '{print > \"x\"}' y",
            "awk '{print $1 | \"sh\"}' y",
            "awk -f x y",
            "awk '{getline}' x",
            "awk -v FS=1 '{print x}' y",
            "awk -v ENVIRON=1 '{print x}' y",
            "awk '{print $1}' x=1 y",
            "awk '{print $1}' /inet/tcp/0/h/80",
            "awk '{print $1}' /etc/shadow",
            "awk -i inplace '{print $1}' x",
            "awk '/a/;system(\"id\") /{print $1}' x",
            "awk",
        ],
        ..Command::BARE
    },
];

/// Operands after a script, all of which are files.
pub(super) fn files(words: &[Word]) -> Outcome {
    for word in words {
        if word.text.starts_with('-') && word.text != "-" {
            return Err(Refusal::new(
                "option",
                "options after the script are not known to only look",
            ));
        }
    }
    let read = words.iter().filter(|word| word.text != "-");
    Ok(read.map(|word| Touch::new(word, Access::Content)).collect())
}

/// The script itself.
pub(super) fn text_of(word: &Word) -> Option<&str> {
    word.is_literal().then_some(word.text.as_str())
}

/// `sed [-n] [-E] SCRIPT FILE…`, where the script only chooses, deletes and replaces
/// what is printed.
pub(super) fn sed(words: &[Word]) -> Outcome {
    let form = || {
        Refusal::new(
            "script",
            "only a script that just chooses, deletes or replaces what is printed is known to \
             only look",
        )
    };
    let mut rest = words;
    let mut scripts = 0;
    loop {
        rest = match rest {
            [option, tail @ ..]
                if matches!(
                    option.text.as_str(),
                    "-n" | "-E" | "-r" | "-nE" | "-nr" | "-En" | "-rn"
                ) =>
            {
                tail
            }
            [option, script, tail @ ..] if matches!(option.text.as_str(), "-e" | "-ne") => {
                if !is_script(text_of(script).ok_or_else(form)?) {
                    return Err(form());
                }
                scripts += 1;
                tail
            }
            [option, ..] if option.text.starts_with('-') => return Err(form()),
            _ => break,
        };
    }
    if scripts == 0 {
        let (script, tail) = rest.split_first().ok_or_else(form)?;
        if !is_script(text_of(script).ok_or_else(form)?) {
            return Err(form());
        }
        rest = tail;
    }
    files(rest)
}

fn is_script(script: &str) -> bool {
    script.split(';').all(|command| is_harmless(command.trim()))
}

/// `[address[,address]][!]` and `p`, `d`, `=`, `l` or `q`, or `s/old/new/flags`.
fn is_harmless(command: &str) -> bool {
    let Some(rest) = after_address(command) else {
        return false;
    };
    let rest = match rest.strip_prefix(',') {
        Some(second) if rest.len() < command.len() => match after_address(second) {
            Some(after) if after.len() < second.len() => after,
            _ => return false,
        },
        _ => rest,
    };
    let rest = rest.trim_start();
    let rest = match rest.strip_prefix('!') {
        Some(after) if rest.len() < command.len() => after.trim_start(),
        _ => rest,
    };
    if let Some(replacement) = rest.strip_prefix("s/") {
        return is_replacement(replacement);
    }
    matches!(rest.trim(), "p" | "=" | "q" | "d" | "l")
}

/// `old/new/flags`, without the flags that write a file or run the result.
fn is_replacement(text: &str) -> bool {
    let mut parts = text.split('/');
    let (Some(old), Some(new), Some(flags), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let plain = |part: &str| !part.contains(['[', '\\', '\n']);
    plain(old)
        && plain(new)
        && flags.len() <= 3
        && flags
            .trim()
            .chars()
            .all(|c| matches!(c, 'g' | 'p' | 'I' | '1'..='9'))
}

/// What follows an address: a line number, `$`, or a pattern between slashes that
/// holds nothing about whose end two versions could disagree.
fn after_address(text: &str) -> Option<&str> {
    if let Some(pattern) = text.strip_prefix('/') {
        let (pattern, rest) = pattern.split_once('/')?;
        return (!pattern.contains(['[', '\\'])).then_some(rest);
    }
    if let Some(rest) = text.strip_prefix('$') {
        return Some(rest);
    }
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    if rest.len() < text.len() {
        return Some(rest);
    }
    // GNU: `,+N`.
    Some(text.strip_prefix('+').map_or(text, |rest| {
        rest.trim_start_matches(|c: char| c.is_ascii_digit())
    }))
}
