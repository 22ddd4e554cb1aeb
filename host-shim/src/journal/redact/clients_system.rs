//! Where programs that set a machine up take a secret on their command line: accounts,
//! keys, networks, disks, directories.
//!
//! The other half of the table in `clients`. Invariant: as there, an entry says where a
//! secret stands and nothing about what runs; a program that takes none on its command
//! line is left out.

use super::clients::Form::{Either, Next};
use super::clients::Part::{After, Whole};
use super::clients::{Client, PLAIN, Spot, flag};

/// The table.
#[rustfmt::skip]
pub(super) const SYSTEM: &[Client] = &[
    Client {
        names: &["openssl"],
        flags: &[
            flag("-passin", Next, After(':')), flag("-passout", Next, After(':')),
            flag("-passwd", Next, After(':')), flag("-srppass", Next, Whole),
            flag("-psk", Next, Whole), flag("-pass", Next, After(':')), flag("-k", Next, Whole), flag("-K", Next, Whole),
            flag("-macopt", Next, After(':')), flag("-hmac", Next, Whole),
        ],
        ..PLAIN
    },
    Client {
        names: &["openssl"],
        needs: &["passwd"],
        spots: &[Spot::Operand(2, Whole)],
        values: &[
            "-salt", "-in", "-rand", "-writerand", "-provider", "-provider-path", "-propquery",
        ],
        ..PLAIN
    },
    Client {
        names: &["ssh-keygen"],
        flags: &[flag("-N", Either, Whole), flag("-P", Either, Whole)],
        ..PLAIN
    },
    Client {
        names: &["keytool", "jarsigner"],
        flags: &[
            flag("-storepass", Next, Whole), flag("-keypass", Next, Whole),
            flag("-srcstorepass", Next, Whole), flag("-deststorepass", Next, Whole),
        ],
        ..PLAIN
    },
    Client {
        names: &["useradd", "usermod", "groupadd", "groupmod"],
        flags: &[flag("-p", Either, Whole)],
        ..PLAIN
    },
    Client {
        names: &["htpasswd", "mosquitto_passwd", "htdigest"],
        spots: &[Spot::LastWith('b')],
        ..PLAIN
    },
    Client {
        names: &["wpa_passphrase"],
        spots: &[Spot::Operand(2, Whole)],
        ..PLAIN
    },
    Client {
        names: &["slappasswd"],
        flags: &[flag("-s", Either, Whole)],
        ..PLAIN
    },
    Client {
        names: &["dsconf", "dsctl", "dsidm", "dscreate"],
        flags: &[flag("-w", Either, Whole)],
        ..PLAIN
    },
    Client {
        names: &[
            "snmpget", "snmpwalk", "snmpset", "snmpbulkwalk", "snmpbulkget", "snmptable",
            "snmpgetnext", "snmptrap", "snmpinform", "snmpstatus", "snmpdf", "snmpnetstat",
            "snmpdelta", "snmptest", "snmpusm",
        ],
        flags: &[
            flag("-c", Either, Whole), flag("-A", Either, Whole), flag("-X", Either, Whole),
            flag("-3m", Next, Whole), flag("-3k", Next, Whole), flag("-3M", Next, Whole),
            flag("-3K", Next, Whole),
        ],
        ..PLAIN
    },
    Client {
        names: &["nmcli"],
        // Its verbs may be shortened, and the names of its settings tell enough.
        spots: &[Spot::Named(""), Spot::After("password", 1)],
        ..PLAIN
    },
    Client {
        names: &["iwctl"],
        flags: &[flag("-P", Either, Whole), flag("--passphrase", Either, Whole)],
        ..PLAIN
    },
    Client {
        names: &["wpa_cli"],
        spots: &[Spot::Named("set_network"), Spot::After("psk", 1), Spot::After("passphrase", 2)],
        ..PLAIN
    },
    Client {
        names: &["uci"],
        spots: &[Spot::Named("set")],
        ..PLAIN
    },
    Client {
        names: &["ansible-vault"],
        spots: &[Spot::After("encrypt_string", 1)],
        values: &[
            "--vault-id", "--vault-password-file", "--vault-pass-file", "--encrypt-vault-id",
            "--name", "-n", "--stdin-name", "--output",
        ],
        ..PLAIN
    },
    Client {
        names: &["ipmitool"],
        flags: &[
            flag("-P", Either, Whole), flag("-k", Either, Whole), flag("-y", Either, Whole),
        ],
        ..PLAIN
    },
    Client {
        names: &["ipmitool"],
        needs: &["user"],
        spots: &[Spot::After("password", 2), Spot::After("test", 3)],
        values: &["-I", "-H", "-U", "-L", "-p", "-C", "-P"],
        ..PLAIN
    },
    Client {
        names: &["ipmitool"],
        needs: &["lan"],
        spots: &[Spot::After("password", 1), Spot::After("snmp", 1)],
        ..PLAIN
    },
    Client {
        names: &["racadm"],
        flags: &[flag("-p", Next, Whole)],
        spots: &[Spot::Named("set"), Spot::Named("config")],
        ..PLAIN
    },
    Client {
        names: &["mkpasswd"],
        spots: &[Spot::Operand(1, Whole)],
        values: &[
            "-m", "--method", "-S", "--salt", "-R", "--rounds", "-P", "--password-fd",
        ],
        ..PLAIN
    },
    Client {
        names: &["x11vnc"],
        flags: &[flag("-passwd", Next, Whole), flag("-viewpasswd", Next, Whole)],
        ..PLAIN
    },
    Client {
        names: &["kadmin", "kadmin.local"],
        flags: &[flag("-w", Either, Whole)],
        ..PLAIN
    },
    // What they are told with `-q`.
    Client {
        names: &["addprinc", "add_principal", "ank", "cpw", "change_password"],
        flags: &[flag("-pw", Next, Whole)],
        ..PLAIN
    },
    Client {
        names: &["iscsiadm"],
        needs: &[
            "node.session.auth.password", "node.session.auth.password_in",
            "discovery.sendtargets.auth.password", "discovery.sendtargets.auth.password_in",
        ],
        flags: &[flag("-v", Either, Whole), flag("--value", Either, Whole)],
        ..PLAIN
    },
    Client {
        names: &["ipa-client-install", "ipa-replica-install"],
        flags: &[flag("-w", Either, Whole)],
        ..PLAIN
    },
    Client {
        names: &["ipa-server-install"],
        flags: &[flag("-p", Either, Whole), flag("-a", Either, Whole)],
        ..PLAIN
    },
    Client {
        names: &["keyctl"],
        spots: &[Spot::After("user", 2)],
        ..PLAIN
    },
    Client {
        names: &["security"],
        needs: &["add-generic-password", "add-internet-password", "unlock-keychain", "create-keychain"],
        flags: &[flag("-w", Next, Whole), flag("-p", Either, Whole)],
        ..PLAIN
    },
    Client {
        names: &["pppd", "chat"],
        spots: &[Spot::After("password", 1)],
        ..PLAIN
    },
];
