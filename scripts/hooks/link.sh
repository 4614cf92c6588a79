# shellcheck shell=sh
# The link of a mobile node on Linux; read with "." after common.sh.

# Settings of interfaces.
: "${SYSFS:=/sys}"
LINK_SEEN=$CONF_DIR/.carrier

# look_at_carrier: sets HAS_NEW_LINK to yes if the interface has lost its carrier since the last hook. With the carrier, the kernel
# forgets the neighbours; if it has not noticed the loss, the daemon makes it forget them.
HAS_NEW_LINK=no
look_at_carrier() {
	[ "$DRY_RUN" != yes ] || return 0
	link_changes='' link_seen=''
	{ read -r link_changes <"$SYSFS/class/net/$INTERFACE/carrier_changes"; } 2>/dev/null || :
	{ read -r link_seen <"$LINK_SEEN"; } 2>/dev/null || :
	[ "$link_changes" != "$link_seen" ] || return 0
	[ -z "$link_seen" ] || HAS_NEW_LINK=yes
	printf '%s\n' "$link_changes" >"$LINK_SEEN"
}

# forget_routers: after a move, removes default routes of the former link, which the kernel would use for seconds. If there are
# several routers, asks each for its link-layer address, and removes those that do not answer while another does. A router of
# this link that was slow advertises itself again. Sets ROUTERS_GONE to the removed ones.
ROUTERS_GONE=
forget_routers() {
	[ "$DRY_RUN" != yes ] || return 0
	# Without loss of the carrier, the kernel remembers the neighbours of the former link. mip6d takes a router that it forgets for
	# lost, and removes the care-of address, so do not flush without need.
	routers_flush="neigh flush dev $INTERFACE$NL"
	[ "$HAS_NEW_LINK" = no ] || routers_flush=
	routers_left=$(printf '%sroute show default dev %s proto ra\n' "$routers_flush" "$INTERFACE" |
		ip -6 -force -batch - 2>/dev/null || :)
	routers=
	while :; do
		case $routers_left in
		*'via '*) ;;
		*) break ;;
		esac
		routers_left=${routers_left#*via }
		routers="$routers ${routers_left%% *}"
	done
	# One router is no choice.
	case $routers in
	' '*' '*) ;;
	*) return 0 ;;
	esac
	# The kernel asks each for its link-layer address.
	for router in $routers; do printf 'neigh replace %s dev %s use\n' "$router" "$INTERFACE"; done |
		ip -6 -force -batch - 2>/dev/null || :
	routers_known=no
	# A router of this link answers within milliseconds.
	for routers_nap in 0.03 0.05 0.1 0.2 0.3 0.3; do
		[ "$routers_known" = no ] || break
		nap "$routers_nap"
		routers_here=$(ip -6 neigh show dev "$INTERFACE" 2>/dev/null || :)
		routers_gone=
		for router in $routers; do
			case "$NL$routers_here" in
			*"$NL$router lladdr "*) routers_known=yes ;;
			*) routers_gone="$routers_gone $router" ;;
			esac
		done
	done
	[ "$routers_known" = yes ] || return 0
	[ -n "$routers_gone" ] || return 0
	# shellcheck disable=SC2034 # read by strongswan.sh
	ROUTERS_GONE=$routers_gone
	say "$EVENT: no router$routers_gone on $INTERFACE any more"
	for router in $routers_gone; do
		printf 'route del default via %s dev %s\n' "$router" "$INTERFACE"
		# charon's route for the home address, which charon sets again.
		printf 'route del default via %s dev %s table 220\n' "$router" "$INTERFACE"
	done | ip -6 -force -batch - 2>/dev/null || :
}
