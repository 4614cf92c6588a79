#!/bin/sh
# Mobile node on Linux: IKE by strongSwan or racoon, Mobile IPv6 by UMIP or not at all, as hooks.conf says (common.sh).
# Events: up, refresh, move, down, reconfigure.

HERE=$(dirname "$0")
# shellcheck disable=SC2034 # common.sh takes it
DEFAULT_MOBILITY=umip
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
move | reconfigure)
	say "$EVENT: the daemons see addresses come and go by themselves"
	;;
*) die "event \"$EVENT\" is not for a mobile node" ;;
esac
