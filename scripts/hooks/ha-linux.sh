#!/bin/sh
# Home agent on Linux: racoon for IKE, UMIP's mip6d for Mobile IPv6 and the IPsec policies, for many nodes.
# Events: up, refresh, down, probe.

HERE=$(dirname "$0")
# shellcheck source=scripts/hooks/common.sh
. "$HERE/common.sh"
# shellcheck source=scripts/hooks/racoon.sh
. "$HERE/racoon.sh"

MIP6D_CONF=$CONF_DIR/mip6d.conf

mip6d_acl() {
	printf 'BindingAclPolicy %s allow;\n' "$HOA"
}

mip6d_policy() {
	cat <<-EOF

		IPsecPolicySet {
		  HomeAgentAddress $HA;
		  HomeAddress $HOA/$LEN;
		  IPsecPolicy Mh UseESP 1 2;
		}
	EOF
}

mip6d_conf() {
	{
		cat <<-EOF
			NodeConfig HA;
			DebugLevel 0;
			Interface "$INTERFACE";
			HaMaxBindingLife 60;
			UseMnHaIPsec enabled;
			KeyMngMobCapability enabled;
			DefaultBindingAclPolicy deny;
		EOF
		each_node mip6d_acl
		each_node mip6d_policy
	} | put "$MIP6D_CONF" 644
}

mip6d_reload() {
	if [ "$DRY_RUN" = yes ]; then
		say "dry run: mip6d reads $MIP6D_CONF"
	elif is_running mip6d; then
		pkill -HUP -x mip6d
	else
		mip6d -c "$MIP6D_CONF"
		sleep 1
		is_running mip6d || die "mip6d did not stay up"
	fi
}

case $EVENT in
up | refresh)
	check_binding
	read_psk
	lock
	node_put
	racoon_ha_files
	mip6d_conf
	racoon_reload
	[ "$EVENT" = refresh ] || mip6d_reload
	;;
down)
	check_binding
	lock
	node_remove
	racoon_ha_files
	mip6d_conf
	racoon_reload
	mip6d_reload
	;;
probe)
	# Nothing runs before the first node comes.
	if [ "$DRY_RUN" != yes ] && [ "$(count_nodes)" != 0 ]; then
		is_running racoon || die "racoon does not run"
		is_running mip6d || die "mip6d does not run"
	fi
	;;
*) die "event \"$EVENT\" is not for a home agent" ;;
esac
say "nodes: $(count_nodes)"
