#!/bin/sh
# Mobile node on FreeBSD: racoon for IKE, setkey for the IPsec policies, SHISA (mnd, babymdd) for Mobile IPv6.
# Events: up, refresh, move, down, reconfigure.

HERE=$(dirname "$0")
# shellcheck source=scripts/hooks/common.sh
. "$HERE/common.sh"
# shellcheck source=scripts/hooks/racoon.sh
. "$HERE/racoon.sh"

SETKEY_CONF=$CONF_DIR/setkey.conf
SETKEY_DOWN=$CONF_DIR/setkey-down.conf
MND_CONF=$CONF_DIR/mnd.conf

setkey_conf() {
	put "$SETKEY_CONF" 600 <<-EOF
		spdadd $MIP6_HOA $MIP6_HA mobility-header -P out ipsec esp/transport//unique:1;
		spdadd $MIP6_HA $MIP6_HOA mobility-header -P in ipsec esp/transport//unique:2;
	EOF
	put "$SETKEY_DOWN" 600 <<-EOF
		spddelete $MIP6_HOA $MIP6_HA mobility-header -P out;
		spddelete $MIP6_HA $MIP6_HOA mobility-header -P in;
	EOF
}

mnd_conf() {
	put "$MND_CONF" 644 <<-EOF
		debug 0;
		interface mip0 {
		  command-port 7778;
		  home-registration-lifetime 60;
		  key-management 1;
		};
	EOF
}

shisa_start() {
	act ifconfig mip0 create 2>/dev/null || :
	act ifconfig mip0 inet6 "$MIP6_HOA" prefixlen "$MIP6_PREFIX_LEN" alias
	is_running mnd || act mnd -c "$MND_CONF" -a "$MIP6_HA" mip0
	is_running babymdd || act babymdd -h mip0 "$INTERFACE"
}

case $EVENT in
up)
	check_binding
	read_psk
	lock
	racoon_mn_up
	setkey_conf
	mnd_conf
	act setkey -f "$SETKEY_CONF"
	racoon_reload
	shisa_start
	;;
refresh)
	check_binding
	read_psk
	lock
	racoon_mn_up
	racoon_reload
	;;
down)
	lock
	act pkill -x babymdd || :
	act pkill -x mnd || :
	[ ! -f "$SETKEY_DOWN" ] || act setkey -f "$SETKEY_DOWN" || :
	racoon_stop
	racoon_mn_down
	act ifconfig mip0 destroy || :
	rm -f "$SETKEY_CONF" "$SETKEY_DOWN" "$MND_CONF"
	;;
move | reconfigure)
	say "$EVENT: babymdd sees addresses come and go by itself"
	;;
*) die "event \"$EVENT\" is not for a mobile node" ;;
esac
