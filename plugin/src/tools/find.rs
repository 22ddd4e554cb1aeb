//! `remote_find`: names by glob, content by pattern, or both.
//!
//! Names come from an SFTP walk and are matched here; content is searched by one
//! `grep` per batch of literal names, so no shell, pipe or glob is involved and
//! every name is judged by the policy. Files the policy calls secret are left out
//! and counted, not asked about one by one. Invariant: every file that is searched
//! was named one by one to the host. How a directory is walked is not decided here.

use globset::GlobBuilder;
use serde_json::{Value, json};

use super::arguments::{Arguments, invalid};
use super::report::Report;
use super::text::clipped;
use super::{Definition, list_dir, path_property, schema, servers_property};
use crate::bindings::openshell::host::effects::{
    self, Action, ArgvSpec, ExecResult, FileKind, Listing, Operation, WalkSpec,
};
use crate::bindings::openshell::host::types::FailureCode;
use crate::policy;

/// Results returned by default and at most.
const LIMIT_DEFAULT: u64 = 200;
const LIMIT_MAX: u64 = 2_000;
/// Directory entries looked at in one call.
const SCAN_MAX: u32 = 20_000;
/// Names handed to one grep: at most this many, and bytes, well below the
/// kernel's 128 KiB for a single exec on old systems (execve(2)).
const BATCH_FILES: usize = 500;
const BATCH_BYTES: usize = 48 * 1024;
/// Characters of a matching line that are returned.
const LINE_MAX: usize = 400;
/// For one grep, in ms.
const GREP_TIMEOUT: u32 = 60_000;

pub(super) fn definition() -> Definition {
    Definition {
        name: "remote_find",
        description: "Find files by name (glob), by content (pattern) or both; give at least \
                      one.",
        parameters: schema(
            json!({
                "server": servers_property(),
                "path": path_property(),
                "pattern": {"type": "string", "description": "POSIX ERE, per line"},
                "glob": {
                    "type": "string",
                    "description": "Name like *.conf; with / the path below `path`, ** crosses directories",
                },
                "limit": {
                    "type": "integer", "maximum": LIMIT_MAX,
                    "description": "Results, default 200",
                },
            }),
            &["server", "path"],
        ),
        read_only: true,
    }
}

pub(super) fn call(mut arguments: Arguments) -> Result<Report, Report> {
    let server = arguments.server()?;
    let path = arguments.path("path")?;
    let pattern = arguments.optional_string("pattern")?;
    let glob = arguments.optional_string("glob")?;
    let limit = arguments.number("limit", 1, LIMIT_MAX, LIMIT_DEFAULT)? as usize;
    if let Some(pattern) = &pattern
        && (pattern.is_empty() || pattern.contains(['\0', '\n']))
    {
        return Err(invalid(
            "pattern",
            "a non-empty regular expression on one line",
            Some(&json!(pattern)),
        ));
    }
    if pattern.is_none() && glob.is_none() {
        return Err(invalid("glob", "given when `pattern` is not", None));
    }
    let matcher = glob.as_deref().map(NameMatcher::new).transpose()?;

    let action = Action::open(&server)?;
    let found = names(&action, &path, matcher.as_ref(), pattern.is_some())?;
    let mut data = json!({ "path": path });
    if !found.unreadable.is_empty() {
        data["unreadable"] = list_dir::unreadable(&found.unreadable);
    }
    let mut remarks = Vec::new();
    if found.cut {
        remarks.push(format!(
            "Only the first {SCAN_MAX} entries were looked at; search a subdirectory."
        ));
    }

    let Some(pattern) = pattern else {
        let total = found.names.len();
        let results: Vec<Value> = found
            .names
            .into_iter()
            .take(limit)
            .map(|(path, kind)| json!({"path": path, "type": kind}))
            .collect();
        if total > results.len() {
            remarks.push(format!("{total} names match; the first {limit} are given."));
        }
        data["count"] = json!(results.len());
        data["truncated"] = json!(found.cut || total > results.len());
        data["results"] = Value::Array(results);
        return Ok(Report::data(data).with_message(join(remarks)));
    };

    let (secret, files): (Vec<_>, Vec<_>) = found
        .names
        .into_iter()
        .map(|(path, _)| path)
        // Names that no question could show plainly are a matter of their own.
        .partition(|path| {
            found.walked && !path.chars().any(char::is_control) && may_be_secret(path)
        });
    if !secret.is_empty() {
        remarks.push(format!(
            "{} files were left out because their content may be secret; read one with \
             remote_read_file to ask for it.",
            secret.len()
        ));
    }
    let searched = search(&action, &pattern, &files, limit)?;
    if searched.cut {
        remarks.push(format!(
            "The search stopped at {limit} hits; narrow it or raise `limit`."
        ));
    }
    if searched.unsearched > 0 {
        remarks.push(format!(
            "{} files with a control character in their name were not searched.",
            searched.unsearched
        ));
    }
    data["filesSearched"] = json!(searched.files);
    data["count"] = json!(searched.hits.len());
    data["truncated"] = json!(found.cut || searched.cut);
    if !searched.errors.is_empty() {
        data["errors"] = json!(searched.errors);
    }
    data["results"] = Value::Array(searched.hits);
    Ok(Report::data(data).with_message(join(remarks)))
}

