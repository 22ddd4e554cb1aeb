//! Looking through everything a run left for every secret it noted.
//!
//! Invariant: whatever cannot be looked at is an error, not a pass, and the
//! report says how much was looked for in how much. It deliberately shows no
//! secret: a hit is a kind, a form and a place.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use aho_corasick::AhoCorasick;

use super::encodings::forms;
use super::{Kind, Noted, Run};

/// A secret where it must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// What it is.
    pub kind: Kind,
    /// How it is written there.
    pub form: &'static str,
    /// The file, or a repository and `objects` in it.
    pub place: PathBuf,
}

/// What a scan did and found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Secrets looked for, by kind.
    pub secrets: BTreeMap<Kind, usize>,
    /// Forms of them.
    pub forms: usize,
    /// Files looked through, by the part of the run they belong to.
    pub files: BTreeMap<String, usize>,
    /// Bytes looked through.
    pub bytes: u64,
    /// Git repositories whose objects were opened.
    pub repositories: usize,
    /// Journals among the files.
    pub journals: usize,
    /// What was found.
    pub hits: Vec<Hit>,
}

impl Report {
    /// What a whole run of the suites has and this one lacks: a scan of nothing
    /// proves nothing.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let kinds = [
            Kind::Password,
            Kind::Passphrase,
            Kind::PrivateKey,
            Kind::MasterKey,
            Kind::Token,
        ];
        let mut missing: Vec<String> = kinds
            .iter()
            .filter(|kind| !self.secrets.contains_key(kind))
            .map(|kind| format!("no secret of the kind {kind:?}"))
            .collect();
        for part in ["kept", "transcripts", "processes"] {
            if !self.files.contains_key(part) {
                missing.push(format!("no file in {part}"));
            }
        }
        if self.journals == 0 {
            missing.push("no journal".to_owned());
        }
        if self.repositories == 0 {
            missing.push("no repository".to_owned());
        }
        missing
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secrets: usize = self.secrets.values().sum();
        let files: usize = self.files.values().sum();
        write!(
            f,
            "looked for {secrets} secrets in {} forms, in {files} files of {} MiB, among them {} \
             journals, and in the objects of {} repositories: {} found",
            self.forms,
            self.bytes >> 20,
            self.journals,
            self.repositories,
            self.hits.len()
        )?;
        for hit in &self.hits {
            write!(
                f,
                "\n  {:?}, {}: {}",
                hit.kind,
                hit.form,
                hit.place.display()
            )?;
        }
        Ok(())
    }
}

/// Looks through a run.
///
/// # Errors
/// When anything of it cannot be read.
pub fn scan(run: &Run) -> io::Result<Report> {
    let mut scan = Scan::new(run)?;
    for entry in fs::read_dir(&run.dir)? {
        let entry = entry?;
        if entry.file_name() != "secrets" && entry.file_name() != "allowed" {
            let part = entry.file_name().to_string_lossy().into_owned();
            scan.tree(&entry.path(), &part)?;
        }
    }
    Ok(scan.report)
}

struct Scan {
    matcher: AhoCorasick,
    /// Kind and form of each pattern.
    patterns: Vec<(Kind, &'static str)>,
    allowed: HashSet<PathBuf>,
    report: Report,
}

impl Scan {
    fn new(run: &Run) -> io::Result<Self> {
        let mut report = Report::default();
        let mut known = HashSet::new();
        let (mut texts, mut patterns) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(run.dir.join("secrets"))? {
            let noted: Noted = serde_json::from_slice(&fs::read(entry?.path())?)?;
            if !known.insert(noted.bytes.clone()) {
                continue;
            }
            *report.secrets.entry(noted.kind).or_default() += 1;
            for (form, text) in forms(&noted.bytes) {
                texts.push(text);
                patterns.push((noted.kind, form));
            }
        }
        report.forms = texts.len();
        let mut allowed = HashSet::new();
        for entry in fs::read_dir(run.dir.join("allowed"))? {
            let path = fs::read(entry?.path())?;
            allowed.insert(PathBuf::from(OsStr::from_bytes(&path)));
        }
        let matcher = AhoCorasick::new(&texts).map_err(io::Error::other)?;
        Ok(Self {
            matcher,
            patterns,
            allowed,
            report,
        })
    }

