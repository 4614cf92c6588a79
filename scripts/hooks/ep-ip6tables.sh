#!/bin/sh
# shellcheck disable=SC2317 # functions that are arguments
# Enforcement point on Linux without nf_tables: ip6tables and iptables forward packets from and to the access link only for
# authorized clients. They do not filter packets for the router itself (neighbour discovery, DAD, DHCP, PANA).
# Events: start, permit, move, revoke, batch, check, stop, close, test. Works with hooks.ep-batch: true.
#
# Settings, in hooks.conf: those of ep-nft.sh (ACCESS_INTERFACE, ADDRESSES, AT_STOP, PAA, SOLICIT), and
#   IP6TABLES=ip6tables   the program, such as ip6tables-legacy. Not set: ip6tables, or ip6tables-legacy if the kernel lacks
#                         nf_tables and ip6tables needs it (both are found out at "start" and "close")
#   IPTABLES=iptables     that of IPv4, chosen in the same way; IPTABLES=none on a router that forwards no IPv4
#
# Unlike the rules of ep-nft.sh, these have no time limit: if the PAA dies, its clients pass until it starts again.
#
# At each event the rules are generated from the list of clients and replaced in one step for each address family. A client
# that passes by its MAC address receives packets to the addresses that it has used in the last five minutes (xt_recent).

case $0 in
*/*) HERE=${0%/*} ;;
*) HERE=. ;;
esac
# shellcheck source=scripts/hooks/common.sh
. "$HERE/common.sh"
# shellcheck source=scripts/hooks/ep-events.sh
. "$HERE/ep-events.sh"

settings_on_linux
# Names of the legacy programs, found out by choose().
LEGACY=$MIP6_STATE_DIR/ep-legacy
# A line "ADDRESS MAC" for each client; MAC is "-" if it is unknown.
CLIENTS=$MIP6_STATE_DIR/ep-clients

say_event() {
	say "$event ${coa:--} ${old:--}"
}

# clients EVENTS: prints the new list. MAC addresses come from the neighbour table. Those that the table no longer has come from
# the old list; at "start" that is the list of the previous run.
clients() {
	{
		ip neigh show
		printf 'events\n%s\n' "$1"
	} | awk -v access="$ACCESS_INTERFACE" -v begins="$EVENT" -v list="$CLIENTS" '
		function is_link_local(address) {
			return address ~ /^fe[89ab]/
		}
		function read_neighbours(   i, device) {
			while ((getline) > 0 && $0 != "events") {
				device = ""
				for (i = 2; i < NF; i++) {
					if ($i == "dev") device = $(i + 1)
					if ($i == "lladdr" && index(" " access " ", " " device " "))
						mac_of[$1] = mac_of[$1 "%" device] = $(i + 1)
				}
			}
		}
		function read_list(   line, words) {
			while ((getline line < list) > 0) {
				if (split(line, words, " ") < 2) continue
				known[words[1]] = words[2]
				if (begins != "start") passes[words[1]] = words[2]
			}
			close(list)
		}
		function complain(address, problem) {
			print "client " address ": " problem >"/dev/stderr"
		}
		function mac(address) {
			if (mac_of[address] != "") return mac_of[address]
			return address in known && known[address] != "" ? known[address] : "-"
		}
		BEGIN {
			read_list()
			read_neighbours()
		}
		$1 == "revoke" { delete passes[$2] }
		# A client with a known MAC address does not move to an address without one: it keeps its old address, and the PAA retries.
		$1 == "move" && $3 != "-" {
			if (mac_of[$2] == "" && $3 in passes && passes[$3] != "-") {
				complain($2, "no neighbour has its new address: it stays at " $3)
				failed = 1
				next
			}
			delete passes[$3]
		}
		$1 == "permit" || $1 == "move" {
			passes[$2] = mac($2)
			if (passes[$2] != "-") next
			if (is_link_local($2)) complain($2, "no MAC address is known for it, and nothing is forwarded from link-local addresses")
			else complain($2, "no MAC address is known for it: its address alone counts")
		}
		END {
			for (each in passes) count++
			# A short list is sorted without other processes.
			if (count <= 100) {
				for (each in passes) {
					for (i = done++; i > 0 && sorted[i - 1] > each; i--) sorted[i] = sorted[i - 1]
					sorted[i] = each
				}
				for (i = 0; i < done; i++) print sorted[i], passes[sorted[i]]
			} else {
				for (each in passes) print each, passes[each] | "sort"
				close("sort")
			}
			exit failed
		}
	'
}

# rules 6|4: prints the rules for the list on standard input, in the form for ip6tables-restore --noflush, which replaces only
# the chains that they name.
rules() {
	printf '*filter\n:pana_ep - [0:0]\n:pana_from - [0:0]\n:pana_to - [0:0]\n'
	# Accept traffic that stays on a link, see ep-nft.sh.
	if [ "$1" = 6 ]; then
		for type in 133 134 135 136 137; do
			say "-A pana_ep -p icmpv6 --icmpv6-type $type -m hl --hl-eq 255 -j RETURN"
		done
		say "-A pana_ep -d fe80::/10 -j RETURN"
		say "-A pana_ep -d ff02::/16 -j RETURN"
	else
		say "-A pana_ep -d 224.0.0.0/24 -j RETURN"
		say "-A pana_ep -d 255.255.255.255/32 -j RETURN"
		for from in $ACCESS_INTERFACE; do
			for to in $ACCESS_INTERFACE; do say "-A pana_ep -i $from -o $to -d 169.254.0.0/16 -j RETURN"; done
		done
	fi
	for paa in $PAA; do
		case $paa in
		*:*) [ "$1" = 6 ] || continue ;;
		*) [ "$1" = 4 ] || continue ;;
		esac
		for interface in $ACCESS_INTERFACE; do
			say "-A pana_ep -i $interface -d $paa -p udp --dport $PAA_PORT -j RETURN"
			say "-A pana_ep -o $interface -s $paa -p udp --sport $PAA_PORT -j RETURN"
		done
	done
	for interface in $ACCESS_INTERFACE; do
		say "-A pana_ep -i $interface -j pana_from"
		say "-A pana_ep -o $interface -j pana_to"
	done
	awk -v family="$1" -v addresses="$ADDRESSES" '
		NF == 2 {
			address = $1
			sub(/%.*/, "", address)
			by_mac = addresses == "mac" || address ~ /^fe[89ab]/
			if (by_mac && $2 != "-") {
				if ($2 in done) next
				done[$2] = 1
				name = $2
				gsub(/:/, "", name)
				print "-A pana_from -m mac --mac-source " $2 " -m recent --name pana_" name " --set --rsource -j RETURN"
				print "-A pana_to -m recent --name pana_" name " --rcheck --seconds 300 --rdest -j RETURN"
			}
			if ((address ~ /:/ ? 6 : 4) != family || address ~ /^fe[89ab]/) next
			if ($2 == "-") print "-A pana_from -s " address " -j RETURN"
			else if (!by_mac) print "-A pana_from -s " address " -m mac --mac-source " $2 " -j RETURN"
			print "-A pana_to -d " address " -j RETURN"
		}
	'
	printf '%s\n' '-A pana_from -j DROP' '-A pana_to -j DROP' COMMIT
}

