//! Programs that are named here for the sake of a good reason, or for their version.
//!
//! Invariant: nothing here widens what is allowed but [`VERSIONS`]: a program and
//! one word that makes it print its version and end. Everything else is asked about
//! in any case; the tables say why in words a person understands. What such a
//! program would do is not worked out.

/// Programs with the words that make them show their version, or as little. Left out
/// are those that look into the working directory first and may run, or fetch, what
/// they find named there: cargo, composer, dotnet, go, rustc, yarn; those of which
/// some version takes the word for something else: `httpd -v` of busybox serves files,
/// its `yes --version` never ends; and gdb, which runs another program and leaves
/// compiled Python beside its own.
pub(in super::super) const VERSIONS: &[(&str, &[&str])] = &[
    ("apache2", &["-v", "-V"]),
    ("apache2ctl", &["-v", "-V"]),
    ("apt-get", &["--version", "-v"]),
    ("atop", &["-V"]),
    ("bc", &["--version"]),
    ("clang", &["--version"]),
    ("cmake", &["--version"]),
    ("curl", &["--version", "-V"]),
    ("dig", &["-v"]),
    ("exim", &["-bV", "-bp", "-bpc"]),
    ("exim4", &["-bV", "-bp", "-bpc"]),
    ("g++", &["--version"]),
    ("gcc", &["--version"]),
    ("getopt", &["--version"]),
    ("git", &["--version"]),
    ("gpg", &["--version"]),
    ("haproxy", &["-v", "-vv"]),
    ("htop", &["--version"]),
    ("java", &["-version", "--version"]),
    ("javac", &["-version", "--version"]),
    ("ldd", &["--version"]),
    ("less", &["--version"]),
    ("make", &["--version"]),
    ("mktemp", &["--version"]),
    ("mongod", &["--version"]),
    ("mysqld", &["--version", "-V"]),
    ("nginx", &["-v", "-V"]),
    ("nice", &["--version"]),
    ("node", &["--version", "-v"]),
    ("nodejs", &["--version", "-v"]),
    ("npm", &["--version", "-v"]),
    ("perl", &["--version", "-v"]),
    ("php", &["--version", "-v", "-m"]),
    ("php-fpm", &["--version", "-v"]),
    ("postfix", &["--version"]),
    ("postgres", &["--version", "-V"]),
    ("python", &["--version", "-V"]),
    ("python2", &["--version", "-V"]),
    ("python3", &["--version", "-V", "-VV"]),
    ("redis-server", &["--version", "-v"]),
    ("rpm", &["--querytags"]),
    ("rsync", &["--version"]),
    ("ruby", &["--version", "-v"]),
    ("ssh", &["-V"]),
    ("sshd", &["-V", "-T", "-t"]),
    ("strace", &["--version", "-V"]),
    ("tcpdump", &["--version", "-D"]),
    ("tee", &["--version"]),
    ("timeout", &["--version"]),
    ("tmux", &["-V"]),
    ("varnishd", &["-V"]),
    ("vim", &["--version"]),
    ("wget", &["--version"]),
    ("xargs", &["--version"]),
    ("zsh", &["--version"]),
];

/// Clients of databases, clusters and clouds: their reads reach data and systems
/// that this policy knows nothing about.
const MIDDLEWARE: &str = "\
    ansible ansible-playbook aws az buildah cassandra-cli clickhouse-client consul cqlsh crictl \
    ctr cypher-shell docker docker-compose doctl eksctl etcdctl flux gcloud gsutil heroku hcloud \
    helm helmfile influx istioctl k9s kafka-topics kubeadm kubectl kustomize ldapsearch \
    linode-cli lxc mariadb mc microk8s minikube mongo mongodump mongosh mysql mysqladmin \
    mysqldump nerdctl nomad oc oci packer pg_dump pg_dumpall pgcli podman psql pulumi \
    rabbitmqctl redis-cli rclone s3cmd salt skopeo sqlite3 sqlplus terraform tofu vagrant vault \
    virsh zookeeper-shell";

