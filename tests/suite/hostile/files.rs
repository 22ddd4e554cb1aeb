//! Lies in the answers of SFTP.
//!
//! They prove that an answer is bounded and escaped before it is believed, and that
//! each lie has a code of its own. Honest servers that lack something are in
//! `identity_peers`.

use serde_json::{Value, json};

use super::sftp::{
    FSTAT, INIT, LSTAT, OPEN, OPENDIR, READ, READDIR, READLINK, REALPATH, Request, STAT, SftpLie,
    attributes, entry, framed, names, number, reply, status, string,
};
use super::ssh::{Behaviour, Liar};
use super::{EVIL, Victim};
use openshell_tests::Output;

fn asked(files: SftpLie, tool: &str, arguments: Value) -> Output {
    let liar = Liar::start(Behaviour {
        files: Some(files),
        ..Behaviour::default()
    });
    Victim::of(liar.port(), Some(liar.host_key())).call(tool, arguments)
}

/// A directory or a regular file with nothing special about it.
fn directory() -> Vec<u8> {
    attributes(0o040_755, 0)
}

fn on(request: &Request, kind: u8, answer: Vec<u8>) -> Option<Vec<u8>> {
    (request.kind == kind).then_some(answer)
}

/// A listing whose first batch is these names, and whose next is the end.
fn listing(request: &Request, entries: &[Vec<u8>]) -> Option<Vec<u8>> {
    (request.kind == READDIR && request.before == 0).then(|| names(request.id, entries))
}

/// Calls that must fail: what is wrong, the lie, the tool, the code, and a part
/// of the message.
type Row = (
    &'static str,
    SftpLie,
    &'static str,
    &'static str,
    &'static str,
);

#[test]
fn lies_in_framing_and_numbers() {
    let (stat, list, read) = ("remote_stat", "remote_list_dir", "remote_read_file");
    let lost = ("CONNECTION_LOST", "SFTP channel was lost");
    let table: [Row; 15] = [
        (
            "a first packet of 4 GiB",
            |r| on(r, INIT, vec![0xff; 64]),
            stat,
            "REMOTE_FAILURE",
            "SFTP on this server: it does not answer as",
        ),
        (
            "a version from the future",
            |r| on(r, INIT, framed(&[2, 0, 0, 0, 9])),
            stat,
            "REMOTE_FAILURE",
            "SFTP version 9, not 3",
        ),
        (
            "a first packet of another kind",
            |r| on(r, INIT, status(0, 0, b"")),
            stat,
            "REMOTE_FAILURE",
            "SFTP on this server: the server did not answer",
        ),
        (
            "extensions of 4 GiB",
            |r| on(r, INIT, framed(&[2, 0, 0, 0, 3, 0xff, 0xff, 0xff, 0xff])),
            stat,
            "REMOTE_FAILURE",
            "SFTP on this server: it does not answer as",
        ),
        (
            "an answer of 4 GiB",
            |r| on(r, LSTAT, vec![0xff; 64]),
            stat,
            lost.0,
            lost.1,
        ),
        (
            "an answer one byte too long",
            |r| on(r, LSTAT, framed(&vec![105; (256 << 10) + 1])),
            stat,
            lost.0,
            lost.1,
        ),
        (
            "an empty answer",
            |r| on(r, LSTAT, framed(&[])),
            stat,
            lost.0,
            lost.1,
        ),
        (
            "an answer that stops",
            |r| on(r, LSTAT, reply(105, r.id, &[&[0, 0, 0, 0x0f]])),
            stat,
            lost.0,
            lost.1,
        ),
        (
            "an answer of another kind",
            |r| on(r, LSTAT, reply(103, r.id, &[&string(b"data")])),
            stat,
            lost.0,
            lost.1,
        ),
        (
            "an answer of no kind",
            |r| on(r, LSTAT, reply(77, r.id, &[])),
            stat,
            lost.0,
            lost.1,
        ),
        (
            "somebody else's answer, and then none",
            |r| {
                let other = reply(105, r.id.wrapping_add(77), &[&attributes(0o100_644, 1)]);
                on(r, LSTAT, [other, vec![0xff; 4]].concat())
            },
            stat,
            lost.0,
            lost.1,
        ),
        (
            "attributes that extend for ever",
            |r| {
                let flags = 0x8000_0000_u32.to_be_bytes();
                on(r, LSTAT, reply(105, r.id, &[&flags, &[0xff; 4]]))
            },
            stat,
            "",
            "",
        ),
        (
            "four thousand million names",
            |r| on(r, READDIR, reply(104, r.id, &[&[0xff; 4]])),
            list,
            lost.0,
            lost.1,
        ),
        (
            "a name of 4 GiB",
            |r| {
                on(
                    r,
                    READDIR,
                    reply(104, r.id, &[&number(1), &[0xff; 4], b"x"]),
                )
            },
            list,
            lost.0,
            lost.1,
        ),
        (
            "a file larger than anything",
            |r| {
                on(
                    r,
                    FSTAT,
                    reply(105, r.id, &[&attributes(0o100_644, u64::MAX)]),
                )
            },
            read,
            "",
            "",
        ),
    ];
    for (name, lie, tool, code, text) in table {
        let output = asked(lie, tool, json!({"path": "/the/file"}));
        let envelope = output.json();
        assert_eq!(output.code(), code, "{name}: {output:?}");
        let message = envelope["message"].as_str().unwrap_or_default();
        assert!(message.contains(text), "{name}: {message}");
    }
}

