#!/bin/sh
# Mobile node on Linux. hooks.conf (common.sh) selects IKE: strongSwan or racoon; and Mobile IPv6: UMIP or none.
# Events: up, refresh, move, down, reconfigure, test. watch.sh runs it with probe, which starts programs and SAs again that have ended.

case $0 in
*/*) HERE=${0%/*} ;;
*) HERE=. ;;
esac
# shellcheck disable=SC2034 # read by common.sh
DEFAULT_MOBILITY=umip
# shellcheck source=scripts/hooks/common.sh
. "$HERE/common.sh"
# shellcheck source=scripts/hooks/programs.sh
. "$HERE/programs.sh"
# shellcheck source=scripts/hooks/link.sh
. "$HERE/link.sh"

case $EVENT in
up | refresh)
	if uses_eap; then
		eap_mn_begin
	else
		check_binding
		read_psk
	fi
	watch_stop
	lock
	look_at_carrier
	! uses_eap || eap_mn_record
	ike_mn_up
	# charon runs IKE now, and racoon waits for mip6d. Without a home address yet, the tunnel has no rules.
	uses_eap || mobility_mn_up
	ike_mn_connect
	! uses_eap || mobility_mn_up
	mobility_mn_verify
	# shellcheck disable=SC2119 # no argument
	watch_start
	;;
down)
	if uses_eap; then check_name MIP6_MN_ID "${MIP6_MN_ID:-}"; else check_binding; fi
	watch_stop
	lock
	! uses_eap || eap_mn_record
	mobility_mn_down
	ike_mn_down
	remove_rest "$LINK_SEEN"
	;;
move)
	check_interface INTERFACE "$INTERFACE"
	watch_stop
	lock
	look_at_carrier
	forget_routers
	if own_node; then
		ike_mn_move
		mobility_mn_move
		# shellcheck disable=SC2119 # no argument
		watch_start
	fi
	;;
probe)
	if own_node; then
		lock
		ike_mn_check
		mobility_mn_check
	fi
	;;
reconfigure)
	say "$EVENT: nothing to do, the daemons watch the addresses themselves"
	;;
test)
	test_programs
	exit 0
	;;
*) die "event \"$EVENT\" is not for a mobile node" ;;
esac
