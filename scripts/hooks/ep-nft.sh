#!/bin/sh
# Enforcement point on Linux: nftables forwards nothing from or to the access link but for authorised clients. What is for
# the router itself (neighbour discovery, DAD, DHCP, PANA) is not forwarded, and not judged here.
# Events: start, permit, move, revoke, batch, stop. Works with hooks.ep-batch: true.
#
# Settings, in hooks.conf:
#   ACCESS_INTERFACE="br0 eth1.7"   where clients are (default: pana.interface of the PAA)
#   ADDRESSES=one                   a client passes with the address it authenticated from, or with
#   ADDRESSES=mac                   any address from its MAC address, those of its neighbours too
#   AT_STOP=closed                  when the PAA ends nobody passes, or with AT_STOP=open everybody

HERE=$(dirname "$0")
# shellcheck source=scripts/hooks/common.sh
. "$HERE/common.sh"
# shellcheck source=scripts/hooks/ep-events.sh
. "$HERE/ep-events.sh"

ACCESS_INTERFACE=${ACCESS_INTERFACE:-$INTERFACE}
ADDRESSES=${ADDRESSES:-one}
AT_STOP=${AT_STOP:-closed}
# A file for each client: the MAC addresses that the kernel may have for it, the last one being right.
MACS=$MIP6_STATE_DIR/ep

for interface in $ACCESS_INTERFACE; do check_interface ACCESS_INTERFACE "$interface"; done
case $ADDRESSES in one | mac) ;; *) die "ADDRESSES is one or mac" ;; esac
case $AT_STOP in closed | open) ;; *) die "AT_STOP is closed or open" ;; esac

no_table() {
	say 'add table inet pana_ep'
	say 'delete table inet pana_ep'
}

# Both directions of a packet between two clients are judged. Where br_netfilter is loaded (Docker does that) frames that a
# bridge passes on come here too: what stays on a link, neighbour discovery first of all, is let through. No router forwards
# that: it lowers a hop limit of 255, and leaves link-local addresses alone.
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
				ip daddr { 169.254.0.0/16, 224.0.0.0/24, 255.255.255.255 } return
				iifname @access jump from_client
				oifname @access jump to_client
			}
		}
	END
}

quoted() {
	for interface in $ACCESS_INTERFACE; do printf '"%s", ' "$interface"; done
}

say_event() {
	say "$event ${coa:--} ${old:--} ${lifetime:--}"
}

# Events on standard input become commands for nft and, behind "#", what is to be kept of each client. An element is added
# and deleted to be gone: that works whether it was there or not, and nft does it in one step with what follows.
commands() {
	awk -v access="$ACCESS_INTERFACE" -v addresses="$ADDRESSES" -v macs="$MACS" '
		function read_neighbours(only,   command, line, words, n, i) {
			command = "ip neigh show" only
			while ((command | getline line) > 0) {
				n = split(line, words, " ")
				for (i = 2; i < n; i++) {
					if (words[i] == "dev") device = words[i + 1]
					if (words[i] == "lladdr" && index(" " access " ", " " device " ")) mac_of[words[1]] = words[i + 1]
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
			file = macs "/" address ".mac"
			while ((getline line < file) > 0) known_of[address] = known_of[address] " " line
			close(file)
		}
		function shut(address,   family, list, n, i) {
			family = index(address, ":") ? 6 : 4
			known(address)
			n = split(known_of[address], list, " ")
			for (i = 1; i <= n; i++) {
				gone("clients" family, address " . " list[i])
				if (addresses == "mac") gone("macs", list[i])
			}
			gone("clients" family "_no_mac", address)
			gone("down" family, address)
			kept[address] = "-"
		}
		function open(address,   family, mac) {
			shut(address)
			family = index(address, ":") ? 6 : 4
			mac = mac_of[address]
			if (mac == "") there("clients" family "_no_mac", address)
			else {
				there("clients" family, address " . " mac)
				if (addresses == "mac") there("macs", mac)
				remember(address, mac)
			}
			there("down" family, address)
			if (address ~ /^fe[89ab]/ && (mac == "" || addresses != "mac"))
				print "client " address ": link-local addresses are not forwarded; see ADDRESSES" >"/dev/stderr"
		}
		function remember(address, mac,   file) {
			kept[address] = mac
			if (index(known_of[address] " ", " " mac " ")) return
			known_of[address] = known_of[address] " " mac
			file = macs "/" address ".mac"
			print mac >>file
			close(file)
		}
		{ sub(/%.*/, "", $2); sub(/%.*/, "", $3); event[NR] = $1; address[NR] = $2; old[NR] = $3; seconds[NR] = $4 }
		END {
			read_neighbours(NR == 1 && address[1] != "-" ? " to " address[1] : "")
			for (n = 1; n <= NR; n++) {
				limit = seconds[n] == "-" ? "" : " timeout " seconds[n] "s"
				if (event[n] == "move" && old[n] != "-") shut(old[n])
				if (event[n] == "revoke" && address[n] != "-") shut(address[n])
				if (event[n] == "permit" || event[n] == "move") open(address[n])
			}
			for (each in kept) print "# " each " " kept[each]
		}
	'
}

# The kernel has it: what it had before need not be known any more.
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
	else
		say "$1" | nft -f -
	fi
}

case $EVENT in
start)
	events=$(each_event say_event)
	rm -rf "$MACS"
	mkdir -p "$MACS"
	changes=$([ -z "$events" ] || say "$events" | commands)
	nft_do "$(
		no_table
		table
		say "$changes"
	)"
	;;
stop)
	rm -rf "$MACS"
	if [ "$AT_STOP" = open ]; then nft_do "$(no_table)"; else
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
	changes=$(say "$events" | commands)
	nft_do "$changes"
	say "$changes" | keep
	;;
esac
