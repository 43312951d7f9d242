#!/bin/sh
# Installs Grok2API as a service: one binary, a user of its own, a data directory that only this user can read, a systemd unit.
# Downloads nothing: it takes a binary that is there, or with --build what cargo builds of this checkout (cargo fetches the
# dependencies). Running it again updates what is installed; data and settings stay.
set -eu

usage() {
  cat <<'TEXT'
usage: install.sh [options]

  --binary FILE     install this binary (default: target/release/grok2api of this checkout)
  --build           build it first: cargo build --release --locked
  --prefix DIR      the binary goes to DIR/bin (default: /usr/local)
  --data-dir DIR    accounts, settings, database (default: /var/lib/grok2api)
  --listen ADDRESS  where it listens (default: 127.0.0.1:8000); written into /etc/grok2api.env at the first installation only
  --user NAME       the system user it runs as (default: grok2api)
  --no-start        install and enable nothing more than the files
  --uninstall       stop it and remove what was installed; data, settings and user stay
  --purge           with --uninstall: remove these as well
  --help            this text

DESTDIR=DIR in the environment installs everything below DIR, for packages: no user is made and nothing is started.
TEXT
}

fail() {
  printf 'install.sh: %s\n' "$1" >&2
  exit 1
}

say() {
  printf '%s\n' "$1"
}

here=$(cd "$(dirname "$0")" && pwd)
destdir=${DESTDIR:-}
binary=
build=no
prefix=/usr/local
data=/var/lib/grok2api
listen=127.0.0.1:8000
user=grok2api
start=yes
uninstall=no
purge=no

while [ $# -gt 0 ]; do
  case $1 in
    --binary | --prefix | --data-dir | --listen | --user)
      [ $# -ge 2 ] || fail "$1 needs a value"
      case $1 in
        --binary) binary=$2 ;;
        --prefix) prefix=$2 ;;
        --data-dir) data=$2 ;;
        --listen) listen=$2 ;;
        --user) user=$2 ;;
      esac
      shift
      ;;
    --build) build=yes ;;
    --no-start) start=no ;;
    --uninstall) uninstall=yes ;;
    --purge) purge=yes ;;
    --help | -h)
      usage
      exit 0
      ;;
    *)
      usage >&2
      fail "unknown option $1"
      ;;
  esac
  shift
done

# They end up in the unit file.
for path in "$prefix" "$data"; do
  case $path in
    *..*) fail "$path: without .." ;;
    /home/* | /root/*) fail "$path: the service cannot see home directories" ;;
    /*) ;;
    *) fail "$path: give the whole path, from /" ;;
  esac
done
case $prefix$data$user$listen in
  *[!A-Za-z0-9._/:@\[\]-]*) fail "only letters, digits and . _ - / : [ ] are taken in names and paths" ;;
esac
case $data in
  / | /etc | /usr | /var | /var/lib | /home | /root) fail "$data cannot be the data directory: it belongs to it alone" ;;
esac

program=$prefix/bin/grok2api
environment=/etc/grok2api.env
unit=/etc/systemd/system/grok2api.service

if [ -z "$destdir" ] && [ "$(id -u)" -ne 0 ]; then
  fail "run it as root, or with DESTDIR set to a directory of your own"
fi

has_systemd() {
  [ -z "$destdir" ] && [ -d /run/systemd/system ] && command -v systemctl >/dev/null 2>&1
}

if [ "$uninstall" = yes ]; then
  if has_systemd; then
    systemctl disable --now grok2api.service >/dev/null 2>&1 || true
  fi
  rm -f "$destdir$unit" "$destdir$program"
  if has_systemd; then
    systemctl daemon-reload
  fi
  if [ "$purge" = yes ]; then
    rm -rf "$destdir$data" "$destdir$environment"
    if [ -z "$destdir" ] && id "$user" >/dev/null 2>&1; then
      if command -v userdel >/dev/null 2>&1; then userdel "$user"; else deluser "$user"; fi
    fi
    say "Grok2API is removed, with its data."
  else
    say "Grok2API is removed. Its data is still in $data, its settings in $environment."
  fi
  exit 0
fi
[ "$purge" = no ] || fail "--purge goes with --uninstall"

if [ "$build" = yes ]; then
  [ -z "$binary" ] || fail "--build and --binary do not go together"
  command -v cargo >/dev/null 2>&1 || fail "cargo is missing: install Rust 1.95 or newer, or give a --binary"
  (cd "$here" && cargo build --release --locked -p grok2api)
fi
if [ -z "$binary" ]; then
  binary=$here/target/release/grok2api
  [ -f "$binary" ] || fail "there is no $binary yet: give a --binary, or --build one"
fi
[ -f "$binary" ] || fail "$binary is not there"
version=$("$binary" --version 2>/dev/null) || fail "$binary does not run on this machine"

if [ -z "$destdir" ] && ! id "$user" >/dev/null 2>&1; then
  if command -v useradd >/dev/null 2>&1; then
    useradd --system --user-group --no-create-home --home-dir "$data" --shell /usr/sbin/nologin "$user"
  else
    addgroup -S "$user"
    adduser -S -D -H -h "$data" -s /sbin/nologin -G "$user" "$user"
  fi
  say "made the system user $user"
fi

# Moved into place, so that a running one is never written into.
mkdir -p "$destdir$prefix/bin"
cp "$binary" "$destdir$program.new"
chmod 0755 "$destdir$program.new"
mv "$destdir$program.new" "$destdir$program"
say "installed $version as $program"

mkdir -p "$destdir$data"
chmod 0700 "$destdir$data"
if [ -z "$destdir" ]; then
  chown "$user:$user" "$data"
fi

if [ ! -e "$destdir$environment" ]; then
  mkdir -p "$destdir/etc"
  (
    umask 077
    cat >"$destdir$environment" <<TEXT
# Start options of Grok2API; everything else is set in the console. A change needs: systemctl restart grok2api
GROK2API_LISTEN=$listen
TEXT
  )
  say "wrote $environment"
fi

mkdir -p "$destdir/etc/systemd/system"
sed -e "s|@BIN@|$program|g" -e "s|@DATA@|$data|g" -e "s|@USER@|$user|g" -e "s|@ENV@|$environment|g" \
  "$here/packaging/grok2api.service.in" >"$destdir$unit.new"
chmod 0644 "$destdir$unit.new"
mv "$destdir$unit.new" "$destdir$unit"
say "wrote $unit"

if [ "$start" = no ] || [ -n "$destdir" ]; then
  exit 0
fi
if has_systemd; then
  systemctl daemon-reload
  systemctl enable grok2api.service
  systemctl restart grok2api.service
  say "Grok2API runs. The first start printed a link and a key, once: journalctl -u grok2api -o cat"
else
  say "There is no systemd here. Start it as $user: GROK2API_DATA_DIR=$data $program serve"
fi
