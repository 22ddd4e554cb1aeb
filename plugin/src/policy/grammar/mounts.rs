//! Commands that show file systems, where they are mounted, and their quotas.
//!
//! Invariant: the forms that mount, switch on or set up a device are refused,
//! whatever their operand is called. Nothing is said of what lies below a mount.

use super::spec::{Command, Kind, Operands, examples, refused};

pub(super) const COMMANDS: &[Command] = &[
    Command {
        names: &["lsblk"],
        does: "lists block devices",
        flags: "aAbdDfilJmMnNOpPrsStTvyzhV",
        long: "\
            --all --bytes --nodeps --discard --fs --ascii --list --json --perms --merge \
            --noheadings --output-all --paths --pairs --raw --inverse --scsi --tree --topology \
            --zoned --noempty --nvme --virtio --shell --help --version",
        values: &[
            ("-o", Kind::Name),
            ("--output", Kind::Name),
            ("-e", Kind::Name),
            ("--exclude", Kind::Name),
            ("-I", Kind::Name),
            ("--include", Kind::Name),
            ("-x", Kind::Name),
            ("--sort", Kind::Name),
            ("-E", Kind::Name),
            ("--dedup", Kind::Name),
            ("-w", Kind::Number),
            ("--width", Kind::Number),
        ],
        refused: &[refused("--sysroot", "root", "reads another system tree")],
        operands: Operands::Any(Kind::Names),
        allowed: examples![
            "lsblk",
            "lsblk -o NAME,UUID",
            "lsblk -f /dev/sda",
            "lsblk -dno SIZE",
            "lsblk --json -b",
        ],
        asks: examples!["lsblk --sysroot /x"],
        ..Command::BARE
    },
    Command {
        names: &["blkid"],
        does: "lists file systems",
        flags: "klphV",
        values: &[
            ("-o", Kind::Name),
            ("-s", Kind::Name),
            ("-t", Kind::Name),
            ("-L", Kind::Name),
            ("-U", Kind::Name),
            ("-c", Kind::OneOf(&["/dev/null"])),
        ],
        refused: &[
            refused("-c", "cache", "writes a cache file"),
            refused("-g", "cache", "rewrites the cache file"),
        ],
        operands: Operands::Any(Kind::Names),
        allowed: examples![
            "blkid",
            "blkid /dev/sda1",
            "blkid -c /dev/null",
            "blkid -s UUID",
        ],
        asks: examples!["blkid -c /srv/x", "blkid -g"],
        ..Command::BARE
    },
    Command {
        names: &["mount"],
        does: "lists mounted file systems",
        flags: "lhV",
        values: &[("-t", Kind::Name), ("--types", Kind::Name)],
        long: "--show-labels --help --version",
        // With an operand, or `-a`, it mounts.
        allowed: examples!["mount", "mount -l", "mount -t ext4"],
        asks: examples![
            "mount /srv",
            "mount -a",
            "mount -t ext4 /dev/sda1 /srv",
            "mount -o remount,rw /",
        ],
        ..Command::BARE
    },
    Command {
        names: &["findmnt"],
        does: "lists mounted file systems",
        flags: "AaBbCcDdeHhiJklmnPRrSsTtUuvVyx",
        long: "\
            --all --ascii --bytes --canonicalize --df --evaluate --fstab --kernel --list --mtab \
            --noheadings --json --pairs --raw --real --pseudo --submounts --tree --notruncate \
            --uniq --first-only --verify --help --version --nofsroot",
        values: &[
            ("-o", Kind::Name),
            ("--output", Kind::Name),
            ("-t", Kind::Name),
            ("--types", Kind::Name),
            ("-T", Kind::Names),
            ("--target", Kind::Names),
            ("-S", Kind::Names),
            ("--source", Kind::Names),
            ("-O", Kind::Name),
        ],
        refused: &[
            refused("-p", "endless", "waits for changes"),
            refused("--poll", "endless", "waits for changes"),
            refused("-F", "content", "reads another file"),
            refused("--tab-file", "content", "reads another file"),
            refused("-N", "process", "looks into another process"),
        ],
        operands: Operands::UpTo(2, Kind::Names),
        allowed: examples![
            "findmnt",
            "findmnt /srv",
            "findmnt -T /srv/app -o SOURCE,FSTYPE",
            "findmnt -D --real",
        ],
        asks: examples![
            "findmnt --poll",
            "findmnt -F /etc/shadow",
            "findmnt --tab-file=/etc/shadow",
        ],
        ..Command::BARE
    },
    Command {
        names: &["swapon"],
        does: "lists swap areas",
        flags: "s",
        long: "--summary --noheadings --raw --bytes --version",
        optional: &[("--show", Kind::Name)],
        // With an operand, or `-a`, it switches swap on; bare it lists.
        allowed: examples![
            "swapon --show",
            "swapon -s",
            "swapon --show=NAME,SIZE --bytes",
        ],
        asks: examples!["swapon -a", "swapon /dev/sdb", "swapon --show /dev/sdb"],
        ..Command::BARE
    },
    Command {
        names: &["lslocks", "lsns", "ipcs", "zramctl", "losetup"],
        does: "lists resources of the kernel",
        flags: "alqsmpuJnrb",
        long: "--json --noheadings --raw --all --list --human --version",
        values: &[
            ("-t", Kind::Name),
            ("-o", Kind::Name),
            ("--output", Kind::Name),
        ],
        // `losetup` and `zramctl` set a device up when they are given one.
        allowed: examples![
            "lslocks",
            "ipcs -a",
            "losetup -a",
            "losetup --list",
            "lsns -t net",
        ],
        asks: examples![
            "losetup /dev/loop0 x",
            "losetup -f",
            "losetup -d /dev/loop0",
            "zramctl -s 1G /dev/zram0",
        ],
        ..Command::BARE
    },
    Command {
        names: &["quota", "repquota"],
        does: "shows quotas",
        flags: "augsvwp",
        operands: Operands::Any(Kind::Name),
        allowed: examples!["quota", "quota -u deploy", "repquota -a"],
        asks: examples!["quota -x"],
        ..Command::BARE
    },
];
