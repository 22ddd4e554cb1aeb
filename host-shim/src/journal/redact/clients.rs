//! Where known programs take a secret on their command line.
//!
//! A table of facts from the manuals of the programs, whose other half, the programs
//! that set a machine up, is `clients_system`; how it is applied is the
//! business of `command`. Options whose name says it (`--password`, `--token`)
//! need no entry.
//!
//! Invariant: an entry says where a secret stands and nothing about what runs. A
//! program that takes none on its command line is left out.

/// How an option takes its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Only in the same word; on its own it has no value.
    Attached,
    /// Only in the next word.
    Next,
    /// In the same word or in the next.
    Either,
}

/// Which part of a value is secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it.
    Whole,
    /// What follows the first of these characters; nothing where it is missing.
    After(char),
    /// What stands between the first slash and the last `@`, as in a
    /// connect string of Oracle.
    Connect,
    /// What follows the last of these characters; nothing where it is missing.
    Last(char),
}

/// An option with a secret value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flag {
    pub(super) name: &'static str,
    pub(super) form: Form,
    pub(super) part: Part,
}

/// An operand that is secret.
#[derive(Debug, Clone, Copy)]
pub(super) enum Spot {
    /// The operand with this number, counted from 1, in this part.
    Operand(usize, Part),
    /// The operand so many places after this word.
    After(&'static str, usize),
    /// The value of every `name=value` operand after this word.
    Assigned(&'static str),
    /// The value after a name that announces a secret, anywhere after this word, or
    /// anywhere at all.
    Named(&'static str),
    /// The operand after this word, where it is not of the form `name=value`.
    Token(&'static str),
    /// What follows this sign at the beginning of an operand after this word.
    Begins(&'static str, char),
    /// The last operand, where this short option was given.
    LastWith(char),
    /// The operands after this word, from this number on, without those that are a
    /// drive, a share, a switch (`/user:bob`) or a verb of Windows' `net`.
    Bare(&'static str, usize),
}

/// A program and where it takes secrets.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) names: &'static [&'static str],
    /// One of these operands must be present; empty means none is needed.
    pub(super) needs: &'static [&'static str],
    /// Short options without a value that may be written together with one
    /// that has a value.
    pub(super) cluster: &'static str,
    pub(super) flags: &'static [Flag],
    pub(super) spots: &'static [Spot],
    /// Options whose value is the next word and no operand.
    pub(super) values: &'static [&'static str],
    /// Whether its options end at the first operand.
    pub(super) ends_at_operand: bool,
}

pub(super) const fn flag(name: &'static str, form: Form, part: Part) -> Flag {
    Flag { name, form, part }
}

pub(super) const PLAIN: Client = Client {
    names: &[],
    needs: &[],
    cluster: "",
    flags: &[],
    spots: &[],
    values: &[],
    ends_at_operand: false,
};

use super::clients_system::SYSTEM;
use Form::{Attached, Either, Next};
use Part::{After, Connect, Last, Whole};

/// Every program that is known.
pub(super) fn clients() -> impl Iterator<Item = &'static Client> {
    CLIENTS.iter().chain(SYSTEM)
}

/// Programs of databases, registries, clouds and the web.
#[rustfmt::skip]
const CLIENTS: &[Client] = &[
    Client {
        names: &[
            "mysql", "mysqldump", "mysqladmin", "mysqlimport", "mysqlshow", "mysqlcheck",
            "mysqlsh", "mysqlslap", "mysqlbinlog", "mysqlpump", "mariadb", "mariadb-dump",
            "mariadb-admin", "mariadb-import", "mariadb-check", "mariadb-show", "mycli",
            "xtrabackup", "mariabackup", "innobackupex",
        ],
        flags: &[flag("-p", Attached, Whole)],
        spots: &[Spot::After("password", 1)],
        ..PLAIN
    },
    Client {
        names: &["sshpass"],
        flags: &[flag("-p", Either, Whole)],
        ends_at_operand: true,
        ..PLAIN
    },
    Client {
        names: &["redis-cli", "valkey-cli", "keydb-cli"],
        flags: &[flag("-a", Next, Whole)],
        spots: &[
            Spot::After("auth", 1), Spot::After("auth", 2), Spot::After("requirepass", 1),
            Spot::After("masterauth", 1), Spot::After("auth2", 2), Spot::After("auth-pass", 1),
            Spot::After("sentinel-pass", 1), Spot::After("tls-key-file-pass", 1),
            Spot::Begins("setuser", '>'), Spot::Begins("setuser", '<'),
            Spot::Begins("setuser", '#'),
        ],
        ..PLAIN
    },
    Client {
        names: &[
            "mongosh", "mongo", "mongodump", "mongorestore", "mongoexport", "mongoimport",
            "mongostat", "mongotop", "mongofiles", "cqlsh", "cypher-shell", "couchbase-cli",
            "beeline", "clickhouse-client", "rdesktop", "ncftp", "ncftpget", "ncftpput",
        ],
        flags: &[flag("-p", Either, Whole)],
        ..PLAIN
    },
    Client {
        names: &["curl"],
        cluster: "sSkLfgivIOJNnqpRG#0123456aBjlZ",
        flags: &[
            flag("-u", Either, After(':')), flag("-U", Either, After(':')),
            flag("--user", Either, After(':')), flag("--proxy-user", Either, After(':')),
            flag("-E", Either, After(':')), flag("--cert", Either, After(':')),
            flag("--oauth2-bearer", Either, Whole), flag("-b", Either, After('=')),
        ],
        ..PLAIN
    },
    Client {
        names: &["http", "https", "xh", "xhs"],
        flags: &[flag("-a", Either, After(':')), flag("--auth", Either, After(':'))],
        ..PLAIN
    },
    Client {
        names: &["docker", "podman", "nerdctl", "buildah", "helm", "oras", "crane", "regctl", "oc"],
        needs: &["login"],
        flags: &[flag("-p", Either, Whole)],
        ..PLAIN
    },
    Client {
        names: &["skopeo", "buildah", "podman"],
        flags: &[
            flag("--creds", Either, After(':')), flag("--src-creds", Either, After(':')),
            flag("--dest-creds", Either, After(':')),
        ],
        ..PLAIN
    },
    Client {
        names: &["az"],
        needs: &["login", "sql", "mysql", "postgres"],
        flags: &[flag("-p", Either, Whole)],
        ..PLAIN
    },
    Client {
        names: &["az"],
        needs: &["secret"],
        flags: &[flag("--value", Either, Whole)],
        ..PLAIN
    },
    Client {
        names: &["aws"],
        needs: &["ssm", "secretsmanager"],
        flags: &[flag("--value", Either, Whole)],
        ..PLAIN
    },
    Client {
        names: &["ab"],
        flags: &[flag("-A", Either, After(':')), flag("-P", Either, After(':'))],
        ..PLAIN
    },
    Client {
        names: &["nsupdate", "dig", "delv"],
        flags: &[flag("-y", Either, Last(':'))],
        ..PLAIN
    },
    Client {
        names: &["rabbitmqadmin", "evil-winrm", "nxc", "netexec", "crackmapexec"],
        flags: &[flag("-p", Either, Whole)],
        ..PLAIN
    },
    Client {
        names: &["pdftk"],
        spots: &[Spot::After("user_pw", 1), Spot::After("owner_pw", 1), Spot::After("input_pw", 1)],
        ..PLAIN
    },
    Client {
        names: &["cmdkey"],
        flags: &[flag("/pass:", Attached, Whole)],
        ..PLAIN
    },
    Client {
        names: &["sqlcmd", "bcp", "isql", "tsql", "mssql-cli", "osql"],
        flags: &[flag("-P", Either, Whole)],
        ..PLAIN
    },
    Client {
        names: &[
            "mosquitto_pub", "mosquitto_sub", "mosquitto_rr", "zip", "unzip",
            "zipcloak",
        ],
        flags: &[flag("-P", Either, Whole)],
        ..PLAIN
    },
    Client {
        names: &["7z", "7za", "7zr", "rar", "unrar"],
        flags: &[flag("-p", Attached, Whole), flag("-hp", Attached, Whole)],
        ..PLAIN
    },
    Client {
        names: &[
            "ldapsearch", "ldapmodify", "ldapadd", "ldapdelete", "ldapwhoami", "ldapmodrdn",
            "ldapcompare", "ldapexop",
        ],
        flags: &[flag("-w", Either, Whole)],
        ..PLAIN
    },
    Client {
        names: &["ldappasswd"],
        flags: &[flag("-w", Either, Whole), flag("-s", Either, Whole), flag("-a", Either, Whole)],
        ..PLAIN
    },
    Client {
        names: &[
            "smbclient", "rpcclient", "smbget", "smbcacls", "nmblookup", "smbtree", "smbcquotas",
            "smbtar", "smbspool", "samba-tool", "wbinfo", "winexe", "sharesec",
        ],
        flags: &[flag("-U", Either, After('%')), flag("--user", Either, After('%'))],
        ..PLAIN
    },
    Client {
        names: &["net"],
        flags: &[flag("-U", Either, After('%'))],
        spots: &[Spot::Bare("user", 2), Spot::Bare("use", 1)],
        ..PLAIN
    },
    Client {
        names: &["lftp"],
        flags: &[flag("-u", Either, After(','))],
        ..PLAIN
    },
    Client {
        names: &["xfreerdp", "wlfreerdp"],
        flags: &[flag("/p:", Attached, Whole)],
        ..PLAIN
    },
    Client {
        names: &["sqlplus", "sqlldr", "exp", "imp", "expdp", "impdp", "rman"],
        spots: &[Spot::Operand(1, Connect), Spot::Operand(2, Connect)],
        ..PLAIN
    },
    Client {
        names: &["rabbitmqctl"],
        spots: &[
            Spot::After("add_user", 2), Spot::After("change_password", 2),
            Spot::After("authenticate_user", 2),
        ],
        ..PLAIN
    },
    Client {
        names: &["vault", "bao"],
        spots: &[
            Spot::Token("login"), Spot::Assigned("put"), Spot::Assigned("patch"),
            Spot::Assigned("write"),
        ],
        values: &["-method", "-path", "-address", "-namespace", "-ns", "-mount", "-format", "-field"],
        ..PLAIN
    },
    Client {
        names: &["mc", "mcli"],
        spots: &[Spot::After("set", 4)],
        ..PLAIN
    },
    Client {
        names: &["etcdctl"],
        flags: &[flag("--user", Either, After(':'))],
        ..PLAIN
    },
    Client {
        names: &["kubectl", "oc", "k3s", "microk8s"],
        flags: &[flag("--from-literal", Either, After('='))],
        ..PLAIN
    },
    Client {
        names: &["gh", "glab"],
        needs: &["secret", "variable"],
        flags: &[flag("-b", Either, Whole), flag("--body", Either, Whole)],
        ..PLAIN
    },
    Client {
        names: &[
            "git", "npm", "yarn", "pnpm", "pip", "pip3", "composer", "aws", "gcloud", "wp",
            "poetry", "drush", "gh", "flyctl", "fly",
        ],
        spots: &[Spot::Named("config"), Spot::Named("configure"), Spot::Named("set")],
        ..PLAIN
    },
    Client {
        names: &["poetry", "composer"],
        needs: &["config"],
        spots: &[Spot::Operand(4, Whole)],
        ..PLAIN
    },
    Client {
        names: &["samba-tool"],
        needs: &["user"],
        // Options whose values are no operands.
        flags: &[
            flag("-U", Either, After('%')), flag("-H", Either, After('%')),
            flag("-s", Either, After('%')), flag("-W", Either, After('%')),
        ],
        spots: &[Spot::After("create", 2), Spot::After("add", 2)],
        ..PLAIN
    },
    Client {
        names: &["elasticsearch-users"],
        flags: &[flag("-p", Either, Whole)],
        ..PLAIN
    },
    Client {
        names: &["neo4j-admin"],
        spots: &[Spot::After("set-initial-password", 1)],
        ..PLAIN
    },
    Client {
        names: &["grafana-cli", "grafana", "grafana-server"],
        spots: &[Spot::After("reset-admin-password", 1)],
        ..PLAIN
    },
    Client {
        names: &["rclone"],
        spots: &[
            Spot::Named("create"), Spot::Named("update"), Spot::Named("password"),
            Spot::After("obscure", 1),
        ],
        ..PLAIN
    },
    Client {
        // Its first version took `-token`.
        names: &["influx"],
        flags: &[flag("-t", Next, Whole)],
        ..PLAIN
    },
    Client {
        names: &["cloudflared"],
        spots: &[Spot::After("install", 1)],
        ..PLAIN
    },
    Client {
        names: &["twine"],
        needs: &["upload"],
        flags: &[flag("-p", Either, Whole)],
        ..PLAIN
    },
    Client {
        names: &["consul"],
        needs: &["kv"],
        spots: &[Spot::After("put", 2)],
        ..PLAIN
    },
    Client {
        names: &["caddy"],
        needs: &["hash-password"],
        flags: &[flag("-p", Either, Whole), flag("--plaintext", Either, Whole)],
        ..PLAIN
    },
    // No secrets of their own, but their options must not be taken for those of
    // a program named before them.
    Client {
        names: &[
            "psql", "pg_dump", "pg_restore", "pg_dumpall", "pg_isready", "createdb", "dropdb",
            "ssh", "scp", "sftp", "rsync", "bash", "sh", "dash", "zsh", "cat", "ls", "grep", "ps",
            "python", "python3", "node", "ruby", "perl", "php", "tail", "head", "mkdir", "cp", "sed",
        ],
        ..PLAIN
    },
];

/// Programs that run the program named after them.
#[rustfmt::skip]
pub(super) const WRAPPERS: &[&str] = &[
    "sudo", "doas", "su", "runuser", "env", "nohup", "time", "exec", "command", "nice", "ionice",
    "timeout", "watch", "docker", "podman", "nerdctl", "kubectl", "oc", "ssh", "lxc", "chroot",
    "systemd-run", "setsid", "stdbuf", "strace", "flock", "proxychains", "nsenter", "ip",
    "docker-compose", "compose", "sshpass", "busybox", "winpty", "unshare", "taskset", "script",
    "xargs", "builtin",
];

/// Words of the shell that stand before a command.
#[rustfmt::skip]
pub(super) const KEYWORDS: &[&str] = &[
    "if", "then", "else", "elif", "do", "while", "until", "!", "{", "}", "case", "in", "time",
];

/// Programs that take the name of a secret, not the secret, with `--secret`
/// or `--token`.
#[rustfmt::skip]
pub(super) const NAMES_SECRETS: &[&str] = &[
    "docker", "podman", "nerdctl", "buildah", "buildctl", "gcloud", "docker-compose",
];
