#!/bin/sh
# Enforcement point on Linux: nftables forwards packets from and to the access link only for authorized clients. It does not
# filter packets for the router itself (neighbour discovery, DAD, DHCP, PANA).
# Events: start, permit, move, revoke, batch, check, stop, close, test. Works with hooks.ep-batch: true.
#
# Settings, in hooks.conf:
#   ACCESS_INTERFACE="br0 eth1.7"   where clients are (default: pana.interface of the PAA)
#   ADDRESSES=one                   a client may use only the address that it authenticated from, with its MAC address; for a
#                                   link-local one, which routers do not forward, ADDRESSES=mac applies
#   ADDRESSES=mac                   a client may use any address with its MAC address, including addresses of its neighbours
#   AT_STOP=closed                  when the PAA stops, no client passes; AT_STOP=open: every client passes
#   PAA="2001:db8:a::2"             a PAA that clients reach through this machine: PANA packets pass; PAA_PORT=716
#   SOLICIT=yes                     look up the MAC addresses of new clients (default if the PAA is on another machine)

HERE=$(dirname "$0")
# shellcheck source=scripts/hooks/common.sh
. "$HERE/common.sh"
# shellcheck source=scripts/hooks/ep-events.sh
. "$HERE/ep-events.sh"

settings_on_linux
# One file per client: the MAC addresses that the kernel may have for it; the last one is current. After a restart the earlier
# ones are the fallback.
MACS=$MIP6_STATE_DIR/ep
MACS_BEFORE=$MIP6_STATE_DIR/ep-before

no_table() {
	say 'add table inet pana_ep'
	say 'delete table inet pana_ep'
}

# A packet between two clients is checked in both directions. If br_netfilter is loaded (Docker loads it), bridged frames
# also traverse these rules. Traffic that stays on a link, such as neighbour discovery, is accepted: it has a hop limit of 255 or
# link-local addresses, and no router forwards it. Linux does forward IPv4 link-local addresses.
table() {
	cat <<-END
		table inet pana_ep {
			set access { type ifname; elements = { $(quoted) }; }
			set clients6 { type ipv6_addr . ether_addr; flags timeout; }
			set clients4 { type ipv4_addr . ether_addr; flags timeout; }
			set clients6_no_mac { type ipv6_addr; flags timeout; }
			set clients4_no_mac { type ipv4_addr; flags timeout; }
			set macs { type ether_addr; flags timeout; }
			set down6 { type ipv6_addr; flags timeout; }
			set down4 { type ipv4_addr; flags timeout; }
			set seen6 { type ipv6_addr; size 65536; flags dynamic,timeout; timeout 5m; }
			set seen4 { type ipv4_addr; size 65536; flags dynamic,timeout; timeout 5m; }
			chain from_client {
				ip6 saddr . ether saddr @clients6 return
				ip saddr . ether saddr @clients4 return
				ip6 saddr @clients6_no_mac return
				ip saddr @clients4_no_mac return
				ether saddr @macs update @seen6 { ip6 saddr } return
				ether saddr @macs update @seen4 { ip saddr } return
				counter drop
			}
			chain to_client {
				ip6 daddr @down6 return
				ip daddr @down4 return
				ip6 daddr @seen6 return
				ip daddr @seen4 return
				counter drop
			}
			chain forward {
				type filter hook forward priority filter; policy accept;
				ip6 hoplimit 255 icmpv6 type { 133-137 } return
				ip6 daddr { fe80::/10, ff02::/16 } return
				ip daddr { 224.0.0.0/24, 255.255.255.255 } return
				iifname @access oifname @access ip daddr 169.254.0.0/16 return
				$(pana)
				iifname @access jump from_client
				oifname @access jump to_client
			}
		}
	END
}

quoted() {
	for interface in $ACCESS_INTERFACE; do printf '"%s", ' "$interface"; done
}

# Not by its source alone: a client could use the address of the PAA.
pana() {
	for paa in $PAA; do
		case $paa in
		*:*) family=ip6 ;;
		*) family=ip ;;
		esac
		say "iifname @access $family daddr $paa udp dport $PAA_PORT return"
		say "oifname @access $family saddr $paa udp sport $PAA_PORT return"
	done
}

