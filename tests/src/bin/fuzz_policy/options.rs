//! The words after the fuzzer's name.
//!
//! Invariant: a word that is not known is an error that names it. It does not check
//! whether a program of a given name is there.

use std::path::PathBuf;
use std::time::Duration;

pub(crate) const USAGE: &str = "\
fuzz_policy run [--minutes N | --seconds N | --commands N] [--seed S]
                [--only N]         the Nth command of the seed alone
                [--command TEXT]   this command alone
                [--programs DIR]   DIR/usr holds further programs, such as unpacked packages
                [--plant P,Q]      allow anything by these programs, to see it found
                [--until-found]    end with the first finding; with --plant, the first of each
                [--patience N]     seconds after which a command does not end; 120 by itself
fuzz_policy generate [--count N] [--seed S]
                                   print commands as JSON texts";

/// What to do.
#[derive(Debug)]
pub(crate) enum Task {
    Run(Options),
    Generate {
        seed: u64,
        count: u64,
    },
    /// The part inside the sandbox.
    Inside,
}

/// How to run.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) seed: u64,
    /// How long to go on, where no number of commands is given.
    pub(crate) time: Duration,
    pub(crate) commands: Option<u64>,
    pub(crate) only: Option<u64>,
    pub(crate) command: Option<String>,
    pub(crate) programs: Option<PathBuf>,
    /// Programs of which everything is allowed, although it should not be.
    pub(crate) planted: Vec<String>,
    pub(crate) until_found: bool,
    pub(crate) patience: Duration,
}

impl Options {
    /// Whether there is time to run what is known to be allowed first.
    pub(crate) fn starts_with_known(&self) -> bool {
        self.planted.is_empty() && self.commands.is_none() && self.time > Duration::from_secs(300)
    }
}

/// Reads the words.
pub(crate) fn read(words: &[String]) -> Result<Task, String> {
    let (task, rest) = words.split_first().ok_or("name what to do")?;
    let mut options = Options {
        seed: fresh_seed(),
        time: Duration::from_secs(60),
        commands: None,
        only: None,
        command: None,
        programs: None,
        planted: Vec::new(),
        until_found: false,
        patience: Duration::from_secs(120),
    };
    let mut count = 100;
    let mut rest = rest.iter();
    while let Some(word) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| format!("{word} needs a value"));
        match (task.as_str(), word.as_str()) {
            (_, "--seed") => options.seed = number(word, value()?)?,
            ("generate", "--count") => count = number(word, value()?)?,
            ("run", "--minutes") => {
                options.time = Duration::from_secs(60 * number(word, value()?)?)
            }
            ("run", "--seconds") => options.time = Duration::from_secs(number(word, value()?)?),
            ("run", "--commands") => options.commands = Some(number(word, value()?)?),
            ("run", "--only") => options.only = Some(number(word, value()?)?),
            ("run", "--command") => options.command = Some(value()?.clone()),
            ("run", "--programs") => options.programs = Some(PathBuf::from(value()?)),
            ("run", "--plant") => {
                options.planted = value()?.split(',').map(str::to_owned).collect();
            }
            ("run", "--patience") => {
                options.patience = Duration::from_secs(number(word, value()?)?);
            }
            ("run", "--until-found") => options.until_found = true,
            _ => return Err(format!("{word:?} is not known here")),
        }
    }
    match task.as_str() {
        "run" => Ok(Task::Run(options)),
        "generate" => Ok(Task::Generate {
            seed: options.seed,
            count,
        }),
        "inside" => Ok(Task::Inside),
        _ => Err(format!("{task:?} is not known here")),
    }
}

fn number(name: &str, value: &str) -> Result<u64, String> {
    value
        .parse()
        .map_err(|_| format!("{name} needs a number, and {value:?} is none"))
}

/// Another one each time; it is printed, so that the run can be had again.
fn fresh_seed() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(1, |time| {
        time.as_secs() << 20 | u64::from(time.subsec_micros())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_words_are_named() {
        for (words, expected) in [
            (
                &["run", "--second", "5"][..],
                "\"--second\" is not known here",
            ),
            (
                &["run", "--seconds", "x"],
                "--seconds needs a number, and \"x\" is none",
            ),
            (&["run", "--seed"], "--seed needs a value"),
            (&["walk"], "\"walk\" is not known here"),
        ] {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(read(&words).err().as_deref(), Some(expected));
        }
    }
}
