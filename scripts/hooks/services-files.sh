#!/bin/sh
# Hook of the services besides Mobile IPv6 (hooks.services): keeps one file for each mobility security association of Mobile IPv4
# and each registration token of HIP in $CONF_DIR/services, with the key. A program that speaks Mobile IPv4 or HIP reads them; the
# setting SERVICES_RELOAD in hooks.conf is a command that tells it so.
# Events: up, refresh, move, down, test.

HERE=$(dirname "$0")
# shellcheck source=scripts/hooks/common.sh
. "$HERE/common.sh"

if [ "$EVENT" = test ]; then
	need_folder "$CONF_DIR"
	exit 0
fi
FOLDER=$CONF_DIR/services
# On a node there is one association of each service; a server has one for each subscriber.
case $MIP6_ROLE in
mn) OWNER=own ;;
*)
	check_name MIP6_MN_ID "${MIP6_MN_ID:-}"
	OWNER=$MIP6_MN_ID
	;;
esac
case ${MIP6_SERVICE:-} in
mip4)
	check_address MIP4_HOME_AGENT "${MIP4_HOME_AGENT:-}"
	check_address MIP4_HOME_ADDRESS "${MIP4_HOME_ADDRESS:-}"
	;;
hip)
	check_address HIP_RVS_HIT "${HIP_RVS_HIT:-}"
	check_address HIP_RVS_ADDRESS "${HIP_RVS_ADDRESS:-}"
	;;
*) die "MIP6_SERVICE is not mip4 or hip" ;;
esac
FILE=$FOLDER/$MIP6_SERVICE-$OWNER

association() {
	say "service $MIP6_SERVICE"
	[ -z "${MIP6_MN_ID:-}" ] || say "node $MIP6_MN_ID"
	[ -z "${MIP6_COA:-}" ] || say "care-of-address $MIP6_COA"
	say "lifetime $MIP6_LIFETIME"
	if [ "$MIP6_SERVICE" = mip4 ]; then
		say "home-agent $MIP4_HOME_AGENT"
		say "home-address $MIP4_HOME_ADDRESS/$MIP4_PREFIX_LEN"
		say "spi $MIP4_SPI"
		say "algorithm hmac-md5"
		say "replay timestamps"
		say "key $PSK"
	else
		say "rendezvous-server-hit $HIP_RVS_HIT"
		say "rendezvous-server $HIP_RVS_ADDRESS"
		say "token-id $HIP_TOKEN_ID"
		say "token $PSK"
	fi
}

# The file with another care-of address.
moved() {
	sed "s/^care-of-address .*/care-of-address ${MIP6_COA:-}/" "$FILE"
}

lock
case $EVENT in
up | refresh)
	read_psk
	check_number MIP6_LIFETIME "${MIP6_LIFETIME:-}"
	put "$FILE" 600 association
	;;
move)
	if [ ! -f "$FILE" ]; then exit 0; fi
	case ${MIP6_COA:-} in
	*[!A-Za-z0-9._:%-]*) die "MIP6_COA is not an address" ;;
	esac
	put "$FILE" 600 moved
	;;
down) rm -f "$FILE" ;;
*) die "unknown event $EVENT" ;;
esac
if [ -n "${SERVICES_RELOAD:-}" ] && [ "$DRY_RUN" != yes ]; then
	# shellcheck disable=SC2086 # a command with arguments
	$SERVICES_RELOAD
fi
