#!/bin/sh
# Enforcement point on FreeBSD (and OpenBSD): pf lets nothing through from or to the access link but for authorised clients.
# What is for the router itself (neighbour discovery, DAD, DHCP, PANA) is left to your own rules.
# Events: start, permit, move, revoke, batch, stop. Works with hooks.ep-batch: true.
#
# /etc/pf.conf needs a line where the anchor is evaluated, before rules with "quick" that let clients through:
#   anchor "pana"
#
# pf knows no MAC addresses, and no time limits of table entries: revoke, which the PAA runs at each end of a session, is
# what shuts a client out.
#
# Settings, in hooks.conf:
#   ACCESS_INTERFACE="em1 vlan7"    where clients are (default: pana.interface of the PAA)
#   AT_STOP=closed                  when the PAA ends nobody passes, or with AT_STOP=open everybody

HERE=$(dirname "$0")
# shellcheck source=scripts/hooks/common.sh
. "$HERE/common.sh"
# shellcheck source=scripts/hooks/ep-events.sh
. "$HERE/ep-events.sh"

ACCESS_INTERFACE=${ACCESS_INTERFACE:-$INTERFACE}
AT_STOP=${AT_STOP:-closed}

for interface in $ACCESS_INTERFACE; do check_interface ACCESS_INTERFACE "$interface"; done
case $AT_STOP in closed | open) ;; *) die "AT_STOP is closed or open" ;; esac

# What goes to multicast and link-local addresses does not leave the link.
rules() {
	cat <<-END
		table <pana_router> const { self, fe80::/10, ff00::/8, 224.0.0.0/4, 255.255.255.255 }
		table <pana_clients> persist
	END
	for interface in $ACCESS_INTERFACE; do
		cat <<-END
			block drop in quick on $interface from ! <pana_clients> to ! <pana_router>
			block drop out quick on $interface from ! <pana_router> to ! <pana_clients>
		END
	done
}

# Of each address the last event holds: "+ ADDRESS" or "- ADDRESS".
say_event() {
	[ "$event" = revoke ] || say "+ ${coa%%%*}"
	[ "$event" != revoke ] || [ -z "$coa" ] || say "- ${coa%%%*}"
	[ "$event" != move ] || [ -z "$old" ] || say "- ${old%%%*}"
}

last_of() {
	awk -v sign="$1" 'NF == 2 { last[$2] = $1 } END { for (each in last) if (last[each] == sign) print each }'
}

pf() {
	act pfctl -q -a pana "$@"
}

# States let packets of what was let through once pass.
shut() {
	pf -t pana_clients -T delete "$@"
	for address in "$@"; do
		case $address in
		*:*) everywhere=::/0 ;;
		*) everywhere=0.0.0.0/0 ;;
		esac
		act pfctl -q -k "$address"
		act pfctl -q -k "$everywhere" -k "$address"
	done
}

load() {
	if [ "$DRY_RUN" = yes ]; then rules; else rules | pfctl -q -a pana -f -; fi
}

# Who passed before, and may no longer.
stale() {
	[ "$DRY_RUN" = yes ] || pfctl -q -a pana -t pana_clients -T show | awk -v new="$new" '
		BEGIN { n = split(new, list); for (i = 1; i <= n; i++) may[list[i]] }
		!($1 in may) { print $1 }
	'
}

events=$(each_event say_event)
new=$(say "$events" | last_of +)
gone=$(say "$events" | last_of -)
case $EVENT in
start)
	load
	gone=$(stale)
	;;
stop)
	if [ "$AT_STOP" = open ]; then pf -F rules; else load; fi
	exit 0
	;;
esac
# shellcheck disable=SC2086 # addresses have no blanks
[ -z "$gone" ] || shut $gone
# shellcheck disable=SC2086
[ -z "$new" ] || pf -t pana_clients -T add $new
