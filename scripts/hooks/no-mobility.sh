# shellcheck shell=sh
# No Mobile IPv6 daemon; read with "." after common.sh. With racoon, setkey writes the policies for mobility headers that
# other programs send. strongSwan needs none: it tunnels the home address itself. The home agent answers neighbour
# solicitations for the home address on the home link, as a home agent of Mobile IPv6 does (RFC 6275, section 10.4.1).

if [ "$IKE" = racoon ]; then
	# shellcheck source=scripts/hooks/setkey.sh
	. "$HERE/setkey.sh"
fi

mobility_mn_up() {
	[ "$IKE" != racoon ] || setkey_mn_up
}

# charon has a tunnel from the new care-of address. Remove the old one, unless the new link has its network too: the kernel would
# use it for other traffic.
mobility_mn_move() {
	move_old=${MIP6_COA_OLD:-}
	case $move_old in
	'' | *%* | fe[89ab]?:* | *.* | "${MIP6_HOA:-}") return 0 ;;
	esac
	check_address MIP6_COA_OLD "$move_old"
	move_new=${MIP6_COA:-}
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
	[ "$IKE" != racoon ] || setkey_mn_down
}

mobility_ha_up() {
	if [ "$IKE" = racoon ]; then setkey_ha_add; else proxy_add "$MIP6_HOA"; fi
}

mobility_ha_verify() {
	:
}

mobility_ha_down() {
	if [ "$IKE" = racoon ]; then setkey_ha_delete; else proxy_remove "$MIP6_HOA"; fi
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
