//! Names that are public although they look like secrets, and what a directory is by
//! its name, as data.
//!
//! Invariant: a name here only takes back what a pattern in [`super::secrets`] covers;
//! it makes nothing readable that the operator calls secret.

/// Files that a pattern of the secrets covers and that are public all the same.
pub(in super::super) const PUBLIC: &[&str] = &[
    ".ssh/*.pub",
    ".ssh/known_hosts",
    ".ssh/known_hosts.old",
    ".ssh/authorized_keys",
    ".ssh/authorized_keys2",
    ".ssh/config",
    "*_key.pub",
    "id_*.pub",
    "*-cert.pub",
    ".env.example",
    ".env.sample",
    ".env.template",
    ".env.dist",
    ".env.defaults",
    "/etc/ssl/certs/**",
    "/etc/pki/tls/certs/**",
    "/etc/pki/ca-trust/**",
    "/etc/ca-certificates/**",
    "/usr/share/ca-certificates/**",
    "/usr/local/share/ca-certificates/**",
    "/usr/lib/python*/**/cacert.pem",
    "live/*/cert.pem",
    "ssl/**/cert.pem",
    "tls/**/cert.pem",
    "certs/**/cert.pem",
    "pki/**/cert.pem",
    "chain.pem",
    "fullchain.pem",
    "cacert.pem",
    "ca.pem",
    "ca-bundle.pem",
    "ca-cert.pem",
    "*-cert.pem",
    "dhparam.pem",
    "dhparams.pem",
    "/etc/pam.d/*",
    "/etc/grafana/provisioning/**",
    "/etc/security/*.conf",
    "/etc/passwd",
    "/etc/passwd-",
    "/etc/passwd.bak",
    "/var/backups/passwd.bak",
    "/mnt/etc/passwd",
    "/sysroot/etc/passwd",
    "/host/etc/passwd",
    "/usr/bin/*",
    "/usr/sbin/*",
    "/bin/*",
    "/sbin/*",
    "/usr/share/doc/**",
    "/usr/share/man/**",
    "/usr/share/bash-completion/**",
    "/usr/share/zoneinfo/**",
    "/usr/include/**",
    "/usr/src/**",
    "/var/lib/docker/containers/*/*-json.log",
    "/var/lib/docker/containers/*/*-json.log.*",
    "/etc/kubernetes/kubelet.conf.d",
    "/sys/kernel/**",
    "/sys/class/**",
    "/sys/devices/**",
    "/sys/module/**",
    "/proc/**",
];

/// Trees that hold no secrets by convention: they may be searched as a whole, and
/// a glob in them is taken to mean what it says.
pub(in super::super) const PUBLIC_TREES: &[&str] = &[
    "/var/log",
    "/usr/share",
    "/usr/lib",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/include",
    "/usr/src",
    "/usr/bin",
    "/usr/sbin",
    "/lib",
    "/lib64",
    "/bin",
    "/sbin",
    "/boot",
    "/lib/systemd",
    "/etc/alternatives",
    "/etc/apache2/conf-available",
    "/etc/apache2/conf-enabled",
    "/etc/apache2/mods-available",
    "/etc/apache2/mods-enabled",
    "/etc/apparmor.d",
    "/etc/apt/apt.conf.d",
    "/etc/apt/preferences.d",
    "/etc/apt/sources.list.d",
    "/etc/bash_completion.d",
    "/etc/binfmt.d",
    "/etc/cron.d",
    "/etc/cron.daily",
    "/etc/cron.hourly",
    "/etc/cron.monthly",
    "/etc/cron.weekly",
    "/etc/dbus-1",
    "/etc/default",
    "/etc/dpkg",
    "/etc/fail2ban",
    "/etc/fonts",
    "/etc/grub.d",
    "/etc/init",
    "/etc/init.d",
    "/etc/iproute2",
    "/etc/kernel",
    "/etc/ld.so.conf.d",
    "/etc/logrotate.d",
    "/etc/modprobe.d",
    "/etc/modules-load.d",
    "/etc/network",
    "/etc/pam.d",
    "/etc/profile.d",
    "/etc/rc[0-9S].d",
    "/etc/rsyslog.d",
    "/etc/security/limits.d",
    "/etc/selinux",
    "/etc/skel",
    "/etc/sysctl.d",
    "/etc/systemd",
    "/etc/tmpfiles.d",
    "/etc/udev",
    "/etc/update-motd.d",
    "/etc/xdg",
    "/etc/yum.repos.d",
    "/run/systemd/generator",
    "/run/systemd/system",
    "/run/systemd/units",
    // Conventional names of such trees within an application.
    "log",
    "logs",
    "conf.d",
    "sites-available",
    "sites-enabled",
    "snippets",
    "src",
    "doc",
    "docs",
    "templates",
    "static",
    "locale",
    "migrations",
    "node_modules",
    "site-packages",
];

/// Directories whose owners keep secrets right below them.
pub(super) const HOMES: &str = "/root /home/* /Users/* /var/lib/* /var/www /run/user/*";

/// Directories right below the root where another system's root is mounted.
pub(super) const ROOTS: &str = "\
    chroot container host hostfs hostroot media mnt newroot oldroot rootfs snapshot sysroot target";

/// First components of a system's root.
pub(super) const TOPS: &str = "boot dev etc home proc root run sys usr var";

/// Suffixes of program text and logs: a search limited to them is not after secrets.
pub(super) const SOURCES: &str = "\
    c cc cpp css go h hpp html java js jsx log md py rb rs rst scss service sh timer ts tsx vue";

/// Further suffixes of plain text, for patterns whose names are judged one by one.
pub(super) const TEXTS: &str = "cfg cnf conf csv err ini list out txt";

/// Suffixes of settings, which are files but may hold passwords.
pub(super) const SETTINGS: &str = "\
    crt json local php properties pub repo rules socket sql toml xml yaml yml";

/// Files right below `/etc` whose names have no suffix.
pub(super) const ETC_FILES: &str = "\
    adjtime aliases bashrc crontab crypttab debian_version environment ethers exports filesystems \
    fstab group group- host.conf hostname hosts hosts.allow hosts.deny inittab inputrc issue \
    issue.net localtime login.defs machine-id magic mailname modules motd mtab networks nologin \
    os-release passwd passwd- profile protocols redhat-release rpc securetty services shells \
    subgid subgid- subuid subuid- system-release timezone";

/// First words of names that directories of an application or its data have.
pub(super) const DIRECTORIES: &str = "\
    ansible api app application apps assets backend backup backups bin build certs client code \
    compose conf config configs configuration current data deploy deployment dist docker env etc \
    frontend git helm home html infra k8s keys kubernetes lib live local main node old opt php \
    previous private prod production project projects public puppet python rails release releases \
    root salt secrets server service services shared site sites src ssl staging storage terraform \
    tls tmp usr var vault web webapp worker www";
