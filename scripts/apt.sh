#!/bin/sh
# apt.sh WHO PACKAGE...: installs those of Debian's packages that are missing, as root or by sudo. Does nothing, fast, when all
# are there. Services that they bring are neither started nor left to start with the machine. WHO stands in what it says.
set -eu
who=$1
shift
missing=""
for p in "$@"; do
    status=$(dpkg-query -W -f='${Status}' "$p" 2>/dev/null || true)
    [ "$status" = "install ok installed" ] || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
as_root=""
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { echo "$who: need root or sudo to install:$missing" >&2; exit 1; }
    as_root="sudo"
fi
# Debian's way to forbid the starting of services, for as long as this takes.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap '$as_root rm -f $policy' EXIT
    printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
    $as_root chmod 755 $policy
fi
echo "$who: installing$missing"
$as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
# shellcheck disable=SC2086
services=$(dpkg -L $missing | sed -n 's|^/lib/systemd/system/\([^/]*\.\(service\|timer\)\)$|\1|p')
if [ -n "$services" ] && [ -d /run/systemd/system ]; then
    # shellcheck disable=SC2086
    $as_root systemctl disable --quiet $services || true
fi
