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
            /etc/sudoers /etc/sudoers.d /etc/doas.conf /boot/grub/user.cfg /boot/grub2/user.cfg \
            .htpasswd htpasswd .htdigest smbpasswd passdb.tdb /var/lib/samba/private \
            /var/lib/sss /var/lib/AccountsService /etc/ppp/*-secrets /etc/ipsec.secrets \
            /etc/ipsec.d/private /etc/swanctl/private /etc/strongswan*/ipsec.secrets \
            /etc/exim4/passwd.client /etc/postfix/sasl* sasl_passwd* /etc/dovecot/users \
            /etc/dovecot/passwd* /etc/sasldb2 krb5.keytab *.keytab /var/kerberos \
            /var/lib/krb5kdc /tmp/krb5cc_* krb5cc_* /etc/pam_ldap.secret /etc/ldap.secret \
            /etc/libnss-ldap.secret /etc/nslcd.conf /etc/sssd /etc/snmp/snmpd.conf /var/lib/snmp \
            /etc/freeradius /etc/raddb /etc/chrony.keys chrony.keys /etc/ntp/keys /etc/ntp.keys \
            /etc/redis redis.conf /etc/cockpit/ws-certs.d passwd *.passwd passwd.db passwd.md5 \
            ftpd.passwd pureftpd.* virtual_users* miniserv.users users.digest pwfile* \
            .google_authenticator google_authenticator u2f_mappings u2f_keys .yubico \
            /etc/netgroup.secret *.htpasswd *.shadow shadow.* userpass* /etc/uucp /etc/hostapd \
            *.pwd *.psk *.otp btmp btmp.* btmp-* /etc/xrdp/rsakeys.ini /etc/pve/priv \
            /etc/vsftpd/*.db /etc/vsftpd/virtual*",
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
            private-key* privatekey* server-key* .gnupg secring.gpg private-keys-v1.d key3.db \
            key4.db priv *.keyring authkey* /etc/letsencrypt/accounts /etc/letsencrypt/keys \
            /var/lib/acme acme.json .acme.sh /etc/luks* /etc/cryptsetup-keys.d *.keyfile keyfile \
            *.jwk *.jwks .age *.agekey keys.txt /var/lib/puppet/ssl /etc/puppetlabs/puppet/ssl \
            /etc/bind/*.key rndc.key /etc/rndc.conf tsig* /var/lib/private /etc/pacman.d/gnupg \
            /var/lib/dnssec-* /var/cache/bind/*.private *.private /etc/opendkim/keys \
            /etc/dkimkeys *keyfile.bin *_keyfile *-keyfile *.key.* *_key.pem *_priv.* *-priv.* \
            hs_ed25519_secret_key .minisign *.pvk *.skr *.gpgkey signing-key* wallet.dat \
            .bitcoin .ethereum .electrum .solana .config/solana /etc/unbound/*.key .putty \
            .local/share/rusty-ssh /etc/ssl/*.key *.snk .step authkey.key ca.key tls.key",
    },
    Kind {
        id: "env",
        what: "environment settings, which usually hold passwords",
        patterns: "\
            .env .env.* .env-* .env_* *.env .envrc .flaskenv env.local env.prod env.production \
            env.staging env.development env.test .dev.vars *.env.* .environment",
    },
    Kind {
        id: "cloud",
        what: "credentials of a cloud account or a deployment tool",
        patterns: "\
            .aws .azure .config/gcloud .config/doctl .oci .bluemix .aliyun .linode-cli \
            .config/linode-cli .config/hcloud .config/scw .digitalocean .s3cfg .boto \
            .passwd-s3fs passwd-s3fs rclone.conf .config/rclone *.tfstate *.tfstate.* *.tfvars \
            *.tfvars.json .terraform.d .terraformrc terraform.rc .vault-token .vault_pass* \
            vault_pass* vault-pass* .vault-password* vault.yml vault.yaml vault.json /etc/vault* \
            /var/lib/vault /opt/vault /etc/consul* /etc/nomad* .chef /etc/chef /var/lib/cloud \
            /var/lib/waagent /etc/boto.cfg .pulumi .config/op .fly .heroku .config/heroku \
            .netlify .vercel .config/configstore serviceaccount*.json service-account*.json \
            service_account*.json gcp-*.json google-*.json client_secret*.json \
            application_default_credentials.json /etc/google /etc/ansible/vault* /run/cloud-init \
            .databrickscfg .kaggle kaggle.json .snowsql .dbt .config/wrangler .wrangler \
            .supabase .config/fly .config/argocd .argocd .config/civo.json .civo.json .ovh.conf \
            /etc/ovh.conf .openstack clouds.yaml clouds.yml *-openrc.sh openrc.sh /etc/boundary* \
            /etc/teleport* /var/lib/teleport .tsh user-data user-data.txt vendor-data* \
            /etc/airflow airflow.cfg",
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
            /etc/credstore* /var/lib/systemd/credential* /var/lib/cni/networks .helm \
            .config/helm .talos talosconfig /etc/crictl* /var/lib/docker/swarm",
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
            /etc/iscsi/iscsid.conf /etc/odbc.ini .odbc.ini /etc/postgresql-common/pgbouncer* \
            userlist.txt /etc/pgbouncer /etc/proxysql* /etc/rabbitmq .erlang.cookie /etc/couchdb \
            mongo-keyfile* .mongorc.js .mongoshrc.js /etc/kibana /etc/kafka \
            /etc/cups/printers.conf .subversion/auth .hgrc .weechat .purple .condarc .jupyter \
            .pgadmin .claude .claude.json .codex .gemini .anthropic .config/anthropic .openai \
            .config/openai .huggingface .cache/huggingface .config/opencode \
            .local/share/opencode .config/github-copilot .aider* .config/Bitwarden* \
            .config/1Password .ansible/vault* .vnc .config/remmina .local/share/remmina \
            .config/Code .vscode-server .config/Signal .config/Slack .config/discord \
            /etc/gitlab-runner .gitlab-runner pip.conf /etc/icinga2 /etc/ejabberd /etc/prosody \
            /etc/asterisk ddclient.conf /etc/inadyn* /etc/dbconfig-common /etc/wordpress \
            /etc/logstash /etc/filebeat /etc/metricbeat /etc/packetbeat /etc/telegraf \
            /etc/sentry* /etc/tailscale /etc/pdns /etc/powerdns /etc/knot turnserver.conf \
            /etc/coturn autofs_ldap_auth.conf /etc/cifs* /etc/mosquitto /etc/squid/passwd* \
            dbconfig.xml confluence.cfg.xml sonar.properties keycloak.conf *-ks.cfg ks.cfg \
            preseed.cfg .influxdbv2 .config/ngrok .ngrok2 ngrok.yml .config/exercism \
            .sentryclirc .circleci/cli.yml .config/sops .sops .config/transifex .transifexrc \
            .lftp .config/lftp .ncftp .cvspass .authinfo .authinfo.gpg .config/neomutt \
            .neomuttrc .getmailrc .mpoprc .vdirsyncer .config/khal .znc .config/hexchat .xchat2 \
            .sqlplus .duplicacy .config/borg .config/restic .config/rustic .restic* .borg* \
            .tarsnaprc tarsnap.key /etc/tarsnap* /etc/duplicity /etc/rsnapshot.d \
            /etc/rsyncd.secrets rsyncd.secrets /etc/nut /etc/monit /etc/monitrc monitrc .monitrc \
            /etc/munin/plugin-conf.d /etc/webmin /etc/usermin /etc/cobbler /etc/foreman* \
            /etc/katello /etc/pulp /etc/graylog /etc/alertmanager alertmanager.yml",
    },
    Kind {
        id: "application",
        what: "settings of an application that hold its passwords",
        patterns: "\
            wp-config*.php configuration.php config.inc.php settings.local.php \
            sites/*/settings.php LocalSettings.php local_settings.py secret_settings.py \
            config/database.yml database.yml config/secrets.yml* config/master.key \
            config/credentials* app/etc/env.php app/etc/local.xml application.yml \
            application.yaml application.properties application-*.yml application-*.yaml \
            application-*.properties config.php parameters.yml parameters.yaml parameters.ini \
            appsettings.*.json web.config hibernate.cfg.xml tomcat-users.xml \
            jetty-realm.properties standalone*.xml *-users.properties config.secret* \
            /etc/roundcube /etc/phpmyadmin /etc/phppgadmin /etc/nextcloud nextcloud/config \
            /etc/matrix-synapse homeserver.yaml /srv/pillar settings.py appsettings.json \
            *.secrets.json dbconfig.php db.php database.php connection.php conn.php config-*.php \
            env.php db.properties jdbc.properties database.properties datasource*.xml \
            context.xml server.properties persistence.xml secrets.py config.secrets.* \
            gradle.properties keystore.properties key.properties knexfile.js ormconfig.json \
            sequelize.json config/config.json config/config.exs prod.secret.exs runtime.exs \
            .htaccess.secret shiro.ini",
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
            .dbshell history *-history history.db .config/psql .mycli* .pgcli* .litecli* \
            .config/pgcli .config/litecli .config/mycli *.shada .xsession-errors* \
            .bash_logout_history .sqlite_history .config/fish .local/share/mc",
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
            *backup.sql db.sql *.pgdump /tmp/ssh-* /var/spool/cups /var/spool/cron /var/spool/at \
            /var/spool/atjobs /var/spool/anacron.d mbox *.sqlite *.sqlite3 *.sqlite-wal *.mdb \
            *.ibd *.MYD ibdata* *.frm dump.rdb *.dump *.pg_dump *.mysqldump *.sql.gz backup.sql* \
            *-backup.sql* pg_wal *.ldif /var/lib/couchbase /var/lib/arangodb* /var/lib/scylla \
            /var/lib/tarantool /var/lib/timescale* /var/lib/prosody /var/lib/ejabberd \
            /var/lib/asterisk /var/lib/cyrus /var/lib/dovecot /var/lib/roundcube \
            /var/lib/nextcloud /var/lib/vaultwarden /var/lib/bitwarden* /root/Mail /home/*/Mail",
    },
    Kind {
        id: "memory",
        what: "an image of memory, and with it any secret a program held",
        patterns: "\
            /var/lib/systemd/coredump /var/crash /var/lib/apport/coredump core.[0-9]* *.core \
            *.coredump *.hprof *.heapdump heapdump* vmcore* swapfile /swap.img /swap \
            hiberfil.sys /dev/shm /var/lib/systemd/random-seed random-seed /core core.*.[0-9]* \
            *.core.* *.dmp *.mdmp *.vmem *.vmss *.lime /var/lib/kdump /pagefile.sys",
    },
];
