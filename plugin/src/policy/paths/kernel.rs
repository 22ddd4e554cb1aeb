//! Files that the kernel makes up, `/proc`, `/dev` and `/sys`, and names that are no
//! files: pipes, and hosts of an automounter.
//!
//! Invariant: below `/proc/<pid>` and in `/dev` only what is listed as harmless may
//! be read, because a new kernel adds files. The content of a device may block,
//! never end, or be a disk. Names and metadata of all of them are free, except
//! through the links that lead into the file system of a process. Ordinary files
//! are not its business.

use super::super::types::Finding;
use super::pattern::Component;

/// Files about a process that tell no more than `ps` does (see proc(5)).
const PROCESS_FILES: &[&str] = &[
    "cgroup",
    "cmdline",
    "comm",
    "coredump_filter",
    "cpuset",
    "gid_map",
    "io",
    "latency",
    "limits",
    "loginuid",
    "mountinfo",
    "mounts",
    "mountstats",
    "oom_adj",
    "oom_score",
    "oom_score_adj",
    "personality",
    "projid_map",
    "sched",
    "schedstat",
    "sessionid",
    "setgroups",
    "smaps_rollup",
    "stat",
    "statm",
    "status",
    "timers",
    "timerslack_ns",
    "uid_map",
    "wchan",
    "fdinfo",
    "net",
];

/// Links into the file system, or the open files, of a process.
const PROCESS_LINKS: &[&str] = &["root", "cwd", "fd"];

/// Files at the top of `/proc` that are memory, keys, addresses or consumed by reading.
const PROC_REFUSED: &[&str] = &[
    "kcore",
    "kmsg",
    "kallsyms",
    "kpagecgroup",
    "kpagecount",
    "kpageflags",
    "vmcore",
    "keys",
    "key-users",
    "sysrq-trigger",
    // Wait for an event, or read the registers of a device.
    "acpi",
    "bus",
    "xen",
];

/// Whether the path leads through a link of a process to somewhere else.
/// `open` says that the name itself is followed and not only looked at.
pub(super) fn leads_elsewhere(path: &[Component<'_>], open: bool) -> bool {
    let [proc, _, rest @ ..] = path else {
        return false;
    };
    // An automounter may connect to a host of that name (autofs(5), `-hosts`).
    if proc.text == "net" || proc.text == "afs" {
        return true;
    }
    if proc.text != "proc" {
        return false;
    }
    let rest = match rest {
        [task, _, rest @ ..] if task.text == "task" => rest,
        rest => rest,
    };
    match rest {
        // The entry itself is only a link; its metadata says where to.
        [fd, _] if fd.text == "fd" => false,
        // Listing it shows the root directory of a container.
        [link] if link.text == "root" => true,
        [link] => open && link.text == "cwd",
        [link, _, ..] => link.wild || PROCESS_LINKS.contains(&link.text),
        _ => false,
    }
}

/// Judges reading the content of a made-up file.
pub(super) fn content(path: &[Component<'_>]) -> Option<Finding> {
    let is = |component: &Component<'_>, name: &str| component.text == name;
    let in_other_case = |component: &&Component<'_>| {
        ["dev", "proc", "sys"]
            .iter()
            .any(|name| component.text.eq_ignore_ascii_case(name) && !is(component, name))
    };
    if path.first().filter(in_other_case).is_some() {
        return Some(Finding::ask(
            "path.case",
            "in another case of letters this is a part of the kernel's own files",
        ));
    }
    match path {
        [dev] if dev.text == "dev" => None,
        [dev, rest @ ..] if dev.text == "dev" => device(rest),
        [proc, rest @ ..] if proc.text == "proc" => process(rest),
        [sys, rest @ ..] if sys.text == "sys" => system(rest),
        [net, _, ..] if net.text == "net" || net.text == "afs" => Some(Finding::ask(
            "path.automount",
            "a name there may connect to another machine",
        )),
        [.., last] if is_pipe(path, last) => Some(Finding::ask(
            "path.pipe",
            "reading a pipe waits until something is written, and takes it away",
        )),
        [first, ..] if first.wild => {
            // `/*/kcore` and its like.
            Some(Finding::ask(
                "path.glob",
                "a pattern in the first directory could reach devices and secrets",
            ))
        }
        _ => None,
    }
}

/// Whether a name is that of a named pipe, by convention or by its place.
fn is_pipe(path: &[Component<'_>], last: &Component<'_>) -> bool {
    let in_run = path.first().is_some_and(|first| first.text == "run");
    let ends = |suffixes: &[&str]| suffixes.iter().any(|suffix| last.text.ends_with(suffix));
    ends(&[".fifo", ".pipe"])
        || in_run && (ends(&[".ref"]) || ["initctl", "fifo"].contains(&last.text))
        || in_run && last.text.starts_with("dmeventd-")
}

fn device(rest: &[Component<'_>]) -> Option<Finding> {
    match rest {
        [name] if name.text == "null" => None,
        _ => Some(Finding::ask(
            "path.device",
            "reading a device may never end, take input from it, or show a raw disk",
        )),
    }
}

fn process(rest: &[Component<'_>]) -> Option<Finding> {
    let (first, rest) = rest.split_first()?;
    let is_process = first.wild
        || first.text == "self"
        || first.text == "thread-self"
        || first.text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_process {
        let key = |name: &str| name.ends_with("_secret") || name.ends_with("fastopen_key");
        // No key lives in these, whatever a pattern comes to name there.
        let keyless = matches!(rest, [area, _] if ["vm", "fs", "kernel"].contains(&area.text))
            || matches!(rest, [net, core, _] if net.text == "net" && core.text == "core");
        let refused = |component: &Component<'_>| {
            component.wild && first.text == "sys" && !keyless
                || key(component.text)
                || component.text == "channel"
        };
        let refused_here = PROC_REFUSED
            .iter()
            .any(|name| first.text.eq_ignore_ascii_case(name));
        if refused_here || rest.iter().any(refused) {
            return Some(Finding::ask(
                "path.proc",
                "this part of /proc shows memory, keys or raw kernel state",
            ));
        }
        return None;
    }
    let rest = match rest {
        [task, _, rest @ ..] if task.text == "task" => rest,
        rest => rest,
    };
    match rest {
        [] if first.wild => Some(Finding::ask(
            "path.proc",
            "the pattern covers parts of /proc that show memory or keys",
        )),
        [] => None,
        [name, ..] if !name.wild && PROCESS_FILES.contains(&name.text) => None,
        [name, ..] if name.text == "environ" => Some(Finding::ask(
            "path.proc.environ",
            "the environment of a process usually holds passwords",
        )),
        _ => Some(Finding::ask(
            "path.proc",
            "this shows the memory, the environment or the open files of a process",
        )),
    }
}

fn system(rest: &[Component<'_>]) -> Option<Finding> {
    let refused = match rest {
        // A pattern so high up could lead to any of the following.
        [first, ..] if first.wild => true,
        [first, ..] if matches!(first.text, "firmware" | "power") => true,
        [kernel, name, ..] if kernel.text == "kernel" => {
            name.wild || matches!(name.text, "debug" | "tracing" | "security" | "config")
        }
        // Reading these registers has side effects on some hardware.
        [.., name] => {
            ["rom", "vpd", "config"].contains(&name.text)
                || name.text.starts_with("resource")
                    && rest.iter().any(|part| part.text.contains("pci"))
        }
        [] => false,
    };
    refused.then(|| {
        Finding::ask(
            "path.sys",
            "reading this kernel file can change or block something",
        )
    })
}
