#!/bin/sh
# Home agent on FreeBSD, for many nodes: IKE by strongSwan or racoon, Mobile IPv6 by SHISA or not at all, as hooks.conf says
# (common.sh).
# Events: up, refresh, down, probe.

HERE=$(dirname "$0")
# shellcheck disable=SC2034 # common.sh takes it
DEFAULT_MOBILITY=shisa
# shellcheck source=scripts/hooks/common.sh
. "$HERE/common.sh"
# shellcheck source=scripts/hooks/programs.sh
. "$HERE/programs.sh"

case $EVENT in
up | refresh)
	check_binding
	read_psk
	lock
	ike_ha_put
	mobility_ha_up
	;;
down)
	check_binding
	lock
	ike_ha_remove
	mobility_ha_down
	;;
probe)
	# Nothing runs before the first node comes.
	if [ "$DRY_RUN" != yes ] && [ "$(count_nodes)" != 0 ]; then
		ike_ha_check
		mobility_ha_check
	fi
	;;
*) die "event \"$EVENT\" is not for a home agent" ;;
esac
say "nodes: $(count_nodes)"
