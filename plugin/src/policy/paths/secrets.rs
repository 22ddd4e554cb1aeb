//! The names under which secrets live, as data.
//!
//! Invariant: a pattern names a file, or a directory with everything below it,
//! in the syntax of [`super::pattern`]. A name is also tried without the suffixes
//! of [`COPIES`], so that a backup of a secret is one. The lists say where
//! secrets are by convention; no list can know a key in `notes.txt`.

/// A kind of secret.
pub(in super::super) struct Kind {
    /// Last part of the rule id.
    pub(in super::super) id: &'static str,
    /// What a reader would learn.
    pub(in super::super) what: &'static str,
    /// Separated by blanks.
    pub(in super::super) patterns: &'static str,
}

#[cfg(any(test, feature = "tables"))]
impl Kind {
    pub(in super::super) fn patterns(&self) -> impl Iterator<Item = &'static str> {
        self.patterns.split_ascii_whitespace()
    }
}

/// Suffixes of copies and backups that editors, people and package tools make.
pub(in super::super) const COPIES: &str = "\
    ~ - .bak .backup .old .orig .save .saved .copy .swp .swo .tmp .new .dpkg-old .dpkg-dist \
    .dpkg-new .dpkg-bak .ucf-old .ucf-dist .rpmsave .rpmnew .rpmorig .pacsave .pacnew .gz .bz2 \
    .xz .zst .0 .1 .2 .3 _bak _old _backup -bak -old -backup .txt";