#[test]
fn names_that_no_directory_holds() {
    let table: [(&str, SftpLie); 6] = [
        ("up", |r| {
            listing(r, &[entry(b"../evil", b"", &directory())])
        }),
        ("a path", |r| {
            listing(r, &[entry(b"a/b", b"", &directory())])
        }),
        ("absolute", |r| {
            listing(r, &[entry(b"/etc/passwd", b"", &directory())])
        }),
        ("nothing", |r| listing(r, &[entry(b"", b"", &directory())])),
        ("NUL", |r| listing(r, &[entry(b"a\0b", b"", &directory())])),
        ("200 KiB", |r| {
            listing(r, &[entry(&[b'n'; 200 << 10], b"", &directory())])
        }),
    ];
    for (name, lie) in table {
        for recursive in [false, true] {
            let arguments = json!({"path": "/d", "recursive": recursive});
            let output = asked(lie, "remote_list_dir", arguments);
            let envelope = output.json();
            assert_eq!(envelope["code"], "REMOTE_FAILURE", "{name}: {output:?}");
            let message = envelope["message"].as_str().unwrap_or_default();
            assert!(message.contains("the impossible name"), "{name}: {message}");
            assert!(message.len() < 1000, "{name}: {} bytes", message.len());
        }
    }
}

#[test]
fn listings_without_an_end() {
    let table: [(&str, SftpLie); 3] = [
        ("many names", |r| {
            (r.kind == READDIR).then(|| {
                let entries: Vec<_> = (0..1000)
                    .map(|n| entry(format!("{}-{n}", r.before).as_bytes(), b"", &directory()))
                    .collect();
                names(r.id, &entries)
            })
        }),
        ("long names", |r| {
            (r.kind == READDIR).then(|| {
                let entries: Vec<_> = (0..200)
                    .map(|n| {
                        let name = format!("{}-{n}-{}", r.before, "n".repeat(900));
                        entry(name.as_bytes(), b"", &directory())
                    })
                    .collect();
                names(r.id, &entries)
            })
        }),
        ("long lines", |r| {
            (r.kind == READDIR).then(|| {
                let owner = "o".repeat(100 << 10);
                let name = format!("{}", r.before);
                let line = format!("drwxr-xr-x 1 {owner} {owner} 0 Jan 1 00:00 {name}");
                names(
                    r.id,
                    &[entry(name.as_bytes(), line.as_bytes(), &directory())],
                )
            })
        }),
    ];
    for (name, lie) in table {
        let output = asked(lie, "remote_list_dir", json!({"path": "/d"}));
        let envelope = output.json();
        assert_eq!(envelope["code"], "REMOTE_FAILURE", "{name}: {output:?}");
        let message = envelope["message"].as_str().unwrap_or_default();
        assert!(message.contains("lists more than"), "{name}: {message}");
    }
    // Batches of nothing are the end, not a reason to go on asking.
    let output = asked(
        |r| on(r, READDIR, names(r.id, &[])),
        "remote_list_dir",
        json!({"path": "/d"}),
    );
    assert_eq!(output.status, 0, "{output:?}");
}

