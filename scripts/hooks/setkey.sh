# shellcheck shell=sh
# Writes IPsec policies with setkey where no daemon does: on FreeBSD, and on Linux without UMIP; read with "." after
# common.sh. racoon needs one number per direction, strongSwan one for both.

SETKEY_CONF=$CONF_DIR/setkey.conf
SETKEY_DOWN=$CONF_DIR/setkey-down.conf
REQID_MN=1
REQID_HA=2
if [ "$IKE" = strongswan ]; then REQID_HA=1; fi

# setkey_policies FROM TO NUMBER_OUT NUMBER_IN. Starts no process, since there may be many nodes.
setkey_policies() {
	printf 'spdadd %s %s mobility-header -P out ipsec esp/transport//unique:%s;\n' "$1" "$2" "$3"
	printf 'spdadd %s %s mobility-header -P in ipsec esp/transport//unique:%s;\n' "$2" "$1" "$4"
}

setkey_deletions() {
	printf 'spddelete %s %s mobility-header -P out;\n' "$1" "$2"
	printf 'spddelete %s %s mobility-header -P in;\n' "$2" "$1"
}

# Deletes and adds the policies, since setkey refuses existing ones. A refresh does not touch them: without a policy, binding
# updates would be sent in clear text.
setkey_mn_up() {
	put_compared "$SETKEY_CONF" 600 setkey_policies "$HOA" "$HA" "$REQID_MN" "$REQID_HA"
	if [ "$EVENT" = refresh ] && [ "$CHANGED" = no ]; then return; fi
	act_quietly setkey -f "$SETKEY_DOWN"
	put "$SETKEY_DOWN" 600 setkey_deletions "$HOA" "$HA"
	act setkey -f "$SETKEY_CONF"
}

setkey_mn_down() {
	act_quietly setkey -f "$SETKEY_DOWN"
	rm -f "$SETKEY_CONF" "$SETKEY_DOWN"
}

# act_quietly … FILE: ignores errors, for actions that may already be done.
act_quietly() {
	for act_file; do :; done
	[ ! -f "$act_file" ] || act "$@" 2>/dev/null || :
}

setkey_node() {
	setkey_policies "$HA" "$HOA" "$REQID_HA" "$REQID_MN"
}

# Writes the policies of all nodes, for the boot of the host; those of one node are added and deleted separately.
setkey_ha_files() {
	put "$SETKEY_CONF" 600 each_node setkey_node
}

setkey_ha_add() {
	setkey_ha_files
	[ "$EVENT" != refresh ] || return 0
	if [ "$DRY_RUN" = yes ]; then
		say "dry run: setkey adds the policies of $MIP6_HOA"
		return
	fi
	setkey_deletions "$MIP6_HA" "$MIP6_HOA" | setkey -c >/dev/null 2>&1 || :
	setkey_policies "$MIP6_HA" "$MIP6_HOA" "$REQID_HA" "$REQID_MN" | setkey -c
}

setkey_ha_delete() {
	setkey_ha_files
	if [ "$DRY_RUN" = yes ]; then
		say "dry run: setkey deletes the policies of $MIP6_HOA"
		return
	fi
	setkey_deletions "$MIP6_HA" "$MIP6_HOA" | setkey -c >/dev/null 2>&1 || :
}
