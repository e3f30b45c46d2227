#!/bin/sh
# Installs Debian's packages of the programs that `make bench` measures beside this one, without starting their services.
set -eu
packages="wrk victoria-metrics influxdb prometheus clickhouse-server"
missing=""
for p in $packages; do
    status=$(dpkg-query -W -f='${Status}' "$p" 2>/dev/null || true)
    [ "$status" = "install ok installed" ] || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
as_root=""
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "bench-peers: need root or sudo to install:$missing" >&2; exit 1; }
    as_root="sudo"
fi
# Debian's way to forbid the starting of services, for as long as this takes.
policy=/usr/sbin/policy-rc.d
made=""
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
    $as_root chmod 755 $policy
    made=yes
fi
trap '[ -z "$made" ] || $as_root rm -f $policy' EXIT
echo "bench-peers: installing$missing"
$as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