/// Programs that run the words they are given.
const WRAPPERS: &str = "\
    busybox capsh chroot chrt coproc cpulimit dbus-run-session doas env eval exec flock gdb \
    ionice ltrace machinectl nice nohup nsenter numactl parallel perf pkexec prlimit proot \
    runuser script setarch setpriv setsid setuidgid softlimit ssh-agent start-stop-daemon stdbuf \
    strace su sudo systemd-run taskset time timeout toybox unbuffer unshare valgrind watch xargs";

/// Programs that run whatever text they are given.
const INTERPRETERS: &str = "\
    ash bash bc csh dash dc deno ed ex expect fish gawk irb java ksh lua m4 mksh node nodejs \
    perl php pwsh python python2 python3 R ruby scala sh sqlite tclsh tcsh yash zsh";

/// Programs that talk to other machines.
const NETWORK: &str = "\
    aria2c curl dig drill ftp host http lftp lynx mail mailx mosh mtr nc ncat netcat nmap \
    nslookup nsupdate openssl rcp rsh rsync scp sendmail sftp sntp socat ssh ssh-copy-id tcpdump \
    telnet tftp tracepath traceroute tshark w3m wget whois";

/// Programs that wait for a person at a terminal.
const INTERACTIVE: &str = "\
    atop btop emacs htop iftop info iotop less man more most mutt nano nethogs pico screen tmux \
    vi view vim vipw visual zless zmore";

/// What some programs change, to follow their name.
const EFFECTS: &[(&str, &str)] = &[
    ("rm rmdir unlink shred", "deletes files"),
    (
        "\
            cp mv ln install touch mkdir mknod mkfifo mktemp truncate fallocate tee split csplit \
            patch",
        "creates or changes files",
    ),
    (
        "\
            dd mkfs mke2fs wipefs fdisk sfdisk parted cryptsetup mdadm blkdiscard resize2fs fsck",
        "works on disks directly",
    ),
    (
        "chmod chown chgrp setfacl chattr setcap chcon restorecon",
        "changes the rights of files",
    ),
    (
        "tar zip gunzip bunzip2 unxz cpio ar 7z rar",
        "creates or unpacks files",
    ),
    ("killall pkill skill renice", "acts on running processes"),
    (
        "reboot shutdown halt poweroff init telinit",
        "stops the machine",
    ),
    (
        "\
            useradd userdel usermod groupadd groupdel adduser deluser passwd chpasswd gpasswd \
            chsh chfn",
        "changes accounts",
    ),
    (
        "\
            apt-get aptitude dpkg-reconfigure zypper brew npm npx yarn pnpm cargo go make cmake \
            gcc mvn gradle composer bundle",
        "installs or builds software",
    ),
    (
        "umount swapoff modprobe insmod rmmod depmod kexec",
        "changes the running system",
    ),
    ("at batch", "plans a job"),
    (
        "git hg svn",
        "may run programs that a repository's configuration names",
    ),
    (
        "printenv export set declare",
        "shows the environment, which may hold passwords",
    ),
    ("yes", "never ends"),
    (
        "cd alias source . trap history jobs fc",
        "only means something within a shell",
    ),
    (
        "gpg ssh-keygen ssh-add keyctl pass secret-tool certtool",
        "works with keys",
    ),
];

/// Why a program that is not in the grammar is asked about: the last part of the
/// rule id, and words to follow the program's name.
pub(super) fn why(name: &str) -> (&'static str, &'static str) {
    let groups: [(&str, &str, &str); 5] = [
        (
            MIDDLEWARE,
            "middleware",
            "reaches data or systems beyond this server",
        ),
        (WRAPPERS, "wrapper", "runs another program"),
        (
            INTERPRETERS,
            "interpreter",
            "runs a program of its own language",
        ),
        (NETWORK, "network", "talks to other machines"),
        (
            INTERACTIVE,
            "interactive",
            "waits for a person at a terminal",
        ),
    ];
    for (names, id, why) in groups {
        if lists(names, name) {
            return (id, why);
        }
    }
    if name.starts_with("mkfs") {
        return ("effect", "works on disks directly");
    }
    let effect = EFFECTS.iter().find(|(names, _)| lists(names, name));
    effect.map_or(
        ("unknown", "is not a command known to only look"),
        |(_, why)| ("effect", why),
    )
}

fn lists(names: &str, name: &str) -> bool {
    names.split_ascii_whitespace().any(|listed| listed == name)
}