/// Whether reading a file would ask, by the policy's own list.
fn may_be_secret(path: &str) -> bool {
    let subject = policy::Subject {
        request: policy::Request::ReadPath(path.to_owned()),
        server: String::new(),
        tool: "remote_find".to_owned(),
        labels: Vec::new(),
        cwd: None,
        home: None,
        resolved: None,
        sudo: None,
    };
    let verdict = policy::classify(&subject, &policy::Rulebook::default());
    verdict.decision != policy::Decision::AutoAllow
}

fn join(remarks: Vec<String>) -> Option<String> {
    (!remarks.is_empty()).then(|| remarks.join(" "))
}

/// A glob over base names, or over the path below the root when it holds a slash.
#[derive(Debug)]
struct NameMatcher {
    matcher: globset::GlobMatcher,
    whole_path: bool,
}

impl NameMatcher {
    fn new(glob: &str) -> Result<Self, Report> {
        let relative = glob.trim_start_matches("./");
        let matcher = GlobBuilder::new(relative)
            .literal_separator(true)
            .build()
            .map_err(|error| {
                invalid(
                    "glob",
                    &format!("a glob ({})", clipped(&error.kind().to_string())),
                    Some(&json!(glob)),
                )
            })?
            .compile_matcher();
        Ok(Self {
            matcher,
            whole_path: relative.contains('/'),
        })
    }

    fn matches(&self, relative: &str) -> bool {
        if self.whole_path {
            return self.matcher.is_match(relative);
        }
        let name = relative.rsplit('/').next().unwrap_or(relative);
        self.matcher.is_match(name)
    }
}

