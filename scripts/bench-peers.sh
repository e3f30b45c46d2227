#!/bin/sh
# Installs Debian's packages of the programs that `make bench` measures beside this one.
set -eu
exec "$(dirname "$0")/apt.sh" bench-peers wrk victoria-metrics influxdb prometheus clickhouse-server
