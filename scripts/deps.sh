#!/bin/sh
# Installs the Debian packages that this project takes.
#   deps.sh          what building needs, the unit tests too
#   deps.sh test     also what the other tests need
set -eu
cd "$(dirname "$0")"
./apt.sh deps gcc libc6-dev make pkg-config python3 libuv1-dev libmicrohttpd-dev libcjson-dev libsqlite3-dev libyaml-dev \
    libcurl4-openssl-dev libgnutls28-dev libgmp-dev zlib1g-dev libzstd-dev libsnappy-dev check
[ "${1:-}" != test ] || ./apt.sh deps prometheus prometheus-alertmanager python3-jsonschema curl openssl python3-torch
