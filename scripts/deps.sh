#!/bin/sh
# Installs the Debian packages that building and running need. Does nothing, fast, when all are there.
#   deps.sh          what building needs, the unit tests too
#   deps.sh test     also what the other tests need
set -eu
packages="gcc libc6-dev make pkg-config python3 libuv1-dev libmicrohttpd-dev libcjson-dev libsqlite3-dev
 libyaml-dev libcurl4-openssl-dev libgnutls28-dev zlib1g-dev libzstd-dev check"
[ "${1:-}" != test ] || packages="$packages prometheus prometheus-alertmanager python3-jsonschema curl python3-torch"
missing=""
for p in $packages; do
    status=$(dpkg-query -W -f='${Status}' "$p" 2>/dev/null || true)
    [ "$status" = "install ok installed" ] || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
as_root=""
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "deps: need root or sudo to install:$missing" >&2; exit 1; }
    as_root="sudo"
fi
echo "deps: installing$missing"
$as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
# Tests start their own; the packages would leave services running.
for service in prometheus prometheus-alertmanager; do
    case "$missing " in
    *" $service "*) [ ! -d /run/systemd/system ] || $as_root systemctl disable --quiet --now "$service" || true ;;
    esac
done
