//! Commands that describe disks, volumes and file systems.
//!
//! Most of these programs also change what they show. Only the verbs and options
//! that show are known, and none that runs a script for every line. Invariant: no
//! key of an encrypted volume is printed, and an interval passes only with a count.
//! Whether a device exists is not asked.

use super::spec::{Command, Kind, Operands, Parsed, Refusal, Style, bounded, examples, refused};

const SCRIPT: &str = "runs a script";

pub(super) const COMMANDS: &[Command] = &[
    Command {
        names: &["sfdisk"],
        does: "lists or prints partitions",
        flags: "lduJV",
        long: "--list --dump --json --verify --version",
        values: &[("-o", Kind::Name), ("--output", Kind::Name)],
        operands: Operands::Any(Kind::Names),
        check: Some(|parsed| {
            let shows = [
                "-l", "--list", "-d", "--dump", "-J", "--json", "-V", "--verify",
            ];
            needs(parsed, &shows, "-l")
        }),
        allowed: examples!["sfdisk -l", "sfdisk -d /dev/sda", "sfdisk -J /dev/sda"],
        asks: examples![
            "sfdisk --delete /dev/sda",
            "sfdisk /dev/sda",
            "sfdisk -f /dev/sda",
            "sfdisk -d --wipe always /dev/sda",
        ],
        ..Command::BARE
    },
    Command {
        names: &["fdisk", "gdisk"],
        does: "lists partitions",
        flags: "lux",
        long: "--list --version",
        values: &[("-o", Kind::Name), ("--output", Kind::Name)],
        operands: Operands::Any(Kind::Names),
        check: Some(|parsed| needs(parsed, &["-l", "--list", "--version"], "-l")),
        allowed: examples!["fdisk -l", "fdisk -l /dev/sda", "gdisk -l /dev/sda"],
        asks: examples!["fdisk /dev/sda", "fdisk -w always /dev/sda"],
        ..Command::BARE
    },
    Command {
        names: &["zfs"],
        does: "shows file systems and their settings",
        flags: "rHp",
        values: &[
            ("-t", Kind::Name),
            ("-o", Kind::Name),
            ("-s", Kind::Name),
            ("-S", Kind::Name),
            ("-d", Kind::Number),
        ],
        operands: Operands::Phrases(&["list ...", "get * ...", "version"]),
        allowed: examples![
            "zfs list",
            "zfs list -t snapshot -o name,used",
            "zfs get all tank",
            "zfs get -r compression tank/data",
        ],
        asks: examples![
            "zfs destroy tank/data",
            "zfs set a=b tank",
            "zfs load-key tank",
            "zfs"
        ],
        ..Command::BARE
    },
    Command {
        names: &["zpool"],
        does: "shows storage pools",
        flags: "HLPpvx",
        values: &[("-o", Kind::Name), ("-T", Kind::OneOf(&["d", "u"]))],
        refused: &[refused("-c", "exec", SCRIPT)],
        operands: Operands::Phrases(&["list|status|iostat ...", "get * ...", "version"]),
        check: Some(bounded_numbers),
        allowed: examples![
            "zpool list -v",
            "zpool status -x",
            "zpool status tank",
            "zpool iostat 1 3",
            "zpool get all tank",
        ],
        asks: examples![
            "zpool status -c upath",
            "zpool scrub tank",
            "zpool iostat 1",
            "zpool status 5",
            "zpool import",
            "zpool clear tank",
        ],
        ..Command::BARE
    },
    Command {
        names: &["btrfs"],
        does: "shows file systems",
        flags: "hbkmgt",
        long: "--version",
        operands: Operands::Phrases(&[
            "",
            "filesystem|fi show|df|usage|du ...",
            "subvolume|sub list|show ...",
            "device|dev stats|usage ...",
            "scrub status *",
            "balance status *",
        ]),
        refused: &[refused("-z", "clear", "clears counters")],
        allowed: examples![
            "btrfs filesystem show",
            "btrfs fi usage /",
            "btrfs device stats /srv"
        ],
        asks: examples![
            "btrfs device stats -z /srv",
            "btrfs subvolume delete /srv/x",
            "btrfs balance start /",
            "btrfs fi resize max /",
        ],
        ..Command::BARE
    },
    Command {
        names: &["mdadm"],
        does: "describes disk arrays",
        flags: "DEQsv",
        long: "--detail --examine --query --scan --verbose --brief --version",
        operands: Operands::Any(Kind::Names),
        check: Some(|parsed| {
            // The first option says what the others mean.
            let modes = [
                "-D",
                "-E",
                "-Q",
                "--detail",
                "--examine",
                "--query",
                "--version",
            ];
            let first = parsed.options.first();
            let shows = first.is_some_and(|(name, _)| modes.iter().any(|mode| name.is(mode)));
            (!shows).then(|| Refusal::new("form", "the first option is not `--detail`"))
        }),
        allowed: examples![
            "mdadm --detail /dev/md0",
            "mdadm --detail --scan",
            "mdadm -D /dev/md0",
            "mdadm -E /dev/sda1",
        ],
        asks: examples![
            "mdadm --stop /dev/md0",
            "mdadm -s",
            "mdadm -D /dev/md0 --fail /dev/sda"
        ],
        ..Command::BARE
    },
    Command {
        names: &["dmsetup"],
        does: "shows mapped devices",
        flags: "c",
        long: "--tree --noheadings --version",
        values: &[("-o", Kind::Name)],
        refused: &[refused(
            "--showkeys",
            "secrets",
            "shows the keys of encrypted disks",
        )],
        // `table` shows keys in old versions.
        operands: Operands::Phrases(&["ls|info|status|deps ...", "version"]),
        allowed: examples!["dmsetup ls --tree", "dmsetup info -c", "dmsetup status"],
        asks: examples![
            "dmsetup table",
            "dmsetup remove x",
            "dmsetup status --showkeys"
        ],
        ..Command::BARE
    },
    Command {
        names: &["pvscan", "lvscan"],
        does: "lists LVM volumes",
        flags: "av",
        refused: &[refused("--cache", "cache", "writes a cache file")],
        allowed: examples!["pvscan", "lvscan -a"],
        asks: examples!["pvscan --cache"],
        ..Command::BARE
    },
    Command {
        names: &["tune2fs", "dumpe2fs"],
        does: "describes an ext file system",
        style: Style::WholeWords,
        long: "-l -h",
        operands: Operands::UpTo(1, Kind::Names),
        check: Some(|parsed| needs(parsed, &["-l", "-h"], "-l")),
        allowed: examples!["tune2fs -l /dev/sda1", "dumpe2fs -h /dev/sda1"],
        asks: examples![
            "tune2fs -c 0 /dev/sda1",
            "tune2fs -lc 0 /dev/sda1",
            "dumpe2fs -i x"
        ],
        ..Command::BARE
    },
    Command {
        names: &["xfs_info"],
        does: "describes an XFS file system",
        operands: Operands::UpTo(1, Kind::Names),
        allowed: examples!["xfs_info /srv"],
        asks: examples!["xfs_info -t x /srv"],
        ..Command::BARE
    },
    Command {
        names: &["hdparm"],
        does: "describes a disk",
        style: Style::WholeWords,
        long: "-I -i -g -C",
        operands: Operands::UpTo(1, Kind::Names),
        check: Some(|parsed| needs(parsed, &["-I", "-i", "-g", "-C"], "-I")),
        allowed: examples!["hdparm -I /dev/sda"],
        asks: examples![
            "hdparm -y /dev/sda",
            "hdparm -Iy /dev/sda",
            "hdparm /dev/sda"
        ],
        ..Command::BARE
    },
    Command {
        names: &["nvme"],
        does: "describes a disk",
        values: &[
            ("-o", Kind::OneOf(&["normal", "json"])),
            ("-n", Kind::Number),
        ],
        operands: Operands::Phrases(&[
            "list|list-subsys",
            "smart-log|id-ctrl|id-ns|error-log|fw-log *",
            "version",
        ]),
        allowed: examples![
            "nvme list",
            "nvme smart-log /dev/nvme0",
            "nvme list -o json"
        ],
        asks: examples![
            "nvme format /dev/nvme0",
            "nvme reset /dev/nvme0",
            "nvme io-passthru x"
        ],
        ..Command::BARE
    },
    Command {
        names: &["multipath"],
        does: "shows paths to disks",
        style: Style::WholeWords,
        long: "-l -ll -t",
        check: Some(|parsed| needs(parsed, &["-l", "-ll", "-t"], "-ll")),
        allowed: examples!["multipath -ll"],
        asks: examples!["multipath", "multipath -F", "multipath -r"],
        ..Command::BARE
    },
    Command {
        names: &["lsscsi"],
        does: "lists disks",
        flags: "sgldLcHtuwb",
        allowed: examples!["lsscsi", "lsscsi -s"],
        asks: examples!["lsscsi -y /srv"],
        ..Command::BARE
    },
];

/// Without one of these the program does something else.
fn needs(parsed: &Parsed<'_>, one_of: &[&str], named: &str) -> Option<Refusal> {
    (!parsed.has(one_of)).then(|| {
        Refusal::new(
            "form",
            format!("without `{named}` it is not known to only look"),
        )
    })
}

/// An interval needs a count.
fn bounded_numbers(parsed: &Parsed<'_>) -> Option<Refusal> {
    let number = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
    let numbers: Vec<&str> = parsed
        .operands
        .iter()
        .map(|word| word.text.as_str())
        .filter(|word| number(word))
        .collect();
    bounded(&numbers)
}
