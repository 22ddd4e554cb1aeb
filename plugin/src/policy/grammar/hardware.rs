//! Commands that describe hardware and disks; what is mounted on them is in `mounts`.
//!
//! Invariant: an operand is a device to be described and never one to be written;
//! what sets something is refused. Names of devices are not checked for being
//! there.

use super::spec::{Command, Kind, Operands, Refusal, Style, examples, refused};

pub(super) const COMMANDS: &[Command] = &[
    Command {
        names: &["lscpu", "lsmem"],
        does: "describes processors or memory",
        flags: "abBchJPrxynV",
        long: "\
            --all --bytes --online --offline --json --hex --physical --raw --noheadings \
            --output-all --help --version",
        values: &[("-o", Kind::Name), ("--output", Kind::Name)],
        optional: &[
            ("--summary", Kind::Name),
            ("-e", Kind::Name),
            ("-p", Kind::Name),
            ("-C", Kind::Name),
            ("--extended", Kind::Name),
            ("--parse", Kind::Name),
            ("--caches", Kind::Name),
        ],
        refused: &[
            refused("-s", "root", "reads another system tree"),
            refused("--sysroot", "root", "reads another system tree"),
        ],
        allowed: examples![
            "lscpu",
            "lscpu -e",
            "lscpu -e=CPU,CORE",
            "lscpu --json",
            "lsmem -a"
        ],
        asks: examples!["lscpu -s /srv"],
        ..Command::BARE
    },
    Command {
        names: &["lspci"],
        does: "lists PCI devices",
        flags: "bDkmnPtv",
        values: &[("-s", Kind::Name), ("-d", Kind::Name)],
        refused: &[
            refused(
                "-x",
                "registers",
                "reads registers, which can upset hardware",
            ),
            refused("-q", "network", "asks a server on the network"),
            refused("-Q", "network", "asks a server on the network"),
            refused("-M", "scan", "probes the bus, which can hang the machine"),
            refused("-H", "scan", "accesses hardware directly"),
            refused("-i", "content", "reads another file"),
            refused("-p", "content", "reads another file"),
            refused("-F", "content", "reads another file"),
        ],
        allowed: examples!["lspci", "lspci -nnk", "lspci -vv -s 00:1f.2", "lspci -tv"],
        asks: examples!["lspci -xxx", "lspci -q", "lspci -i /etc/shadow", "lspci -M"],
        ..Command::BARE
    },
    Command {
        names: &["lsusb"],
        does: "lists USB devices",
        flags: "tvV",
        values: &[("-s", Kind::Name), ("-d", Kind::Name)],
        refused: &[refused("-D", "content", "reads another file")],
        allowed: examples!["lsusb", "lsusb -t", "lsusb -v -d 1d6b:"],
        asks: examples!["lsusb -D /dev/x"],
        ..Command::BARE
    },
    Command {
        names: &["lshw"],
        does: "lists hardware",
        style: Style::WholeWords,
        long: "-short -businfo -json -xml -html -quiet -sanitize -numeric -version",
        values: &[
            ("-C", Kind::Name),
            ("-c", Kind::Name),
            ("-class", Kind::Name),
            ("-disable", Kind::Name),
            ("-enable", Kind::Name),
        ],
        refused: &[
            refused("-dump", "output", "writes a file"),
            refused("-X", "display", "opens a window"),
        ],
        allowed: examples![
            "lshw -short",
            "lshw -class disk -sanitize",
            "lshw -C network",
        ],
        asks: examples!["lshw -dump /srv/x", "lshw -X"],
        ..Command::BARE
    },
    Command {
        names: &["dmidecode"],
        does: "describes the hardware's firmware tables",
        flags: "qhV",
        long: "--quiet --help --version",
        values: &[
            ("-t", Kind::Name),
            ("--type", Kind::Name),
            ("-s", Kind::Name),
            ("--string", Kind::Name),
        ],
        refused: &[
            refused("--dump-bin", "output", "writes a file"),
            refused("--from-dump", "content", "reads another file"),
            refused("-d", "content", "reads another device"),
        ],
        allowed: examples!["dmidecode -t memory", "dmidecode -s system-product-name"],
        asks: examples!["dmidecode --dump-bin /srv/x", "dmidecode -d /dev/sda"],
        ..Command::BARE
    },
    Command {
        names: &["lsmod"],
        does: "lists kernel modules",
        allowed: examples!["lsmod"],
        asks: examples!["lsmod x"],
        ..Command::BARE
    },
    Command {
        names: &["modinfo"],
        does: "describes a kernel module",
        flags: "0adlnpV",
        long: "--author --description --license --parameters --filename --null --help --version",
        values: &[
            ("-F", Kind::Name),
            ("--field", Kind::Name),
            ("-k", Kind::Name),
            ("--set-version", Kind::Name),
        ],
        refused: &[
            refused("-b", "root", "reads another tree"),
            refused("--basedir", "root", "reads another tree"),
        ],
        operands: Operands::Any(Kind::Names),
        allowed: examples!["modinfo ext4", "modinfo -F version ixgbe"],
        asks: examples!["modinfo -b /srv x"],
        ..Command::BARE
    },
    Command {
        names: &["pvs", "vgs", "lvs", "pvdisplay", "vgdisplay", "lvdisplay"],
        does: "shows LVM volumes",
        flags: "acmvC",
        long: "--noheadings --all --nosuffix --segments --version",
        values: &[
            ("-o", Kind::Name),
            ("--options", Kind::Name),
            ("--units", Kind::Name),
            ("-O", Kind::Name),
            ("--separator", Kind::Text),
        ],
        refused: &[
            refused("--config", "config", "replaces the configuration"),
            refused("-S", "form", "is not known to only look"),
        ],
        operands: Operands::Any(Kind::Name),
        allowed: examples![
            "pvs",
            "lvs -a -o lv_name,lv_size",
            "vgdisplay vg0",
            "vgs --units g --noheadings",
        ],
        asks: examples!["lvs --config x"],
        ..Command::BARE
    },
    Command {
        names: &["numactl"],
        does: "describes memory nodes",
        flags: "Hs",
        long: "--hardware --show",
        allowed: examples!["numactl --hardware", "numactl -s"],
        asks: examples!["numactl -N 0 id", "numactl id"],
        ..Command::BARE
    },
    Command {
        names: &["hwclock"],
        does: "shows the hardware clock",
        flags: "rv",
        long: "--show --get --verbose --utc --version",
        check: Some(|parsed| {
            let shows = parsed.has(&["-r", "--show", "--get", "--version"]);
            // Without any option it shows the clock as well.
            (!shows && !parsed.options.is_empty())
                .then(|| Refusal::new("form", "only `hwclock --show` is known to only look"))
        }),
        allowed: examples!["hwclock -r", "hwclock --show --utc"],
        asks: examples![
            "hwclock -w",
            "hwclock --systohc",
            "hwclock --set --date=x",
            "hwclock -rw",
        ],
        ..Command::BARE
    },
    Command {
        names: &["smartctl"],
        does: "shows the health of a disk",
        flags: "aHiAcx",
        long: "--all --health --info --attributes --capabilities --xall --scan --version",
        values: &[
            ("-l", Kind::OneOf(&["error", "selftest"])),
            ("-d", Kind::Name),
        ],
        refused: &[
            refused("-t", "test", "starts a test"),
            refused("-s", "set", "changes the setting"),
            refused("-o", "set", "changes the setting"),
            refused("-S", "set", "changes the setting"),
            refused("-X", "test", "ends a test"),
        ],
        operands: Operands::Any(Kind::Names),
        allowed: examples![
            "smartctl -H /dev/sda",
            "smartctl -a /dev/nvme0",
            "smartctl --scan",
        ],
        asks: examples!["smartctl -t short /dev/sda", "smartctl -s on /dev/sda"],
        ..Command::BARE
    },
    Command {
        names: &["numastat"],
        does: "shows memory by node",
        flags: "cmnvz",
        values: &[("-p", Kind::Name)],
        operands: Operands::Any(Kind::Name),
        allowed: examples!["numastat", "numastat -m", "numastat -p 1"],
        asks: examples!["numastat -x"],
        ..Command::BARE
    },
    Command {
        names: &["nvidia-smi"],
        does: "shows graphics cards",
        style: Style::WholeWords,
        long: "-L -q --list-gpus --query --version -h --help",
        values: &[
            ("-i", Kind::Name),
            ("--id", Kind::Name),
            ("-d", Kind::Name),
            ("--display", Kind::Name),
            ("--query-gpu", Kind::Name),
            ("--query-compute-apps", Kind::Name),
            ("--format", Kind::Name),
        ],
        refused: &[
            refused("-f", "output", "writes a file"),
            refused("--filename", "output", "writes a file"),
            refused("-l", "endless", "repeats for ever"),
            refused("-lms", "endless", "repeats for ever"),
            refused("-r", "reset", "resets a card"),
            refused("-pm", "set", "changes the setting"),
            refused("-pl", "set", "changes the setting"),
        ],
        allowed: examples![
            "nvidia-smi",
            "nvidia-smi -L",
            "nvidia-smi -q -d MEMORY",
            "nvidia-smi --query-gpu=name,memory.used --format=csv",
        ],
        asks: examples![
            "nvidia-smi -f x",
            "nvidia-smi -pm 1",
            "nvidia-smi -r",
            "nvidia-smi -l 1"
        ],
        ..Command::BARE
    },
    Command {
        names: &["sensors"],
        does: "shows temperatures and fans",
        flags: "fuAjv",
        operands: Operands::Any(Kind::Name),
        refused: &[
            refused("-s", "set", "changes the limits"),
            refused("-c", "config", "reads another configuration"),
        ],
        allowed: examples!["sensors", "sensors -u"],
        asks: examples!["sensors -s", "sensors -c /etc/shadow"],
        ..Command::BARE
    },
    Command {
        names: &["ipmitool"],
        does: "asks the management controller of this machine",
        operands: Operands::Phrases(&[
            "sensor|sdr|fru|sel",
            "sensor|sdr|sel list",
            "sdr|sel elist",
            "sdr type *",
            "sel info|time",
            "chassis|power status",
            "mc|bmc info",
            "fru print",
        ]),
        refused: &[
            refused("-H", "remote", "connects to another machine"),
            refused("-I", "remote", "connects to another machine"),
        ],
        allowed: examples![
            "ipmitool sensor list",
            "ipmitool sel elist",
            "ipmitool chassis status"
        ],
        asks: examples![
            "ipmitool power off",
            "ipmitool -H x sel list",
            "ipmitool sel clear",
            "ipmitool user list",
            "ipmitool sel time set now",
        ],
        ..Command::BARE
    },
    Command {
        names: &["cpupower"],
        does: "describes processors",
        operands: Operands::Phrases(&["frequency-info|idle-info|info"]),
        allowed: examples!["cpupower frequency-info"],
        asks: examples!["cpupower frequency-set -g performance", "cpupower monitor"],
        ..Command::BARE
    },
    Command {
        names: &["efibootmgr"],
        does: "lists boot entries",
        flags: "vu",
        long: "--verbose --unicode",
        allowed: examples!["efibootmgr", "efibootmgr -v"],
        asks: examples!["efibootmgr -o 0001", "efibootmgr -b 1 -B", "efibootmgr -c"],
        ..Command::BARE
    },
];
