# shellcheck shell=sh
# UMIP's mip6d on Linux, for a mobile node and for a home agent; read with "." after common.sh. It owns the IPsec policies.
#
# Settings in hooks.conf:
#
#   MIP6D_RELOAD=hup       how the home agent's mip6d reloads its file: hup or restart. The release 0.4 ignores SIGHUP, but
#                          later sources of the same version do not. Default: detected from the program.
#   RADVD=no               do not start radvd on the home link

MIP6D_CONF=$CONF_DIR/mip6d.conf
RADVD_CONF=$CONF_DIR/radvd.conf
: "${MIP6D_RELOAD:=}" "${RADVD:=yes}"

# racoon refuses the hint that HomeRegBinding makes.
UMIP_POLICY='Mh UseESP 1 2'
if [ "$IKE" = strongswan ]; then UMIP_POLICY='HomeRegBinding UseESP 1'; fi

# umip_policy_set HA HOA LENGTH. Starts no process, since there may be many nodes.
umip_policy_set() {
	printf '\nIPsecPolicySet {\n  HomeAgentAddress %s;\n  HomeAddress %s/%s;\n  IPsecPolicy %s;\n}\n' \
		"$1" "$2" "$3" "$UMIP_POLICY"
}

mobility_mn_up() {
	umip_before=$(sum_of "$MIP6D_CONF")
	{
		cat <<-EOF
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
		EOF
		umip_policy_set "$MIP6_HA" "$MIP6_HOA" "$MIP6_PREFIX_LEN"
	} | put "$MIP6D_CONF" 644
	# A new home address needs a restart. So does a new racoon: it gets the care-of address from a message that mip6d sends to the
	# kernel only when mip6d starts.
	if [ "$(sum_of "$MIP6D_CONF")" != "$umip_before" ] || has_started racoon; then umip_stop; fi
	start mip6d umip_is_ready mip6d -c "$MIP6D_CONF"
}

# Whether mip6d has opened its raw socket for mobility headers (protocol 135) or, if sockets cannot be listed, has run for 3 s.
umip_is_ready() {
	# shellcheck disable=SC2154 # set by "start"
	grep -q ':0087 ' /proc/net/raw6 2>/dev/null || [ "$start_tries" -ge 30 ]
}

mobility_mn_move() {
	say "$EVENT: mip6d watches the addresses itself"
}

mobility_mn_down() {
	umip_stop
	rm -f "$MIP6D_CONF"
}

umip_stop() {
	[ "$DRY_RUN" != yes ] || return 0
	ours pkill -x mip6d 2>/dev/null || return 0
	umip_tries=0
	while is_running mip6d && [ "$umip_tries" -lt 30 ]; do
		umip_tries=$((umip_tries + 1))
		nap 0.1
	done
}

umip_acl() {
	printf 'BindingAclPolicy %s allow;\n' "$HOA"
}

umip_node_policy_set() {
	umip_policy_set "$HA" "$HOA" "$LEN"
}

umip_ha_file() {
	umip_before=$(sum_of "$MIP6D_CONF")
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
		each_node umip_acl
		each_node umip_node_policy_set
	} | put "$MIP6D_CONF" 644
}

# Bindings survive SIGHUP. After a restart all nodes have to register again.
umip_reload() {
	if [ -z "$MIP6D_RELOAD" ]; then
		MIP6D_RELOAD=restart
		if grep -q 'change the role on-the-fly' "$(command -v mip6d)"; then MIP6D_RELOAD=hup; fi
	fi
	if [ "$MIP6D_RELOAD" = hup ]; then
		ours pkill -HUP -x mip6d
		return
	fi
	say "this mip6d cannot reload its file: restarted, nodes have to register again"
	umip_stop
	umip_ha_start
}

umip_ha_start() {
	start mip6d umip_is_ready mip6d -c "$MIP6D_CONF"
}

umip_ha_apply() {
	if [ "$DRY_RUN" = yes ]; then
		say "dry run: mip6d reads $MIP6D_CONF"
	elif ! is_running mip6d; then
		umip_ha_start
	elif [ "$(sum_of "$MIP6D_CONF")" != "$umip_before" ]; then
		umip_reload
	fi
}

# Without router advertisements of a home agent, mip6d answers binding updates with status 132.
umip_radvd() {
	[ "$RADVD" = yes ] || return 0
	put "$RADVD_CONF" 644 <<-EOF
		interface $INTERFACE {
		  AdvSendAdvert on;
		  AdvHomeAgentFlag on;
		  AdvIntervalOpt on;
		  prefix $MIP6_HA/$MIP6_PREFIX_LEN {
		    AdvOnLink on;
		    AdvAutonomous on;
		    AdvRouterAddr on;
		  };
		};
	EOF
	start radvd settled radvd -C "$RADVD_CONF"
}

mobility_ha_up() {
	umip_radvd
	umip_ha_file
	umip_ha_apply
}

mobility_ha_down() {
	umip_ha_file
	umip_ha_apply
}

mobility_ha_check() {
	umip_missing=
	is_running mip6d || umip_missing=mip6d
	[ "$RADVD" != yes ] || is_running radvd || umip_missing="$umip_missing radvd"
	[ -n "$umip_missing" ] || return 0
	say "not running: ${umip_missing# }"
	lock
	umip_radvd
	umip_ha_start
}
