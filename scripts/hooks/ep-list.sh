#!/bin/sh
# Enforcement point that keeps a list: one line for each authorised client in $CONF_DIR/clients. A start for a hook that
# feeds a packet filter.
# Events: permit, revoke, move.

HERE=$(dirname "$0")
# shellcheck source=scripts/hooks/common.sh
. "$HERE/common.sh"

CLIENTS=$CONF_DIR/clients

session=${MIP6_SESSION:-}
case $session in
'' | *[!A-Za-z0-9._-]*) die "MIP6_SESSION is not a plain token" ;;
esac

others() {
	[ ! -f "$CLIENTS" ] || awk -v session="$session" '$1 != session' "$CLIENTS"
}

case $EVENT in
permit | move)
	check_address MIP6_COA "${MIP6_COA%%%*}"
	check_number MIP6_LIFETIME "${MIP6_LIFETIME:-0}"
	lock
	{
		others
		printf '%s %s %s\n' "$session" "$MIP6_COA" "${MIP6_LIFETIME:-0}"
	} | put "$CLIENTS" 644
	;;
revoke)
	lock
	others | put "$CLIENTS" 644
	;;
*) die "event \"$EVENT\" is not for an enforcement point" ;;
esac
