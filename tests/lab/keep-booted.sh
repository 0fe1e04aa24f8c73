#!/bin/sh
# Boots one lab host, and boots it again when it reboots, until it powers off.
# Usage: keep-booted.sh KEEPER_GROUPS HOST_GROUPS COMMAND...  (groups: cgroup directories, separated by blanks)
keeper=$1 host=$2
shift 2
enter() {
    for group in $1; do
        echo 0 >"$group/cgroup.procs" || exit 1
    done
}
enter "$keeper"
while :; do
    (enter "$host" && exec "$@")
    # systemd-nspawn ends with 133 when the system inside asked for a reboot.
    [ $? -eq 133 ] || exit 0
done
