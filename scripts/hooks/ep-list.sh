#!/bin/sh
# Enforcement point that keeps a list: one line per session in $CONF_DIR/clients, with the address of its client and the
# lifetime in seconds (0: no limit). A template for a hook of another packet filter.
# Events: start, permit, move, revoke, batch, check, stop, close, test.

HERE=$(dirname "$0")
# shellcheck source=scripts/hooks/common.sh
. "$HERE/common.sh"
# shellcheck source=scripts/hooks/ep-events.sh
. "$HERE/ep-events.sh"

CLIENTS=$CONF_DIR/clients

say_event() {
	printf '%s %s %s %s\n' "$event" "$session" "${coa:--}" "${lifetime:-0}"
}

# clients OLD: applies $changes to the list. The last event of a session counts.
clients() {
	printf '%s\n' "$changes" | awk '
		NR == FNR { said[$2] = $1; line[$2] = $2 " " $3 " " $4; next }
		!($1 in said)
		END { for (session in said) if (said[session] == "permit" || said[session] == "move") print line[session] }
	' - "$1"
}

if [ "$EVENT" = check ]; then
	check_set_up
	exit 0
fi
if [ "$EVENT" = test ]; then
	need_folder "$CONF_DIR"
	exit 0
fi
changes=$(each_event say_event)
lock
case $EVENT in
start) set_up ;;
stop | close) not_set_up ;;
esac
if [ "$EVENT" = start ] || [ ! -f "$CLIENTS" ]; then
	put "$CLIENTS" 644 clients /dev/null
else
	put "$CLIENTS" 644 clients "$CLIENTS"
fi
