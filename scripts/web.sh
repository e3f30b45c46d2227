#!/bin/sh
# Fetches from npm what the dashboard is plotted with, pinned by web/package-lock.json. Does nothing, fast, when it is there.
#   web.sh           for building the daemon
#   web.sh test      also for the tests in a browser: chromium, and what drives it
#   web.sh if-able   for building, where npm is installed already; without it the daemon gets its plain page
set -eu
cd "$(dirname "$0")/.."
purpose=${1:-build}

missing=""
want() { # COMMAND PACKAGE
    command -v "$1" >/dev/null || missing="$missing $2"
}
want node nodejs
want npm npm
[ "$purpose" != test ] || want chromium chromium
if [ -n "$missing" ]; then
    [ "$purpose" != if-able ] || exit 0
    # shellcheck disable=SC2086
    scripts/apt.sh web $missing
fi

have=web/node_modules/.package-lock.json
omit="--omit=dev"
wanted=web/node_modules/uplot
if [ "$purpose" = test ]; then
    omit="--include=dev"
    wanted=web/node_modules/playwright-core
fi
if [ -d "$wanted" ] && [ ! web/package-lock.json -nt $have ]; then
    exit 0
fi
echo "web: fetching from npm what web/package-lock.json pins"
if ! npm --prefix web ci "$omit" --loglevel=error >/dev/null; then
    [ "$purpose" != if-able ] || { echo "web: npm could not; the daemon gets its plain page" >&2; exit 0; }
    echo "web: 'npm ci' in web/ failed; without it there is no dashboard and its tests cannot run" >&2
    exit 1
fi
touch $have
