#!/bin/sh
# Mobile node on Linux: racoon for IKE, UMIP's mip6d for Mobile IPv6 and the IPsec policies.
# Events: up, refresh, move, down, reconfigure.

HERE=$(dirname "$0")
# shellcheck source=scripts/hooks/common.sh
. "$HERE/common.sh"
# shellcheck source=scripts/hooks/racoon.sh
. "$HERE/racoon.sh"

MIP6D_CONF=$CONF_DIR/mip6d.conf

mip6d_conf() {
	put "$MIP6D_CONF" 644 <<-EOF
		NodeConfig MN;
		DebugLevel 0;
		Interface "$INTERFACE";
		MnMaxHaBindingLife 60;
		InitialBindackTimeoutFirstReg 1.5;
		DoRouteOptimizationMN disabled;
		UseMnHaIPsec enabled;
		KeyMngMobCapability enabled;

		MnHomeLink "$INTERFACE" {
		  HomeAgentAddress $MIP6_HA;
		  HomeAddress $MIP6_HOA/$MIP6_PREFIX_LEN;
		}

		IPsecPolicySet {
		  HomeAgentAddress $MIP6_HA;
		  HomeAddress $MIP6_HOA/$MIP6_PREFIX_LEN;
		  IPsecPolicy Mh UseESP 1 2;
		}
	EOF
}

mip6d_start() {
	if [ "$DRY_RUN" = yes ]; then
		say "dry run: mip6d reads $MIP6D_CONF"
		return
	fi
	pkill -x mip6d 2>/dev/null || :
	mip6d -c "$MIP6D_CONF"
	# mip6d says that it started even on a kernel that has no Mobile IPv6.
	sleep 1
	is_running mip6d || die "mip6d did not stay up"
}

case $EVENT in
up)
	check_binding
	read_psk
	lock
	racoon_mn_up
	mip6d_conf
	racoon_reload
	mip6d_start
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
	act pkill -x mip6d || :
	racoon_stop
	racoon_mn_down
	rm -f "$MIP6D_CONF"
	;;
move | reconfigure)
	say "$EVENT: mip6d sees addresses come and go by itself"
	;;
*) die "event \"$EVENT\" is not for a mobile node" ;;
esac
