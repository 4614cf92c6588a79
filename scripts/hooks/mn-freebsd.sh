#!/bin/sh
# Mobile node on FreeBSD. hooks.conf (common.sh) selects IKE: strongSwan or racoon; and Mobile IPv6: SHISA or none.
# Events: up, refresh, move, down, reconfigure, test.

HERE=$(dirname "$0")
# shellcheck disable=SC2034 # read by common.sh
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
	ike_mn_up
	ike_mn_connect
	mobility_mn_up
	;;
down)
	check_binding
	lock
	mobility_mn_down
	ike_mn_down
	;;
move)
	if own_node; then
		lock
		ike_mn_move
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
