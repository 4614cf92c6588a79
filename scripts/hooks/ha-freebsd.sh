#!/bin/sh
# Home agent on FreeBSD: racoon for IKE, setkey for the IPsec policies, SHISA's had for Mobile IPv6, for many nodes.
# Events: up, refresh, down, probe.

HERE=$(dirname "$0")
# shellcheck source=scripts/hooks/common.sh
. "$HERE/common.sh"
# shellcheck source=scripts/hooks/racoon.sh
. "$HERE/racoon.sh"

SETKEY_CONF=$CONF_DIR/setkey.conf
HAD_CONF=$CONF_DIR/had.conf

setkey_node() {
	cat <<-EOF
		spdadd $HA $HOA mobility-header -P out ipsec esp/transport//unique:2;
		spdadd $HOA $HA mobility-header -P in ipsec esp/transport//unique:1;
	EOF
}

# The policies of all nodes, for a start of the host; one node's are added and deleted alone.
setkey_conf() {
	each_node setkey_node | put "$SETKEY_CONF" 600
}

setkey_add() {
	if [ "$DRY_RUN" = yes ]; then
		say "dry run: setkey adds the policies of $MIP6_HOA"
		return
	fi
	HA=$MIP6_HA HOA=$MIP6_HOA
	setkey_node | setkey -c
}

setkey_delete() {
	if [ "$DRY_RUN" = yes ]; then
		say "dry run: setkey deletes the policies of $MIP6_HOA"
		return
	fi
	setkey -c <<-EOF || :
		spddelete $MIP6_HA $MIP6_HOA mobility-header -P out;
		spddelete $MIP6_HOA $MIP6_HA mobility-header -P in;
	EOF
}

had_start() {
	put "$HAD_CONF" 644 <<-EOF
		interface $INTERFACE {
		  preference 10;
		};
	EOF
	is_running had || act had -c "$HAD_CONF" "$INTERFACE"
}

case $EVENT in
up | refresh)
	check_binding
	read_psk
	lock
	node_put
	racoon_ha_files
	setkey_conf
	[ "$EVENT" = refresh ] || setkey_add
	racoon_reload
	had_start
	;;
down)
	check_binding
	lock
	node_remove
	racoon_ha_files
	setkey_conf
	setkey_delete
	racoon_reload
	;;
probe)
	# Nothing runs before the first node comes.
	if [ "$DRY_RUN" != yes ] && [ "$(count_nodes)" != 0 ]; then
		is_running racoon || die "racoon does not run"
		is_running had || die "had does not run"
	fi
	;;
*) die "event \"$EVENT\" is not for a home agent" ;;
esac
say "nodes: $(count_nodes)"