#[test]
fn trees_without_an_end() {
    // Every directory holds itself again, under as many names as a walk takes.
    let output = asked(
        |r| {
            (r.kind == READDIR && r.before.is_multiple_of(2)).then(|| {
                let entries: Vec<_> = (0..50)
                    .map(|n| entry(format!("d{n}").as_bytes(), b"", &directory()))
                    .collect();
                names(r.id, &entries)
            })
        },
        "remote_list_dir",
        json!({"path": "/d", "recursive": true, "limit": 10_000}),
    );
    assert_eq!(output.status, 0, "{output:?}");
    let listed = output.json()["data"].to_string();
    assert!(
        listed.contains("cut") || listed.len() < 4 << 20,
        "{} bytes",
        listed.len()
    );
}

#[test]
fn escapes_in_names_owners_and_words() {
    let listed = asked(
        |r| {
            let line = format!("drwxr-xr-x    1 {EVIL} {EVIL} 0 Jan  1 00:00 {EVIL}");
            listing(r, &[entry(EVIL.as_bytes(), line.as_bytes(), &directory())])
        },
        "remote_list_dir",
        json!({"path": "/d"}),
    );
    assert_eq!(listed.status, 0, "{listed:?}");
    // Escaped, and still the very name: it can be asked for again.
    assert!(listed.json().to_string().contains("owned"), "{listed:?}");
    let linked = asked(
        |r| {
            on(r, LSTAT, reply(105, r.id, &[&attributes(0o120_777, 0)])).or_else(|| {
                on(
                    r,
                    READLINK,
                    names(r.id, &[entry(EVIL.as_bytes(), b"", &[0; 4])]),
                )
            })
        },
        "remote_stat",
        json!({"path": "/link"}),
    );
    assert_eq!(linked.status, 0, "{linked:?}");
    for code in [4, 8, 99, u32::MAX] {
        let lie: SftpLie = match code {
            4 => |r| on(r, OPENDIR, status(r.id, 4, EVIL.repeat(5000).as_bytes())),
            8 => |r| on(r, OPENDIR, status(r.id, 8, EVIL.as_bytes())),
            99 => |r| on(r, OPENDIR, status(r.id, 99, EVIL.as_bytes())),
            _ => |r| on(r, OPENDIR, status(r.id, u32::MAX, EVIL.as_bytes())),
        };
        let refused = asked(lie, "remote_list_dir", json!({"path": "/d"}));
        assert_ne!(refused.status, 0, "{code}: {refused:?}");
        assert!(
            refused.stdout.len() < 20_000,
            "{code}: {} bytes",
            refused.stdout.len()
        );
    }
    let read = asked(
        |r| {
            (r.kind == READ && r.before == 0).then(|| reply(103, r.id, &[&string(EVIL.as_bytes())]))
        },
        "remote_read_file",
        json!({"path": "/the/file"}),
    );
    assert!(read.status == 0 || !read.code().is_empty(), "{read:?}");
}