    fn tree(&mut self, path: &Path, part: &str) -> io::Result<()> {
        let place =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let kind = fs::symlink_metadata(path).map_err(place)?.file_type();
        self.text(path.as_os_str().as_bytes(), path);
        if kind.is_symlink() {
            let target = fs::read_link(path).map_err(place)?;
            self.text(target.as_os_str().as_bytes(), path);
        } else if kind.is_dir() {
            if ["HEAD", "objects", "refs"]
                .iter()
                .all(|name| path.join(name).exists())
            {
                self.repository(path)?;
            }
            for entry in fs::read_dir(path).map_err(place)? {
                let entry = entry?.path();
                match self.tree(&entry, part) {
                    // A process that ends takes its files away, and what is gone holds
                    // nothing.
                    Err(error) if error.kind() == io::ErrorKind::NotFound && is_gone(&entry) => {}
                    scanned => scanned?,
                }
            }
        } else if kind.is_file() {
            let real = path.canonicalize().map_err(place)?;
            if !self.allowed.contains(&real) {
                let bytes = fs::read(path).map_err(place)?;
                *self.report.files.entry(part.to_owned()).or_default() += 1;
                self.report.journals += usize::from(is_journal(path));
                self.text(&bytes, path);
            }
        }
        // Sockets and pipes hold nothing.
        Ok(())
    }

    /// Everything git has in a repository, unpacked.
    fn repository(&mut self, path: &Path) -> io::Result<()> {
        let output = Command::new("git")
            .arg("--git-dir")
            .arg(path)
            .args(["-c", "safe.directory=*", "cat-file", "--batch"])
            .args(["--batch-all-objects", "--unordered", "--buffer"])
            .stdin(Stdio::null())
            .output()?;
        if !output.status.success() {
            return Err(io::Error::other(format!(
                "git cannot read {}: {}",
                path.display(),
                String::from_utf8_lossy(&output.stderr)
            )));
        }
        self.report.repositories += 1;
        self.text(&output.stdout, &path.join("objects"));
        Ok(())
    }

