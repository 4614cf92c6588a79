#!/bin/sh
# Home agent on FreeBSD for many nodes. hooks.conf (common.sh) selects IKE: strongSwan or racoon; and Mobile IPv6: SHISA or
# none.
# Events: up, refresh, down, probe, test.

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
	! uses_eap || die 'this hook cannot give home addresses by IKEv2: use ha-linux.sh'
	read_psk
	lock
	ike_ha_note
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
	# See ha-linux.sh.
	if [ -z "${WATCHED:-}" ] && is_locked; then
		say 'another hook is at work'
	# The daemons start with the first node.
	elif [ "$DRY_RUN" != yes ] && [ "$(count_nodes)" != 0 ]; then
		ike_ha_check
		mobility_ha_check
	fi
	;;
test)
	test_programs
	exit 0
	;;
*) die "event \"$EVENT\" is not for a home agent" ;;
esac
say "nodes: $(count_nodes)"