# makes_chains PROGRAM: whether it can change the kernel's tables. Listing succeeds also without nf_tables.
makes_chains() {
	"$1" -w 10 -N pana_try 2>/dev/null || return 1
	"$1" -w 10 -X pana_try
}

# choose PROGRAM: notes its legacy variant if that works and PROGRAM does not.
choose() {
	"$1" -w 10 -X pana_try 2>/dev/null || :
	if makes_chains "$1" || ! command -v "$1-legacy" >/dev/null || ! makes_chains "$1-legacy"; then return; fi
	say "$1-legacy" >>"$LEGACY"
	say "$1 cannot change the tables of this kernel: $1-legacy is used"
}

# variant PROGRAM: prints it, or its legacy variant if choose() noted that.
variant() {
	if [ -e "$LEGACY" ] && grep -qx "$1-legacy" "$LEGACY"; then say "$1-legacy"; else say "$1"; fi
}

# each_family FUNCTION: calls FUNCTION with 6 or 4 and the program.
each_family() {
	"$1" 6 "$IP6TABLES"
	if [ "$IPTABLES" != none ]; then "$1" 4 "$IPTABLES"; fi
}

# Completes the chains before FORWARD jumps to them, so that no other client passes in between.
apply() {
	if [ "$DRY_RUN" = yes ]; then
		say "$list" | rules "$1"
		return
	fi
	say "$list" | rules "$1" | "$2-restore" -w 10 --noflush || die "$2-restore refused the rules"
	"$2" -w 10 -C FORWARD -j pana_ep 2>/dev/null || "$2" -w 10 -I FORWARD 1 -j pana_ep || die "$2 refused the jump in FORWARD"
}

remove() {
	while act "$2" -w 10 -D FORWARD -j pana_ep 2>/dev/null; do [ "$DRY_RUN" != yes ] || break; done
	for chain in pana_ep pana_from pana_to; do
		act "$2" -w 10 -F "$chain" 2>/dev/null || :
	done
	for chain in pana_ep pana_from pana_to; do
		act "$2" -w 10 -X "$chain" 2>/dev/null || :
	done
}

check_rules() {
	[ "$DRY_RUN" != yes ] || return 0
	"$2" -w 10 -C FORWARD -j pana_ep 2>/dev/null || die "$2: the rules were removed, and every client passes"
}

if [ "$DRY_RUN" != yes ] && { [ "$EVENT" = start ] || [ "$EVENT" = close ]; }; then
	lock
	rm -f "$LEGACY"
	[ -n "${IP6TABLES:-}" ] || choose ip6tables
	[ -n "${IPTABLES:-}" ] || choose iptables
fi
IP6TABLES=${IP6TABLES:-$(variant ip6tables)}
IPTABLES=${IPTABLES:-$(variant iptables)}

# may_list FAMILY PROGRAM: for the event test.
may_list() {
	need "$2" iptables
	"$2" -w 10 -n -L FORWARD >/dev/null ||
		die "$2 may not use the packet filter: under systemd, the service needs packet-filter.conf or packet-filter-legacy.conf"
}

status=0
case $EVENT in
test)
	each_family may_list
	test_router
	;;
check)
	check_set_up
	each_family check_rules
	;;
stop | close)
	lock
	list=
	not_set_up
	if is_open; then each_family remove; else each_family apply; fi
	rm -f "$CLIENTS"
	;;
*)
	events=$(each_event say_event)
	[ -n "$events" ] || [ "$EVENT" = start ] || exit 0
	lock
	if [ "$EVENT" = start ]; then
		for interface in $ACCESS_INTERFACE; do
			ip link show dev "$interface" >/dev/null 2>&1 || say "interface $interface does not exist (yet)"
		done
	fi
	solicit "$events"
	list=$(clients "$events") || status=$?
	each_family apply
	put "$CLIENTS" 600 say "$list"
	[ "$EVENT" != start ] || set_up
	;;
esac
exit "$status"
