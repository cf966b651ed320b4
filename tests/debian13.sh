#!/usr/bin/env bash
# Runs `make run` and the quick tests on a fresh Debian 13, as a normal user with the locale C: tests/debian13.sh FOLDER
# Makes the system in FOLDER, which must be new, from what is committed here, and leaves it there to look at.
# By hand, not in CI: needs root and debootstrap (apt-get install debootstrap).
set -euo pipefail

root="$(realpath -m "${1:?name a new folder for the system}")"
[ ! -e "$root" ] || { echo "$root is there already: name a new folder" >&2; exit 2; }
home="$root/home/someone"

# What the README asks for: Python with its venv module, and make.
debootstrap --variant=minbase --include=ca-certificates,make,python3,python3-venv trixie "$root" >"$root.log" ||
    { echo "debootstrap failed: see $root.log" >&2; exit 1; }
chroot "$root" useradd --create-home --shell /bin/bash someone
git clone --quiet --no-local "$(dirname "$0")/.." "$home/project"

# Network and package index are this machine's: name servers, certificates, pip's files and variables.
cat /etc/ssl/certs/ca-certificates.crt >"$root/etc/ssl/certs/ca-certificates.crt"
for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/xdg/pip; do
    [ ! -e $file ] || { mkdir -p "$root$(dirname $file)" && cp -rLT $file "$root$file"; }
done
[ ! -e ~/.config/pip ] || { mkdir "$home/.config" && cp -r ~/.config/pip "$home/.config/"; }
chroot "$root" chown -R someone: /home/someone
mapfile -t variables < <(env | grep -iE '^(PIP_[A-Z_]+|[a-z]+_proxy|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE)=')

# Mounts live in a name space of their own: they end with the command, and the folder can be removed at any time.
unshare --mount sh -c 'mount --rbind /dev "$0/dev" && mount -t proc proc "$0/proc" && exec chroot "$0" "$@"' "$root" \
    setpriv --reuid someone --regid someone --init-groups \
    env -i "${variables[@]}" HOME=/home/someone USER=someone PATH=/usr/bin:/bin LC_ALL=C sh -ec '
        cd ~/project
        python3 --version; id; locale
        make run
        make test ARGS="-m '"'not slow'"'"'
