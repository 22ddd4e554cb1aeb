#!/bin/sh
# Serves this account over SSH on a loopback port, until interrupted.
#
# Owns .server/ with keys made on first use. It listens on 127.0.0.1 only,
# lets in nobody but the key beside it, and changes nothing of the machine's
# own SSH set-up.
set -eu

port=${1:-2222}
cd "$(dirname "$0")"
mkdir -p .server
chmod 700 .server
dir=$(pwd)/.server

for key in host client; do
    [ -e "$dir/$key" ] || ssh-keygen -q -t ed25519 -N '' -C "practice-$key" -f "$dir/$key"
done

# Keys of sshd_config(5). StrictModes would look at the directories above,
# which are the reader's own business here.
cat > "$dir/config" <<CONFIG
ListenAddress 127.0.0.1:$port
HostKey $dir/host
AuthorizedKeysFile $dir/client.pub
PidFile none
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
Subsystem sftp internal-sftp
CONFIG

# A server started as root wants its privilege separation directory.
if [ "$(id -u)" = 0 ]; then mkdir -p /run/sshd; fi

echo "serving $(id -un)@127.0.0.1:$port; stop with Ctrl+C"
exec "$(PATH=$PATH:/usr/sbin:/usr/local/sbin command -v sshd)" -D -e -f "$dir/config"