say_event() {
	say "$event ${coa:--} ${old:--} ${lifetime:--}"
}

# Converts events on standard input to nft commands, and to lines after "#" with the state to keep of each client. To remove
# an element, it is added and then deleted: this works whether or not it exists, and nft applies all commands atomically.
commands() {
	cd "$MACS"
	awk -v access="$ACCESS_INTERFACE" -v addresses="$ADDRESSES" -v before="$MACS_BEFORE" '
		function plain(address) {
			sub(/%.*/, "", address)
			return address
		}
		function is_link_local(address) {
			return address ~ /^fe[89ab]/
		}
		function read_neighbours(only,   command, line, words, n, i, device) {
			command = "ip neigh show" only
			while ((command | getline line) > 0) {
				n = split(line, words, " ")
				device = ""
				for (i = 2; i < n; i++) {
					if (words[i] == "dev") device = words[i + 1]
					if (words[i] == "lladdr" && index(" " access " ", " " device " ")) {
						mac_of[words[1]] = mac_of[words[1] "%" device] = words[i + 1]
						used[words[i + 1]] = used[words[i + 1]] " " words[1]
					}
				}
			}
			close(command)
		}
		function gone(set, element) {
			print "add element inet pana_ep " set " { " element " }"
			print "delete element inet pana_ep " set " { " element " }"
		}
		function there(set, element) {
			print "add element inet pana_ep " set " { " element limit " }"
		}
		function known(address,   file, line) {
			if (address in known_of) return
			known_of[address] = ""
			file = address ".mac"
			while ((getline line < file) > 0) known_of[address] = known_of[address] " " line
			close(file)
		}
		function last_known(address,   file, line, mac, list, n) {
			n = split(known_of[address], list, " ")
			mac = n ? list[n] : ""
			file = before "/" address ".mac"
			while ((getline line < file) > 0) mac = line
			close(file)
			return mac
		}
		# Count the owners of a MAC address: a node may have two sessions, from two addresses.
		function read_owners(   command, line, at, address) {
			if (owners_read) return
			owners_read = 1
			command = "grep -r . ."
			while ((command | getline line) > 0) {
				at = index(line, ".mac:")
				address = substr(line, 3, at - 3)
				if (by_mac(address)) count(substr(line, at + 5), address)
			}
			close(command)
		}
		function count(mac, address) {
			if ((mac, address) in owns) return
			owns[mac, address] = 1
			owners[mac]++
		}
		function own(mac, address) {
			read_owners()
			count(mac, address)
			touched[mac] = 1
			limit_of[mac] = limit
		}
		function disown(mac, address) {
			read_owners()
			touched[mac] = 1
			if (!((mac, address) in owns)) return
			delete owns[mac, address]
			owners[mac]--
		}
		function settle(mac,   list, n, i) {
			if (owners[mac] > 0) {
				if (!(mac in limit_of)) return
				gone("macs", mac)
				limit = limit_of[mac]
				there("macs", mac)
				return
			}
			gone("macs", mac)
			n = split(used[mac], list, " ")
			for (i = 1; i <= n; i++) gone("seen" (index(list[i], ":") ? 6 : 4), list[i])
		}
		function by_mac(address) {
			return addresses == "mac" || is_link_local(address)
		}
		function shut(address,   family, list, n, i) {
			family = index(address, ":") ? 6 : 4
			known(address)
			n = split(known_of[address], list, " ")
			for (i = 1; i <= n; i++) {
				gone("clients" family, plain(address) " . " list[i])
				if (by_mac(address)) disown(list[i], address)
			}
			gone("clients" family "_no_mac", plain(address))
			gone("down" family, plain(address))
			kept[address] = "-"
		}
		# A client with a known MAC address does not move to an address without one: it keeps its old address, and the PAA retries.
		function fits(address, old) {
			if (event_of[n] != "move" || old == "-" || mac_of[address] != "") return 1
			known(old)
			if (known_of[old] == "") return 1
			complain("no neighbour has its new address: it stays at " old)
			failed = 1
			return 0
		}
		function open(address,   family, mac) {
			shut(address)
			family = index(address, ":") ? 6 : 4
			mac = mac_of[address]
			if (mac == "") mac = last_known(address)
			if (mac != "") remember(address, mac)
			if (mac != "" && by_mac(address)) own(mac, address)
			if (is_link_local(address)) {
				if (mac == "") complain("no MAC address is known for it, and nothing is forwarded from link-local addresses")
				return
			}
			if (mac == "") {
				there("clients" family "_no_mac", address)
				complain("no MAC address is known for it: its address alone counts")
			} else there("clients" family, address " . " mac)
			there("down" family, address)
		}
		function complain(problem) {
			print "client " address_of[n] ": " problem >"/dev/stderr"
		}
		function remember(address, mac,   file) {
			kept[address] = mac
			if (index(known_of[address] " ", " " mac " ")) return
			known_of[address] = known_of[address] " " mac
			file = address ".mac"
			print mac >>file
			close(file)
		}
		{ event_of[NR] = $1; address_of[NR] = $2; old_of[NR] = $3; seconds[NR] = $4 == "-" ? $4 : $4 + 0 }
		END {
			read_neighbours(NR == 1 && !by_mac(address_of[1]) && !by_mac(old_of[1]) ? " to " address_of[1] : "")
			for (n = 1; n <= NR; n++) {
				# nft accepts eight digits: three years.
				if (seconds[n] != "-" && seconds[n] > 99999999) seconds[n] = 99999999
				limit = seconds[n] == "-" ? "" : " timeout " seconds[n] "s"
				if (!fits(address_of[n], old_of[n])) continue
				if (event_of[n] == "move" && old_of[n] != "-") shut(old_of[n])
				if (event_of[n] == "revoke" && address_of[n] != "-") shut(address_of[n])
				if (event_of[n] == "permit" || event_of[n] == "move") open(address_of[n])
			}
			for (each in touched) settle(each)
			for (each in kept) print "# " each " " kept[each]
			exit failed
		}
	'
}

