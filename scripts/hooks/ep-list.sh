#!/bin/sh
# Enforcement point that keeps a list: one line for each session in $CONF_DIR/clients, with the address of its client and
# the seconds it has (0: no limit). A start for a hook that feeds a packet filter.
# Events: start, permit, move, revoke, batch, stop.

HERE=$(dirname "$0")
# shellcheck source=scripts/hooks/common.sh
. "$HERE/common.sh"
# shellcheck source=scripts/hooks/ep-events.sh
. "$HERE/ep-events.sh"

CLIENTS=$CONF_DIR/clients

say_event() {
	printf '%s %s %s %s\n' "$event" "$session" "${coa:--}" "${lifetime:-0}"
}

# clients OLD: the list with $changes in it. What the last event of a session says is what holds.
clients() {
	printf '%s\n' "$changes" | awk '
		NR == FNR { said[$2] = $1; line[$2] = $2 " " $3 " " $4; next }
		!($1 in said)
		END { for (session in said) if (said[session] == "permit" || said[session] == "move") print line[session] }
	' - "$1"
}

changes=$(each_event say_event)
lock
if [ "$EVENT" = start ] || [ ! -f "$CLIENTS" ]; then
	clients /dev/null | put "$CLIENTS" 644
else
	clients "$CLIENTS" | put "$CLIENTS" 644
fi