    fn text(&mut self, bytes: &[u8], place: &Path) {
        self.report.bytes += bytes.len() as u64;
        for found in self.matcher.find_overlapping_iter(bytes) {
            let (kind, form) = self.patterns[found.pattern().as_usize()];
            if kind == Kind::Token && !is_journal(place) {
                continue;
            }
            let hit = Hit {
                kind,
                form,
                place: place.to_owned(),
            };
            if !self.report.hits.contains(&hit) {
                self.report.hits.push(hit);
            }
        }
    }
}

/// Whether nothing has this name any more. A symbolic link that leads nowhere is there.
fn is_gone(path: &Path) -> bool {
    fs::symlink_metadata(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Whether a file is a journal, which holds less than others may.
fn is_journal(path: &Path) -> bool {
    path.parent()
        .and_then(Path::file_name)
        .is_some_and(|name| name == "audit")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    const SECRET: &str = "correct \"horse\" battery";
    const TOKEN: &str = "ghp_0123456789abcdef";

    struct Rig {
        dir: tempfile::TempDir,
        run: Run,
    }

    impl Rig {
        fn new() -> Self {
            let dir = tempfile::tempdir().expect("a directory");
            let run = Run::at(dir.path());
            run.note(Kind::Password, SECRET.as_bytes());
            run.note(Kind::Token, TOKEN.as_bytes());
            Self { dir, run }
        }

        fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
            let path = self.dir.path().join("kept").join(name);
            fs::create_dir_all(path.parent().expect("it has one")).expect("own directory");
            fs::write(&path, bytes).expect("own directory");
            path
        }

        fn found(&self) -> Vec<(Kind, &'static str)> {
            let report = scan(&self.run).expect("all of it is readable");
            report.hits.iter().map(|hit| (hit.kind, hit.form)).collect()
        }
    }

    #[test]
    fn a_leak_is_found_in_every_form_and_place() {
        let rig = Rig::new();
        rig.put("clean", b"nothing to see");
        assert_eq!(rig.found(), []);
        let shifted = STANDARD.encode(format!("x{SECRET}y"));
        let hex: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
        let json = serde_json::json!({ "password": SECRET }).to_string();
        for (text, form) in [
            (format!("a {SECRET} b"), "plain"),
            (shifted, "base64"),
            (hex, "hexadecimal"),
            (json, "JSON"),
        ] {
            let path = rig.put("deep/below/leak", text.as_bytes());
            assert_eq!(rig.found(), [(Kind::Password, form)], "{text}");
            fs::remove_file(path).expect("just made");
        }
        let named = rig.put(&format!("{SECRET}.txt"), b"");
        assert_eq!(rig.found(), [(Kind::Password, "plain")]);
        fs::remove_file(named).expect("just made");
        let link = rig.dir.path().join("kept/link");
        symlink(SECRET, &link).expect("own directory");
        assert_eq!(rig.found(), [(Kind::Password, "plain")]);
        fs::remove_file(link).expect("just made");
        rig.run.transcript("call", &[SECRET.as_bytes()]);
        assert_eq!(rig.found(), [(Kind::Password, "plain")]);
    }

    #[test]
    fn a_leak_in_a_repository_is_found_loose_and_packed() {
        let rig = Rig::new();
        let dir = rig.dir.path().join("kept/snapshots");
        let git = |words: &[&str], stdin: &str| {
            let file = rig.dir.path().join("stdin");
            fs::write(&file, stdin).expect("own directory");
            let done = Command::new("git")
                .args(words)
                .env("GIT_DIR", &dir)
                .env("GIT_CONFIG_GLOBAL", "/dev/null")
                .stdin(fs::File::open(&file).expect("just made"))
                .output()
                .expect("git is installed");
            fs::remove_file(&file).expect("just made");
            assert!(done.status.success(), "git {words:?}");
            String::from_utf8_lossy(&done.stdout).trim().to_owned()
        };
        git(&["init", "--quiet", "--bare"], "");
        let blob = git(&["hash-object", "-w", "--stdin"], &format!("x {SECRET} y"));
        let report = scan(&rig.run).expect("readable");
        assert_eq!((report.repositories, report.hits.len()), (1, 1));
        git(
            &[
                "pack-objects",
                "--quiet",
                &dir.join("objects/pack/pack").to_string_lossy(),
            ],
            &blob,
        );
        git(&["prune-packed", "--quiet"], "");
        let report = scan(&rig.run).expect("readable");
        assert_eq!((report.repositories, report.hits.len()), (1, 1));
    }

    #[test]
    fn a_process_that_shows_a_secret_is_found() {
        let rig = Rig::new();
        let mut child = Command::new("sleep")
            .arg("60")
            .env("LEAK", SECRET)
            .spawn()
            .expect("sleep(1) is in POSIX");
        let watch = rig.run.watch(child.id());
        while !rig.dir.path().join("processes").exists() || rig.found().is_empty() {
            std::thread::yield_now();
        }
        drop(watch);
        child.kill().expect("it was started here");
        child.wait().expect("it was started here");
        assert_eq!(rig.found(), [(Kind::Password, "plain")]);
    }

    #[test]
    fn what_may_be_there_may_be_there_only() {
        let rig = Rig::new();
        let path = rig.put("key", SECRET.as_bytes());
        rig.run.allow(&path);
        rig.put("home/notes", TOKEN.as_bytes());
        assert_eq!(rig.found(), []);
        rig.put("home/key", SECRET.as_bytes());
        assert_eq!(rig.found(), [(Kind::Password, "plain")]);
        rig.put("data/audit/actions.jsonl", TOKEN.as_bytes());
        assert_eq!(rig.found().len(), 2);
    }

    #[test]
    fn nothing_to_look_through_is_no_pass() {
        let dir = tempfile::tempdir().expect("a directory");
        let report = scan(&Run::at(dir.path())).expect("readable");
        assert_eq!(report.missing().len(), 10, "{:?}", report.missing());
    }
}