# The kernel has applied the change: forget the earlier MAC addresses.
keep() {
	set --
	while read -r mark address mac; do
		[ "$mark" = '#' ] || continue
		if [ "$mac" = - ]; then
			set -- "$@" "$MACS/$address.mac"
		else
			printf '%s\n' "$mac" >"$MACS/$address.mac"
		fi
	done
	[ $# = 0 ] || rm -f "$@"
}

nft_do() {
	if [ "$DRY_RUN" = yes ]; then
		say "$1"
	elif ! say "$1" | nft -f -; then
		[ "$EVENT" != start ] || exit 1
		check_table
		exit 1
	fi
}

check_table() {
	if nft -t list table inet pana_ep >/dev/null 2>&1; then return 0; fi
	die "the table inet pana_ep was removed, and every client passes: send SIGHUP to the PAA to set it up again"
}

case $EVENT in
test)
	need nft nftables
	say "$(no_table; table)" | nft -c -f - ||
		die "nft may not change the packet filter: under systemd, the service needs the drop-in packet-filter.conf"
	test_router
	;;
start)
	events=$(each_event say_event)
	for interface in $ACCESS_INTERFACE; do
		ip link show dev "$interface" >/dev/null 2>&1 || say "interface $interface does not exist (yet)"
	done
	rm -rf "$MACS_BEFORE"
	mkdir -p "$MACS"
	mv "$MACS" "$MACS_BEFORE"
	mkdir "$MACS"
	solicit "$events"
	changes=$([ -z "$events" ] || say "$events" | commands)
	nft_do "$(
		no_table
		table
		say "$changes"
	)"
	rm -rf "$MACS_BEFORE"
	set_up
	;;
check)
	check_set_up
	check_table
	;;
stop | close)
	rm -rf "$MACS"
	not_set_up
	if is_open; then nft_do "$(no_table)"; else
		nft_do "$(
			no_table
			table
		)"
	fi
	;;
*)
	mkdir -p "$MACS"
	events=$(each_event say_event)
	[ -n "$events" ] || exit 0
	solicit "$events"
	# The commands for a MAC address depend on the files of other clients.
	case "$ADDRESSES $events" in
	mac* | *' fe'[89ab]*) lock ;;
	esac
	changes=$(say "$events" | commands)
	nft_do "$changes"
	say "$changes" | keep
	;;
esac
