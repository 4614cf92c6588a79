#!/bin/sh
# Probe that pings a home agent. Configured as hooks.probe of pana-aaa; for Linux and FreeBSD.
# Events: probe, test.
#
# Settings in $MIP6_STATE_DIR/hooks.conf: PING_TIMEOUT=2 (seconds)

HERE=$(dirname "$0")
PING_TIMEOUT=2
# shellcheck source=scripts/hooks/common.sh
. "$HERE/common.sh"

check_number PING_TIMEOUT "$PING_TIMEOUT"
case $EVENT in
probe) check_address MIP6_HA "${MIP6_HA:-}" ;;
test)
	need ping iputils-ping
	# The loopback address answers wherever IPv6 is on.
	MIP6_HA=::1
	trap '[ $? = 0 ] || echo "error: ping ::1 fails: under systemd, the service needs the drop-in ping-probe.conf"' EXIT
	;;
*) die "event \"$EVENT\" is not a probe" ;;
esac

case $(uname) in
# FreeBSD: -t limits the whole run. ping before FreeBSD 13 has no IPv6, and ping6 has no -t.
FreeBSD) ping -6 -n -q -c 1 -t "$PING_TIMEOUT" "$MIP6_HA" >/dev/null ;;
*) ping -6 -n -q -c 1 -w "$PING_TIMEOUT" "$MIP6_HA" >/dev/null ;;
esac