#[test]
fn attributes_beyond_belief() {
    let output = asked(
        |r| {
            let mut absurd = 0x0f_u32.to_be_bytes().to_vec();
            absurd.extend([0xff; 8 + 5 * 4]);
            on(r, LSTAT, reply(105, r.id, &[&absurd]))
        },
        "remote_stat",
        json!({"path": "/the/file"}),
    );
    assert_eq!(output.status, 0, "{output:?}");
    assert_eq!(output.json()["data"]["mode"], "7777", "{output:?}");
    // A file that says it is nothing and never ends.
    let output = asked(
        |r| {
            on(r, FSTAT, reply(105, r.id, &[&attributes(0o100_644, 0)]))
                .or_else(|| on(r, READ, reply(103, r.id, &[&string(&[b'x'; 200 << 10])])))
        },
        "remote_write_file",
        json!({"path": "/the/file", "content": "ours"}),
    );
    assert_eq!(output.code(), "TOO_LARGE", "{output:?}");
}

#[test]
fn canonical_names_that_are_not() {
    let table: [(&str, SftpLie); 7] = [
        ("relative", |r| {
            on(
                r,
                REALPATH,
                names(r.id, &[entry(b"etc/shadow", b"", &[0; 4])]),
            )
        }),
        ("empty", |r| {
            on(r, REALPATH, names(r.id, &[entry(b"", b"", &[0; 4])]))
        }),
        ("none", |r| on(r, REALPATH, names(r.id, &[]))),
        ("NUL", |r| {
            on(r, REALPATH, names(r.id, &[entry(b"/a\0b", b"", &[0; 4])]))
        }),
        ("dots", |r| {
            on(
                r,
                REALPATH,
                names(r.id, &[entry(b"/srv/../etc/shadow", b"", &[0; 4])]),
            )
        }),
        ("long", |r| {
            let name = [b"/".as_slice(), &[b'n'; 200 << 10]].concat();
            on(r, REALPATH, names(r.id, &[entry(&name, b"", &[0; 4])]))
        }),
        ("in circles", |r| {
            let next = format!("/circle/{}/file", r.before);
            on(
                r,
                REALPATH,
                names(r.id, &[entry(next.as_bytes(), b"", &[0; 4])]),
            )
        }),
    ];
    for (name, lie) in table {
        let output = asked(
            lie,
            "remote_write_file",
            json!({"path": "/the/file", "content": "ours"}),
        );
        assert_ne!(output.status, 0, "{name}: {output:?}");
        assert_ne!(output.code(), "OUTCOME_UNKNOWN", "{name}: {output:?}");
        assert!(
            output.stdout.len() < 4000,
            "{name}: {} bytes",
            output.stdout.len()
        );
    }
    // A name with escapes is a name: judged, shown escaped, and read.
    let evil: SftpLie = |r| {
        let name = format!("/{EVIL}/file");
        on(
            r,
            REALPATH,
            names(r.id, &[entry(name.as_bytes(), b"", &[0; 4])]),
        )
    };
    let read = asked(evil, "remote_read_file", json!({"path": "/the/file"}));
    assert!(read.json().is_object(), "{read:?}");
    // What resolves to a secret is asked about, whatever it was called.
    let secret: SftpLie = |r| {
        on(
            r,
            REALPATH,
            names(r.id, &[entry(b"/etc/shadow", b"", &[0; 4])]),
        )
    };
    let liar = Liar::start(Behaviour {
        files: Some(secret),
        ..Behaviour::default()
    });
    let victim = Victim::of(liar.port(), Some(liar.host_key()));
    let arguments = json!({"server": "liar", "path": "/the/file"});
    let asked = victim.cli.call("remote_read_file", &arguments, &[]);
    assert_eq!(asked.code(), "APPROVAL_REQUIRED", "{asked:?}");
}

#[test]
fn handles_as_long_as_they_like() {
    let output = asked(
        |r| on(r, OPEN, reply(102, r.id, &[&string(&[0x1b; 100 << 10])])),
        "remote_read_file",
        json!({"path": "/the/file"}),
    );
    assert!(output.json().is_object(), "{output:?}");
    let output = asked(
        |r| on(r, STAT, reply(105, r.id, &[&attributes(0o010_600, 0)])),
        "remote_read_file",
        json!({"path": "/the/file"}),
    );
    assert_eq!(output.code(), "NOT_A_FILE", "{output:?}");
}