/// Files the search is about.
struct Found {
    /// Absolute path and type.
    names: Vec<(String, &'static str)>,
    cut: bool,
    unreadable: Vec<(String, String)>,
    /// False when the path itself is the one file, named by the caller.
    walked: bool,
}

fn names(
    action: &Action,
    root: &str,
    matcher: Option<&NameMatcher>,
    files_only: bool,
) -> Result<Found, Report> {
    let permit = action.permit(&Operation::Walk(WalkSpec {
        path: root.to_owned(),
        recursive: true,
        limit: SCAN_MAX,
    }))?;
    match effects::walk(permit) {
        Ok(listing) => Ok(select(root, listing, matcher, files_only)),
        Err(failure) if failure.code == FailureCode::NotADirectory => Ok(Found {
            names: vec![(root.to_owned(), "file")],
            cut: false,
            unreadable: Vec::new(),
            walked: false,
        }),
        Err(failure) => Err(failure.into()),
    }
}

fn select(root: &str, listing: Listing, matcher: Option<&NameMatcher>, files_only: bool) -> Found {
    let prefix = root.trim_end_matches('/');
    let names = listing
        .entries
        .into_iter()
        .filter(|entry| !files_only || entry.kind == FileKind::File)
        .filter(|entry| matcher.is_none_or(|matcher| matcher.matches(&entry.path)))
        .map(|entry| {
            let kind = match entry.kind {
                FileKind::File => "file",
                FileKind::Directory => "directory",
                FileKind::Symlink => "symlink",
                FileKind::Other => "other",
            };
            (format!("{prefix}/{}", entry.path), kind)
        })
        .collect();
    Found {
        names,
        cut: listing.cut,
        unreadable: listing.unreadable,
        walked: true,
    }
}

/// Hits in the content of files.
#[derive(Default)]
struct Searched {
    hits: Vec<Value>,
    cut: bool,
    files: usize,
    unsearched: usize,
    errors: Vec<String>,
}

fn search(
    action: &Action,
    pattern: &str,
    files: &[String],
    limit: usize,
) -> Result<Searched, Report> {
    let mut searched = Searched::default();
    // grep separates results by newline, so such a name could forge another's hit.
    let (odd, files): (Vec<&String>, Vec<&String>) = files
        .iter()
        .partition(|path| path.chars().any(char::is_control));
    searched.unsearched = odd.len();
    for batch in batches(&files) {
        let result = grep(action, pattern, batch, limit)?;
        searched.files += batch.len();
        collect(&mut searched, &result, batch, limit);
        if result.exit_code.is_none_or(|code| code > 1) {
            let stderr = String::from_utf8_lossy(&result.output.stderr.head);
            // Status 2 without any hit means the pattern itself is wrong; with
            // readable files among the batch it is about single files only.
            if stderr
                .lines()
                .all(|line| !batch.iter().any(|file| line.contains(file.as_str())))
            {
                return Err(Report::error(
                    "INVALID_ARGUMENT",
                    format!(
                        "Argument `pattern` must be an extended regular expression; grep said: {}",
                        clipped(stderr.trim())
                    ),
                    "Correct the pattern and call again.",
                ));
            }
            searched.errors.extend(stderr.lines().take(20).map(clipped));
        }
        if searched.hits.len() >= limit {
            break;
        }
    }
    Ok(searched)
}

fn grep(
    action: &Action,
    pattern: &str,
    files: &[&String],
    limit: usize,
) -> Result<ExecResult, Report> {
    let mut argv: Vec<String> = ["grep", "-E", "-n", "-H", "-m"].map(str::to_owned).into();
    // One more than is wanted, so that a file with more of them is noticed.
    argv.push((limit + 1).to_string());
    argv.extend(["-e".to_owned(), pattern.to_owned(), "--".to_owned()]);
    argv.extend(files.iter().map(|file| (*file).clone()));
    let permit = action.permit(&Operation::Argv(ArgvSpec {
        argv,
        timeout_ms: GREP_TIMEOUT,
    }))?;
    Ok(effects::run(permit)?)
}

/// Splits names so that each batch fits one command line.
fn batches<'a>(files: &'a [&'a String]) -> Vec<&'a [&'a String]> {
    let mut batches = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (index, file) in files.iter().enumerate() {
        if index > start && (index - start == BATCH_FILES || bytes + file.len() > BATCH_BYTES) {
            batches.push(&files[start..index]);
            (start, bytes) = (index, 0);
        }
        bytes += file.len() + 1;
    }
    if start < files.len() {
        batches.push(&files[start..]);
    }
    batches
}

fn collect(searched: &mut Searched, result: &ExecResult, files: &[&String], limit: usize) {
    let printed = &result.output.stdout;
    searched.cut |= printed.total > (printed.head.len() + printed.tail.len()) as u64;
    for line in printed.head.split(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(line);
        let Some((path, number, text)) = parse_hit(&line, files) else {
            continue;
        };
        if searched.hits.len() == limit {
            searched.cut = true;
            return;
        }
        let mut hit = json!({"path": path, "line": number});
        let shown: String = text.chars().take(LINE_MAX).collect();
        if shown.len() < text.len() {
            hit["cut"] = json!(true);
        }
        hit["text"] = json!(shown);
        searched.hits.push(hit);
    }
}

/// Reads `path:line:text`. A path may hold colons and digits itself, so the
/// longest name that was handed to grep and fits wins.
fn parse_hit<'a>(line: &'a str, files: &[&'a String]) -> Option<(&'a str, u64, &'a str)> {
    files
        .iter()
        .filter_map(|file| {
            let rest = line.strip_prefix(file.as_str())?.strip_prefix(':')?;
            let (number, text) = rest.split_once(':')?;
            Some((file.as_str(), number.parse().ok()?, text))
        })
        .max_by_key(|(path, _, _)| path.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_names_or_paths() {
        let cases = [
            ("*.conf", "a/b/x.conf", true),
            ("*.conf", "a/b/x.config", false),
            ("b/*.conf", "a/b/x.conf", false),
            ("**/b/*.conf", "a/b/x.conf", true),
            ("a/*", "a/b/x.conf", false),
            ("./a/*", "a/b", true),
            ("x.{conf,txt}", "q/x.txt", true),
        ];
        for (glob, path, expected) in cases {
            let matcher = NameMatcher::new(glob).expect("a glob");
            assert_eq!(matcher.matches(path), expected, "{glob} on {path}");
        }
        let report = NameMatcher::new("[a").expect_err("not a glob");
        assert!(report.message.expect("message").contains("`glob`"));
    }

    #[test]
    fn hits_belong_to_the_longest_name_that_fits() {
        let (a, b) = ("/d/a".to_owned(), "/d/a:1".to_owned());
        let files = [&a, &b];
        assert_eq!(parse_hit("/d/a:7:x:y", &files), Some(("/d/a", 7, "x:y")));
        assert_eq!(parse_hit("/d/a:1:7:x", &files), Some(("/d/a:1", 7, "x")));
        assert_eq!(parse_hit("Binary file /d/a matches", &files), None);
    }

    #[test]
    fn batches_stay_within_both_bounds() {
        let long: Vec<String> = (0..1200)
            .map(|n| format!("/{n}/{}", "x".repeat(60)))
            .collect();
        let long: Vec<&String> = long.iter().collect();
        let batches = batches(&long);
        assert_eq!(batches.iter().map(|batch| batch.len()).sum::<usize>(), 1200);
        for batch in batches {
            assert!(batch.len() <= BATCH_FILES);
            let bytes: usize = batch.iter().map(|name| name.len() + 1).sum();
            assert!(bytes <= BATCH_BYTES + 100, "{bytes}");
        }
    }
}
