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

umip_mn_conf() {
	printf 'NodeConfig MN;\nDebugLevel 0;\nInterface "%s";\n' "$INTERFACE"
	printf 'MnMaxHaBindingLife 60;\nInitialBindackTimeoutFirstReg 1.5;\nDoRouteOptimizationMN disabled;\n'
	printf 'UseMnHaIPsec enabled;\nKeyMngMobCapability enabled;\n\nMnHomeLink "%s" {\n' "$INTERFACE"
	printf '  HomeAgentAddress %s;\n  HomeAddress %s/%s;\n}\n' "$MIP6_HA" "$MIP6_HOA" "$MIP6_PREFIX_LEN"
	umip_policy_set "$MIP6_HA" "$MIP6_HOA" "$MIP6_PREFIX_LEN"
}

mobility_mn_up() {
	put_compared "$MIP6D_CONF" 644 umip_mn_conf
	# A new home address needs a restart. So does a new racoon: it gets the care-of address from a message that mip6d sends to the
	# kernel only when mip6d starts.
	if [ "$CHANGED" = yes ] || has_started racoon; then umip_stop; fi
	umip_run
}

umip_run() {
	[ "$DRY_RUN" = yes ] || is_running mip6d || umip_clear
	start mip6d umip_is_ready mip6d -c "$MIP6D_CONF"
}

# umip_clear: removes what a killed mip6d has left in the kernel: the next one refuses to start with its policies, and cannot make
# its tunnels again.
umip_clear() {
	umip_left=no
	for umip_tunnel in /sys/class/net/ip6tnl[1-9]*; do
		[ -e "$umip_tunnel" ] || continue
		case "$(ip -6 tunnel show "${umip_tunnel##*/}" 2>/dev/null) " in
		*" $MIP6_HA "*)
			ip -6 tunnel del "${umip_tunnel##*/}" 2>/dev/null || :
			umip_left=yes
			;;
		esac
	done
	if [ "$umip_left" = no ] && [ "$EVENT" != probe ]; then return 0; fi
	ip xfrm policy flush ptype sub 2>/dev/null || :
	ip -6 xfrm policy deleteall proto 135 2>/dev/null || :
	ip xfrm state deleteall proto hao 2>/dev/null || :
	ip xfrm state deleteall proto route2 2>/dev/null || :
}

# A mip6d without SAs has no binding: it registers at its start.
mobility_mn_check() {
	if [ "$WAS_LOST" = yes ]; then umip_stop; fi
	is_running mip6d || say "mip6d is started again"
	umip_run
}

# Whether mip6d has opened its raw socket for mobility headers (protocol 135) or, if sockets cannot be listed, has run for 3 s.
umip_is_ready() {
	if [ -r /proc/net/raw6 ]; then
		while read -r _ umip_socket _; do
			case $umip_socket in
			*:0087) return 0 ;;
			esac
		done </proc/net/raw6
	fi
	# shellcheck disable=SC2154 # set by "start"
	[ "$start_tries" -ge 30 ]
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

umip_ha_conf() {
	printf 'NodeConfig HA;\nDebugLevel 0;\nInterface "%s";\nHaMaxBindingLife 60;\n' "$INTERFACE"
	printf 'UseMnHaIPsec enabled;\nKeyMngMobCapability enabled;\nDefaultBindingAclPolicy deny;\n'
	each_node umip_acl
	each_node umip_node_policy_set
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
	umip_run
	ike_ha_end_all
}

umip_ha_apply() {
	put_compared "$MIP6D_CONF" 644 umip_ha_conf
	if [ "$DRY_RUN" = yes ]; then
		say "dry run: mip6d reads $MIP6D_CONF"
	elif ! is_running mip6d; then
		umip_run
	elif [ "$CHANGED" = yes ]; then
		umip_reload
	fi
}

# Without router advertisements of a home agent, mip6d answers binding updates with status 132. A restarted mip6d hears the next
# one, which with radvd's defaults can be ten minutes away. The intervals are those of RFC 6275, section 7.5.
# umip_radvd IS_READY
umip_radvd() {
	[ "$RADVD" = yes ] || return 0
	put "$RADVD_CONF" 644 cat <<-EOF
		interface $INTERFACE {
		  AdvSendAdvert on;
		  AdvHomeAgentFlag on;
		  AdvIntervalOpt on;
		  MinRtrAdvInterval 0.03;
		  MaxRtrAdvInterval 0.07;
		  MinDelayBetweenRAs 0.03;
		  AdvDefaultLifetime 1800;
		  prefix $MIP6_HA/$MIP6_PREFIX_LEN {
		    AdvOnLink on;
		    AdvAutonomous on;
		    AdvRouterAddr on;
		  };
		};
	EOF
	start radvd "$1" radvd -C "$RADVD_CONF"
}

# mip6d starts at once. It hears an advertisement within 70 ms.
mobility_ha_up() {
	umip_radvd :
	umip_ha_apply
}

# mobility_ha_verify: checks that a started radvd stays up, at the end, since that takes a second.
mobility_ha_verify() {
	has_started radvd || return 0
	start_tries=0
	until settled; do
		start_tries=$((start_tries + 1))
		nap 0.1
	done
	is_running radvd || die "radvd has exited after its start"
}

mobility_ha_down() {
	umip_ha_apply
}

mobility_ha_check() {
	umip_missing=
	is_running mip6d || umip_missing=mip6d
	[ "$RADVD" != yes ] || is_running radvd || umip_missing="$umip_missing radvd"
	[ -n "$umip_missing" ] || return 0
	say "not running: ${umip_missing# }"
	lock
	umip_radvd settled
	umip_run
	# Nodes do not notice that their bindings are lost, but that their SAs are.
	case $umip_missing in
	mip6d*) ike_ha_end_all ;;
	esac
}