pub(in super::super) const KINDS: &[Kind] = &[
    Kind {
        id: "passwords",
        what: "password hashes or the rules of who may become root",
        patterns: "\
            shadow gshadow /etc/security/opasswd /etc/master.passwd /etc/spwd.db /etc/tcb \
            /etc/sudoers /etc/sudoers.d /etc/doas.conf /boot/grub/user.cfg /boot/grub2/user.cfg .htpasswd htpasswd .htdigest smbpasswd \
            passdb.tdb /var/lib/samba/private /var/lib/sss /var/lib/AccountsService \
            /etc/ppp/*-secrets /etc/ipsec.secrets /etc/ipsec.d/private /etc/swanctl/private \
            /etc/strongswan*/ipsec.secrets /etc/exim4/passwd.client /etc/postfix/sasl* \
            sasl_passwd* /etc/dovecot/users /etc/dovecot/passwd* /etc/sasldb2 krb5.keytab \
            *.keytab /var/kerberos /var/lib/krb5kdc /tmp/krb5cc_* krb5cc_* /etc/pam_ldap.secret \
            /etc/ldap.secret /etc/libnss-ldap.secret /etc/nslcd.conf /etc/sssd \
            /etc/snmp/snmpd.conf /var/lib/snmp /etc/freeradius /etc/raddb /etc/chrony.keys \
            chrony.keys /etc/ntp/keys /etc/ntp.keys /etc/redis redis.conf \
            /etc/cockpit/ws-certs.d",
    },
    Kind {
        id: "ssh-key",
        what: "private keys for logging in elsewhere",
        patterns: "\
            .ssh id_rsa* id_dsa* id_ecdsa* id_ed25519* id_xmss* *_rsa *_dsa *_ecdsa *_ed25519 \
            ssh_host_*_key *.ppk sshkey ssh_key ssh-key deploy_key deploy-key /etc/dropbear \
            /etc/ssh/*_key",
    },
    Kind {
        id: "private-key",
        what: "a private key or a key store",
        patterns: "\
            private *.pem *.key *.p12 *.pfx *.p8 *.pk8 *.pkcs12 *.jks *.jceks *.bcfks *.keystore \
            keystore truststore *.truststore *.kdb *.kdbx *.kwallet privkey* private_key* \
            private-key* privatekey* server-key* .gnupg secring.gpg private-keys-v1.d key3.db key4.db priv *.keyring authkey* \
            /etc/letsencrypt/accounts /etc/letsencrypt/keys /var/lib/acme acme.json .acme.sh \
            /etc/luks* /etc/cryptsetup-keys.d *.keyfile keyfile *.jwk *.jwks .age *.agekey \
            keys.txt /var/lib/puppet/ssl /etc/puppetlabs/puppet/ssl /etc/bind/*.key rndc.key \
            /etc/rndc.conf tsig* /var/lib/private /etc/pacman.d/gnupg /var/lib/dnssec-* \
            /var/cache/bind/*.private *.private /etc/opendkim/keys /etc/dkimkeys",
    },
    Kind {
        id: "env",
        what: "environment settings, which usually hold passwords",
        patterns: "\
            .env .env.* .env-* .env_* *.env .envrc .flaskenv env.local env.prod env.production \
            env.staging env.development env.test .dev.vars",
    },
    Kind {
        id: "cloud",
        what: "credentials of a cloud account or a deployment tool",
        patterns: "\
            .aws .azure .config/gcloud .config/doctl .oci .bluemix .aliyun .linode-cli \
            .config/linode-cli .config/hcloud .config/scw .digitalocean .s3cfg .boto \
            .passwd-s3fs passwd-s3fs rclone.conf .config/rclone *.tfstate *.tfstate.* *.tfvars \
            *.tfvars.json .terraform.d .terraformrc terraform.rc .vault-token .vault_pass* \
            vault_pass* vault-pass* .vault-password* vault.yml vault.yaml vault.json /etc/vault* /var/lib/vault /opt/vault \
            /etc/consul* /etc/nomad* .chef /etc/chef /var/lib/cloud /var/lib/waagent \
            /etc/boto.cfg .pulumi .config/op .fly .heroku .config/heroku .netlify .vercel \
            .config/configstore serviceaccount*.json service-account*.json service_account*.json \
            gcp-*.json google-*.json client_secret*.json application_default_credentials.json \
            /etc/google /etc/ansible/vault* /run/cloud-init",
    },
    Kind {
        id: "cluster",
        what: "credentials or data of a cluster or a container engine",
        patterns: "\
            .kube kubeconfig* *.kubeconfig /etc/kubernetes /var/lib/kubelet /var/lib/etcd \
            /etc/etcd /etc/rancher /var/lib/rancher /var/lib/k0s /var/snap/microk8s \
            /var/lib/minikube .minikube /etc/origin .docker .dockercfg /var/lib/docker \
            /var/lib/containerd /var/lib/containers /run/secrets /run/credentials \
            /run/containers /run/docker /run/containerd /run/user/*/containers /var/lib/lxc \
            /var/lib/lxd /var/lib/incus /var/lib/machines /etc/docker/key.json /run/credstore* \
            /etc/credstore* /var/lib/systemd/credential* /var/lib/cni/networks",
    },
    Kind {
        id: "credentials",
        what: "stored logins of a program",
        patterns: "\
            .netrc _netrc .pgpass pgpass.conf .my.cnf .mylogin.cnf .mycnf /etc/mysql/debian.cnf \
            .git-credentials .config/git/credentials .git/config .config/gh .config/hub \
            .config/glab-cli .npmrc .yarnrc .yarnrc.yml .pypirc .pip/pip.conf .config/pip .gem \
            .cargo/credentials* .composer .config/composer auth.json .m2 settings-security.xml \
            .gradle .sbt .nuget nuget.config .smbcredentials smbcredentials .cifs* .muttrc .mutt \
            .msmtprc .mailrc .fetchmailrc .getmail .offlineimaprc .mbsyncrc .ldaprc .davfs2 \
            /etc/davfs2/secrets .curlrc .wgetrc .ftpconfig .irssi .rhosts .password-store \
            .local/share/keyrings .local/share/kwalletd .keychain Keychains .mozilla \
            .thunderbird .config/google-chrome .config/chromium .config/BraveSoftware \
            .Xauthority .ICEauthority .rediscli* .config/filezilla .jenkins credentials.xml \
            /var/lib/jenkins/secrets /etc/gitlab gitlab-secrets.json /var/opt/gitlab \
            /etc/grafana /var/lib/grafana /etc/apt/auth.conf /etc/apt/auth.conf.d /etc/yum/vars \
            /etc/rhsm /etc/pki/entitlement /etc/pki/consumer \
            /etc/NetworkManager/system-connections /etc/wpa_supplicant* /var/lib/iwd \
            /var/lib/NetworkManager /etc/openvpn *.ovpn /etc/wireguard wg[0-9]*.conf \
            /etc/openfortivpn /etc/vpnc /etc/tinc /var/lib/tailscale /var/lib/zerotier-one \
            /etc/cloudflared .cloudflared /etc/mail/authinfo* /etc/msmtprc /etc/ssmtp \
            /etc/bacula /etc/bareos /etc/borg* /etc/restic* /etc/zabbix/zabbix_server.conf* \
            /etc/zabbix/zabbix_proxy.conf* /etc/zabbix/web /etc/datadog-agent /etc/newrelic* \
            /etc/iscsi/iscsid.conf /etc/odbc.ini .odbc.ini /etc/postgresql-common/pgbouncer* userlist.txt \
            /etc/pgbouncer /etc/proxysql* /etc/rabbitmq .erlang.cookie /etc/couchdb \
            mongo-keyfile* .mongorc.js .mongoshrc.js /etc/kibana /etc/kafka \
            /etc/cups/printers.conf",
    },
    Kind {
        id: "application",
        what: "settings of an application that hold its passwords",
        patterns: "\
            wp-config*.php configuration.php config.inc.php settings.local.php \
            sites/*/settings.php LocalSettings.php local_settings.py secret_settings.py \
            config/database.yml database.yml config/secrets.yml* config/master.key \
            config/credentials* app/etc/env.php app/etc/local.xml application.yml application.yaml application.properties application-*.yml application-*.yaml application-*.properties config.php parameters.yml parameters.yaml \
            parameters.ini appsettings.*.json web.config hibernate.cfg.xml tomcat-users.xml \
            jetty-realm.properties standalone*.xml *-users.properties config.secret* \
            /etc/roundcube /etc/phpmyadmin /etc/phppgadmin /etc/nextcloud nextcloud/config \
            /etc/matrix-synapse homeserver.yaml /srv/pillar",
    },
    Kind {
        id: "named",
        what: "something that is called a secret by its own name",
        patterns: "\
            *credential* *secret* *password* *passwords* passwd.txt *passphrase* token tokens \
            token.* tokens.* *.token *_token *-token *apikey* *api_key* *api-key* *access_key* \
            *accesskey* .secret* *.secret",
    },
    Kind {
        id: "history",
        what: "what people typed, passwords included",
        patterns: "\
            *_history *.history .history .histfile .zhistory .zsh_sessions .bash_sessions \
            .sh_history* .local/share/fish .config/fish/fish_history* .viminfo .vim/undo* \
            .local/share/nvim .lesshst .wget-hsts .recently-used* .local/share/recently-used* \
            .dbshell",
    },
    Kind {
        id: "data",
        what: "the private data of people or of a database",
        patterns: "\
            /var/mail /var/spool/mail /var/spool/postfix /var/spool/exim* /var/vmail Maildir \
            /var/lib/mysql* /var/lib/postgresql /var/lib/pgsql /var/lib/mongo* /var/lib/redis* \
            /var/lib/cassandra /var/lib/elasticsearch /var/lib/opensearch /var/lib/couchdb \
            /var/lib/ldap /var/lib/openldap /var/lib/influxdb /var/lib/clickhouse \
            /var/lib/rabbitmq /var/lib/kafka /var/lib/neo4j *.rdb appendonly*.aof *dump.sql \
            *backup.sql db.sql *.pgdump /tmp/ssh-* \
            /var/spool/cups /var/spool/cron /var/spool/at /var/spool/atjobs /var/spool/anacron.d",
    },
    Kind {
        id: "memory",
        what: "an image of memory, and with it any secret a program held",
        patterns: "\
            /var/lib/systemd/coredump /var/crash /var/lib/apport/coredump core.[0-9]* *.core \
            *.coredump *.hprof *.heapdump heapdump* vmcore* swapfile /swap.img /swap \
            hiberfil.sys /dev/shm /var/lib/systemd/random-seed random-seed",
    },
];

/// Files that a pattern above covers and that are public all the same.
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
    "cert.pem",
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
    "/usr/share/doc/**",
    "/usr/share/man/**",
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
