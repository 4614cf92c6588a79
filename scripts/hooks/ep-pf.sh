#!/bin/sh
# Enforcement point on FreeBSD (and OpenBSD): pf passes packets from and to the access link only for authorized clients.
# Your own rules filter packets for the router itself (neighbour discovery, DAD, DHCP, PANA).
# Events: start, permit, move, revoke, batch, check, stop, close, test. Works with hooks.ep-batch: true.
#
# /etc/pf.conf needs a line where the anchor is evaluated, before rules with "quick" that let clients through:
#   anchor "pana"
#
# pf has neither MAC addresses nor timeouts of table entries: a client passes by its IP address until revoke, which the PAA
# runs at each end of a session. Routers do not forward packets from link-local addresses: let the PAA listen only on a
# global address.
#
# Settings, in hooks.conf:
#   ACCESS_INTERFACE="em1 vlan7"    where clients are (default: pana.interface of the PAA)
#   PAA="2001:db8:a::2"             a PAA that clients reach through this machine: PANA packets pass; PAA_PORT=716
#   AT_STOP=closed                  when the PAA stops, no client passes; AT_STOP=open: every client passes

HERE=$(dirname "$0")
# shellcheck source=scripts/hooks/common.sh
. "$HERE/common.sh"
# shellcheck source=scripts/hooks/ep-events.sh
. "$HERE/ep-events.sh"

ACCESS_INTERFACE=${ACCESS_INTERFACE:-$INTERFACE}
AT_STOP=${AT_STOP:-closed}

for interface in $ACCESS_INTERFACE; do check_interface ACCESS_INTERFACE "$interface"; done
check_paa
case $AT_STOP in closed | open) ;; *) die "AT_STOP must be closed or open" ;; esac

# Loads the rules and replaces the clients with those in $1, in one step. Packets to link-scope multicast and link-local
# addresses do not leave the link. The router's addresses are those at the time of the call.
rules() {
	cat <<-END
		table <pana_router> const { self, fe80::/10, ff02::/16, 224.0.0.0/24, 255.255.255.255 }
		table <pana_clients> persist {
		$1
		}
	END
	for interface in $ACCESS_INTERFACE; do
		for paa in $PAA; do
			say "pass in quick on $interface proto udp from any to $paa port $PAA_PORT no state"
			say "pass out quick on $interface proto udp from $paa port $PAA_PORT to any no state"
		done
		cat <<-END
			block drop in quick on $interface from ! <pana_clients> to ! <pana_router>
			block drop out quick on $interface from ! <pana_router> to ! <pana_clients>
		END
	done
}

# Prints "+ ADDRESS" or "- ADDRESS"; the last line of an address counts.
say_event() {
	if [ "$event" = revoke ]; then
		[ -z "$coa" ] || say "- ${coa%%%*}"
		return
	fi
	say "+ ${coa%%%*}"
	if [ "$event" = move ] && [ -n "$old" ]; then say "- ${old%%%*}"; fi
	case $coa in
	fe[89ab]*) say "client $coa: packets from a link-local address are not forwarded" >&2 ;;
	esac
}

last_of() {
	awk -v sign="$1" 'NF == 2 { last[$2] = $1 } END { for (each in last) if (last[each] == sign) print each }'
}

pf() {
	act pfctl -q -a pana "$@"
}

# Delete states, which would keep passing packets of established connections.
forget() {
	for address in "$@"; do
		case $address in
		*:*) everywhere=::/0 ;;
		*) everywhere=0.0.0.0/0 ;;
		esac
		act pfctl -q -k "$address"
		act pfctl -q -k "$everywhere" -k "$address"
	done
}

# Rules that pf does not evaluate have no effect.
check_pf() {
	[ "$DRY_RUN" = yes ] && return
	status=$(pfctl -q -s info) || die "pfctl may not ask the packet filter"
	case $status in
	*'Status: Enabled'*) ;;
	*) die 'pf is not enabled: run "pfctl -e"' ;;
	esac
	main=$(pfctl -q -s rules)
	case $main in
	*'anchor "pana"'* | *'anchor "*"'*) ;;
	*) die "the rules of pf lack the line: anchor \"pana\"" ;;
	esac
}

clients_now() {
	[ "$DRY_RUN" = yes ] || pfctl -q -a pana -t pana_clients -T show 2>/dev/null || :
}

# Replaces the clients with those in $1.
load() {
	if [ "$DRY_RUN" = yes ]; then
		rules "$1"
		return
	fi
	were_rules=$(pfctl -q -a pana -s rules 2>/dev/null || :)
	before=$(clients_now)
	rules "$1" | pfctl -q -a pana -f -
	if [ -z "$were_rules" ]; then
		# Until now every client could pass.
		for interface in $ACCESS_INTERFACE; do pfctl -q -i "$interface" -F states; done
	else
		# shellcheck disable=SC2046 # addresses have no blanks
		forget $(printf '%s\n' "$1" -- "$before" | awk '
			$1 == "--" { now = 1; next }
			!now { may[$1]; next }
			NF && !($1 in may) { print $1 }
		')
	fi
}

events=$(each_event say_event)
new=$(say "$events" | last_of +)
gone=$(say "$events" | last_of -)
case $EVENT in
test)
	need pfctl -
	check_pf
	rules '' | pfctl -q -a pana -n -f - || die "pfctl may not change the packet filter, or refuses the rules"
	for interface in $ACCESS_INTERFACE; do
		ifconfig "$interface" >/dev/null 2>&1 || say "warning: interface $interface does not exist (yet)"
	done
	;;
start)
	check_pf
	load "$new"
	set_up
	;;
check)
	check_set_up
	check_pf
	[ "$DRY_RUN" = yes ] || [ -n "$(pfctl -q -a pana -s rules)" ] || die 'the anchor "pana" was emptied, and every client passes'
	;;
stop | close)
	not_set_up
	if is_open; then pf -F rules; else load ''; fi
	;;
*)
	# shellcheck disable=SC2086 # addresses have no blanks
	if [ -n "$gone" ]; then
		pf -t pana_clients -T delete $gone
		forget $gone
	fi
	# shellcheck disable=SC2086
	if [ -n "$new" ]; then pf -t pana_clients -T add $new; fi
	;;
esac
