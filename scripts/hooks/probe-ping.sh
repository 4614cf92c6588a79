#!/bin/sh
# Probe that pings a home agent. Configured as hooks.probe of pana-aaa; for Linux and FreeBSD.
# Events: probe.
#
# Settings in $MIP6_STATE_DIR/hooks.conf: PING_TIMEOUT=2 (seconds)

HERE=$(dirname "$0")
PING_TIMEOUT=2
# shellcheck source=scripts/hooks/common.sh
. "$HERE/common.sh"

[ "$EVENT" = probe ] || die "event \"$EVENT\" is not a probe"
check_address MIP6_HA "${MIP6_HA:-}"
check_number PING_TIMEOUT "$PING_TIMEOUT"

case $(uname) in
# FreeBSD: -t limits the whole run. ping before FreeBSD 13 has no IPv6, and ping6 has no -t.
FreeBSD) ping -6 -n -q -c 1 -t "$PING_TIMEOUT" "$MIP6_HA" >/dev/null ;;
*) ping -6 -n -q -c 1 -w "$PING_TIMEOUT" "$MIP6_HA" >/dev/null ;;
esac
