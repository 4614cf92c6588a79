#!/bin/sh
# Home agent on Linux for many nodes. hooks.conf (common.sh) selects IKE: strongSwan or racoon; and Mobile IPv6: UMIP or
# none.
# Events: up, refresh, down, probe, test. A probe also restarts programs that have ended; watch.sh runs one at once.

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

case $EVENT in
up | refresh)
	check_binding
	# shellcheck disable=SC2034 # read by node_put
	if uses_eap; then PSK=eap; else read_psk; fi
	lock
	watch_report
	ike_ha_note
	# racoon looks up the policies when a node starts IKE, so mip6d must write them first. At a refresh they are there.
	[ "$IKE:$EVENT" != racoon:up ] || mobility_ha_up
	ike_ha_put
	# The node can start IKE now, so the daemon need not wait for the rest.
	say ready
	[ "$IKE:$EVENT" != racoon:refresh ] || mobility_ha_up
	[ "$IKE" = racoon ] || mobility_ha_up
	mobility_ha_verify
	watch_start
	;;
down)
	check_binding
	lock
	ike_ha_remove
	mobility_ha_down
	;;
probe)
	# A hook for a node starts programs too. Waiting for it could take longer than the time limit of a probe, and a home agent that is
	# busy would count as down.
	if [ -z "${WATCHED:-}" ] && is_locked; then
		say 'another hook is at work'
	# The daemons start with the first node.
	elif [ "$DRY_RUN" = yes ]; then
		:
	elif [ "$(count_nodes)" = 0 ]; then
		# A node that authenticates by EAP may come before any event.
		if serves_eap; then
			ike_ha_begin
			ike_ha_check
		fi
	else
		# There is no watch after a start of the host. The programs may then take longer to start than a probe may take, and a
		# probe that is ended would delay them: the watch starts them.
		# shellcheck disable=SC2034 # read by programs.sh
		WATCH_BEGINS=now
		[ -n "${WATCHED:-}" ] || watch_start
		if [ "$WATCH_IS_NEW" = yes ]; then
			say 'the watch has been started, and starts what does not run'
			exit 0
		fi
		ike_ha_begin
		[ "$IKE" != racoon ] || ike_ha_check
		mobility_ha_check
		[ "$IKE" = racoon ] || ike_ha_check
		watch_start
		mobility_ha_verify
	fi
	;;
test)
	test_programs
	exit 0
	;;
*) die "event \"$EVENT\" is not for a home agent" ;;
esac
say "nodes: $(count_nodes)"
