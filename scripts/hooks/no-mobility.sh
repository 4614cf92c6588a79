# shellcheck shell=sh
# No Mobile IPv6 daemon; read with "." after common.sh. With racoon, setkey writes the policies for mobility headers that
# other programs send. strongSwan needs none: it tunnels the home address itself. The home agent answers neighbour
# solicitations for the home address on the home link, as a home agent of Mobile IPv6 does (RFC 6275, section 10.4.1).

if [ "$IKE" = racoon ]; then
	# shellcheck source=scripts/hooks/setkey.sh
	. "$HERE/setkey.sh"
fi

mobility_mn_up() {
	if [ "$IKE" = racoon ]; then
		setkey_mn_up
		return
	fi
	[ "$EVENT" != up ] || tunnel_rules add
	[ "${HAS_MOVED:-no}" = no ] || mobility_mn_move
}

# tunnel_rules add|del: only the home address, and packets without a source address yet, take charon's route into the tunnel
# (table 220). Packets from the care-of address, such as those of PANA to the next PAA, would be lost there: the tunnel carries
# only the home address. The numbers are those of charon's rule (charon.routing_table_prio) and its neighbours.
tunnel_rules() {
	[ "$DRY_RUN" != yes ] || return 0
	{
		printf 'rule %s pref 218 from %s lookup 220\n' "$1" "$MIP6_HOA"
		for rules_from in 2000::/3 fc00::/7; do printf 'rule %s pref 219 from %s goto 221\n' "$1" "$rules_from"; done
		printf 'rule %s pref 221 nop\n' "$1"
	} | ip -6 -force -batch - 2>/dev/null || :
}

# charon has a tunnel from the new care-of address. Remove the old one, unless the new link has its network too: the kernel would
# use it for other traffic.
mobility_mn_move() {
	move_old=${MIP6_COA_OLD:-}
	case $move_old in
	'' | *%* | fe[89ab]?:* | *.*) move_old=${FORMER:-} ;;
	esac
	case $move_old in
	'' | *%* | fe[89ab]?:* | *.* | "${MIP6_HOA:-}" | "${CARE_OF:-}") return 0 ;;
	esac
	check_address MIP6_COA_OLD "$move_old"
	move_new=${CARE_OF:-${MIP6_COA:-}}
	case $(ip -6 -o address show dev "$INTERFACE" to "$move_old/64" 2>/dev/null) in
	*" $move_new/"*) return 0 ;;
	esac
	act ip -6 address del "$move_old/64" dev "$INTERFACE" 2>/dev/null ||
		act ip -6 address del "$move_old/128" dev "$INTERFACE" 2>/dev/null ||
		say "move: $move_old is not on $INTERFACE"
}

mobility_mn_check() {
	:
}

mobility_mn_down() {
	if [ "$IKE" = racoon ]; then setkey_mn_down; else tunnel_rules del; fi
}

mobility_ha_up() {
	if [ "$IKE" = racoon ]; then setkey_ha_add; else proxy_add "$MIP6_HOA"; fi
}

mobility_ha_verify() {
	:
}

mobility_ha_down() {
	if [ "$IKE" = racoon ]; then setkey_ha_delete; else proxy_remove "$MIP6_HOA"; fi
	[ "$(count_nodes)" != 0 ] || remove_rest "$CONF_DIR/.new.$$"
}

# Adds the proxy entries again that a restart of the host has removed.
mobility_ha_check() {
	[ "$IKE" != racoon ] || return 0
	PROXIES=$(ip -6 neigh show proxy dev "$INTERFACE" 2>/dev/null || :)
	each_node proxy_check
}

proxy_check() {
	case "$PROXIES
" in
	*"$HOA "*) ;;
	*) proxy_add "$HOA" ;;
	esac
}

# proxy_setting NAME VALUE: writes a setting of the interface.
proxy_setting() {
	printf '%s\n' "$2" 2>/dev/null >"/proc/sys/net/ipv6/$1" ||
		say "cannot set net/ipv6/$1: hosts of the home link will not find the node"
}

# Makes this host answer neighbour solicitations for a home address, without the default delay of up to 0.8 s. A home network that
# is only routed to the home agent needs no proxy.
proxy_add() {
	if ! act ip -6 neigh replace proxy "$1" dev "$INTERFACE" 2>/dev/null; then
		say "no proxy for $1 on $INTERFACE: hosts of a home link will not find the node"
		return 0
	fi
	[ "$DRY_RUN" != yes ] || return 0
	proxy_setting "conf/$INTERFACE/proxy_ndp" 1
	proxy_setting "neigh/$INTERFACE/proxy_delay" 0
}

proxy_remove() {
	act ip -6 neigh del proxy "$1" dev "$INTERFACE" 2>/dev/null || :
}
