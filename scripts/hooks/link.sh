# shellcheck shell=sh
# The link of a mobile node on Linux; read with "." after common.sh.

# forget_routers: after a move, removes default routes of the former link, which the kernel would use for seconds: those by a
# router whose link-layer address is unknown here, while that of another is known. A router of this link advertises itself again.
forget_routers() {
	[ "$DRY_RUN" != yes ] || return 0
	routers_left=$(ip -6 route show default dev "$INTERFACE" proto ra 2>/dev/null || :)
	routers=
	while :; do
		case $routers_left in
		*' via '*) ;;
		*) break ;;
		esac
		routers_left=${routers_left#* via }
		routers="$routers ${routers_left%% *}"
	done
	# One router is no choice.
	case $routers in
	' '*' '*) ;;
	*) return 0 ;;
	esac
	routers_here=$(ip -6 neigh show dev "$INTERFACE" 2>/dev/null || :)
	routers_gone=
	routers_known=no
	for router in $routers; do
		case "$NL$routers_here" in
		*"$NL$router lladdr "*) routers_known=yes ;;
		*) routers_gone="$routers_gone $router" ;;
		esac
	done
	[ "$routers_known" = yes ] || return 0
	for router in $routers_gone; do
		say "move: no router $router on $INTERFACE any more"
		ip -6 route del default via "$router" dev "$INTERFACE" 2>/dev/null || :
		# charon's route for the home address, which charon sets again.
		ip -6 route del default via "$router" dev "$INTERFACE" table 220 2>/dev/null || :
	done
}
