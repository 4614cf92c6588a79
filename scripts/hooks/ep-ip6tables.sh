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

# clients EVENTS: prints the new list, then "rules 6" and "rules 4", each followed by the rules of the clients for that family. MAC
# addresses come from the neighbour table. Those that the table no longer has come from the old list; at "start" that is the list of
# the previous run. One process makes all of it: until it has ended, a node that has moved is cut off.
clients() {
	{
		ip neigh show
		printf 'events\n%s\n' "$1"
	} | awk -v access="$ACCESS_INTERFACE" -v begins="$EVENT" -v list="$CLIENTS" -v addresses="$ADDRESSES" '
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
		function add_client(address, mac,   by_mac, name, family) {
			sub(/%.*/, "", address)
			by_mac = addresses == "mac" || is_link_local(address)
			if (by_mac && mac != "-") {
				if (mac in has_rules) return
				has_rules[mac] = 1
				name = mac
				gsub(/:/, "", name)
				for (family = 4; family <= 6; family += 2) {
					add(family, "-A pana_from -m mac --mac-source " mac " -m recent --name pana_" name " --set --rsource -j RETURN")
					add(family, "-A pana_to -m recent --name pana_" name " --rcheck --seconds 300 --rdest -j RETURN")
				}
			}
			if (is_link_local(address)) return
			family = address ~ /:/ ? 6 : 4
			if (mac == "-") add(family, "-A pana_from -s " address " -j RETURN")
			else if (!by_mac) add(family, "-A pana_from -s " address " -m mac --mac-source " mac " -j RETURN")
			add(family, "-A pana_to -d " address " -j RETURN")
		}
		function add(family, rule) {
			rules[family, rule_count[family]++] = rule
		}
		function print_rules(family,   i) {
			print "rules " family
			for (i = 0; i < rule_count[family]; i++) print rules[family, i]
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
			for (i = 0; i < done; i++) add_client(sorted[i], passes[sorted[i]])
			if (!done) for (each in passes) add_client(each, passes[each])
			print_rules(6)
			print_rules(4)
			exit failed
		}
	'
}

# begin_rules 6|4: sets RULES to the rules before those of the clients, in the form for ip6tables-restore --noflush, which replaces only
# the chains that they name. Starts no process.
begin_rules() {
	RULES="*filter$NL:pana_ep - [0:0]$NL:pana_from - [0:0]$NL:pana_to - [0:0]$NL"
	# Accept traffic that stays on a link, see ep-nft.sh.
	if [ "$1" = 6 ]; then
		for type in 133 134 135 136 137; do
			add_rule "pana_ep -p icmpv6 --icmpv6-type $type -m hl --hl-eq 255 -j RETURN"
		done
		add_rule 'pana_ep -d fe80::/10 -j RETURN'
		add_rule 'pana_ep -d ff02::/16 -j RETURN'
	else
		add_rule 'pana_ep -d 224.0.0.0/24 -j RETURN'
		add_rule 'pana_ep -d 255.255.255.255/32 -j RETURN'
		for from in $ACCESS_INTERFACE; do
			for to in $ACCESS_INTERFACE; do add_rule "pana_ep -i $from -o $to -d 169.254.0.0/16 -j RETURN"; done
		done
	fi
	for paa in $PAA; do
		case $paa in
		*:*) [ "$1" = 6 ] || continue ;;
		*) [ "$1" = 4 ] || continue ;;
		esac
		for interface in $ACCESS_INTERFACE; do
			add_rule "pana_ep -i $interface -d $paa -p udp --dport $PAA_PORT -j RETURN"
			add_rule "pana_ep -o $interface -s $paa -p udp --sport $PAA_PORT -j RETURN"
		done
	done
	for interface in $ACCESS_INTERFACE; do
		add_rule "pana_ep -i $interface -j pana_from"
		add_rule "pana_ep -o $interface -j pana_to"
	done
}

add_rule() {
	RULES="$RULES-A $1$NL"
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

# variant PROGRAM: sets VARIANT to it, or to its legacy variant if choose() noted that. Starts no process.
variant() {
	VARIANT=$1
	[ -e "$LEGACY" ] || return 0
	while read -r noted; do
		[ "$noted" != "$1-legacy" ] || VARIANT=$noted
	done <"$LEGACY"
}

# each_family FUNCTION: calls FUNCTION with 6 or 4 and the program.
each_family() {
	"$1" 6 "$IP6TABLES"
	if [ "$IPTABLES" != none ]; then "$1" 4 "$IPTABLES"; fi
}

apply() {
	begin_rules "$1"
	apply_rules=$rules6
	[ "$1" = 6 ] || apply_rules=$rules4
	RULES="$RULES$apply_rules${apply_rules:+$NL}-A pana_from -j DROP$NL-A pana_to -j DROP${NL}COMMIT"
	if [ "$DRY_RUN" = yes ]; then
		say "$RULES"
	else
		say "$RULES" | "$2-restore" -w 10 --noflush || die "$2-restore refused the rules"
	fi
}

# After the chains are complete, so that no other client passes in between.
jump() {
	[ "$DRY_RUN" != yes ] || return 0
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
variant ip6tables
IP6TABLES=${IP6TABLES:-$VARIANT}
variant iptables
IPTABLES=${IPTABLES:-$VARIANT}

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
	rules6='' rules4=''
	not_set_up
	if is_open; then
		each_family remove
	else
		each_family apply
		each_family jump
	fi
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
	made=$NL$(clients "$events") || status=$?
	list=${made%%"${NL}rules 6"*}
	list=${list#"$NL"}
	rules6=${made#*"${NL}rules 6"}
	rules4=${rules6#*"${NL}rules 4"}
	rules4=${rules4#"$NL"}
	rules6=${rules6%%"${NL}rules 4"*}
	rules6=${rules6#"$NL"}
	each_family apply
	each_family jump
	put "$CLIENTS" 600 say "$list"
	[ "$EVENT" != start ] || set_up
	;;
esac
exit "$status"
