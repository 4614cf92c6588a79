# shellcheck shell=sh
# UMIP's mip6d on Linux, for a mobile node and for a home agent; read with "." after common.sh. It owns the IPsec policies.
#
# Settings in hooks.conf:
#
#   MIP6D_RELOAD=hup       how the home agent's mip6d reloads its file: hup or restart. The release 0.4 ignores SIGHUP, but
#                          later sources of the same version do not. Default: detected from the program.
#   MIP6D_CONSOLE=localhost/7777   where mip6d has its console, to which a home agent's hook gives the bindings of a mip6d that has ended
#   RADVD=no               do not start radvd on the home link
#   CARE_OF_DAD=no         a node uses a care-of address without Duplicate Address Detection, which takes a second at each move:
#                          DupAddrDetectTransmits = 0 of RFC 4862, section 5.1

MIP6D_CONF=$CONF_DIR/mip6d.conf
RADVD_CONF=$CONF_DIR/radvd.conf
RADVD_PID=$CONF_DIR/radvd.pid
# Not empty while a mip6d runs that the hook started, or after it was killed.
UMIP_MARK=$CONF_DIR/.mip6d
# Routes and tunnels of a home agent, which umip_record wrote: bindings that survive a restart of the host.
UMIP_SEEN=$CONF_DIR/.bindings
: "${MIP6D_RELOAD:=}" "${RADVD:=yes}" "${MIP6D_CONSOLE:=localhost/7777}" "${CARE_OF_DAD:=yes}"
# Settings of the kernel, and those of the node's interface before mip6d was started.
: "${SYSCTL:=/proc/sys}"
UMIP_LINK=$CONF_DIR/.link

# racoon refuses the hint that HomeRegBinding makes.
UMIP_POLICY='Mh UseESP 1 2'
if [ "$IKE" = strongswan ]; then UMIP_POLICY='HomeRegBinding UseESP 1'; fi

# umip_policy_set HA HOA LENGTH. Starts no process, since there may be many nodes.
umip_policy_set() {
	printf '\nIPsecPolicySet {\n  HomeAgentAddress %s;\n  HomeAddress %s/%s;\n  IPsecPolicy %s;\n}\n' \
		"$1" "$2" "$3" "$UMIP_POLICY"
}

# OptimisticHandoff: without it, mip6d blocks all packets of the node, also at each refresh, until the home agent has answered.
# Not RFC: RFC 6275, section 12, has 1 s for INITIAL_BINDACK_TIMEOUT. At a new link the first binding update is often lost, because
# the enforcement point is not open yet. Updates after 0.2, 0.6 and 1.4 s keep to MAX_UPDATE_RATE, three in a second.
umip_mn_conf() {
	printf 'NodeConfig MN;\nDebugLevel 0;\nInterface "%s";\n' "$INTERFACE"
	printf 'MnMaxHaBindingLife 60;\nInitialBindackTimeoutFirstReg 1.5;\nDoRouteOptimizationMN disabled;\n'
	printf 'OptimisticHandoff enabled;\nInitialBindackTimeoutReReg 0.2;\n'
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
	[ "$DRY_RUN" != yes ] || return 0
	if ! runs_not mip6d && is_running mip6d; then return 0; fi
	# A mip6d that was killed has left policies in the kernel, with which the next one refuses to start.
	[ ! -s "$UMIP_MARK" ] || umip_clear
	printf 'started\n' >"$UMIP_MARK"
	[ "$MIP6_ROLE" = ha ] || umip_link
	start mip6d umip_is_ready mip6d -c "$MIP6D_CONF"
	[ -z "$BINDINGS" ] || umip_restore
	[ "$MIP6_ROLE" = ha ] || ! has_started mip6d || umip_pass update ' priority 1'
	mip6d_started
}

# umip_link: mip6d adds link-local and care-of address anew at each move. The kernel would wait up to a second at random before each
# Duplicate Address Detection: that is meant for the first message of an interface (RFC 4862, section 5.4.2), and here a router
# solicitation was first. Keeps the former values for the end, also of the settings that mip6d changes: one that is killed does not
# restore them, and the next one takes its values for the former ones. Then the node would not get a care-of address any more.
umip_link() {
	umip_known=' '
	if [ -f "$UMIP_LINK" ]; then
		while read -r umip_name _; do umip_known="$umip_known$umip_name "; done <"$UMIP_LINK"
	fi
	for umip_name in accept_ra accept_ra_defrtr autoconf router_solicitations router_solicitation_interval; do
		umip_link_keep "$umip_name" || :
	done
	umip_link_set router_solicitation_delay 0
	[ "$CARE_OF_DAD" != no ] || umip_link_set dad_transmits 0
}

# umip_link_keep NAME: sets UMIP_WAS to the value of a setting, and keeps it if it is the first one. Fails if there is no such setting.
umip_link_keep() {
	UMIP_WAS=
	# dash reads single octets, and the kernel gives these files only once: it finds no end of the line.
	{ read -r UMIP_WAS <"$SYSCTL/net/ipv6/conf/$INTERFACE/$1"; } 2>/dev/null || :
	[ -n "$UMIP_WAS" ] || return 1
	case $umip_known in
	*" $1 "*) return 0 ;;
	esac
	printf '%s %s\n' "$1" "$UMIP_WAS" >>"$UMIP_LINK"
}

# umip_link_set NAME VALUE
umip_link_set() {
	umip_link_keep "$1" && [ "$UMIP_WAS" != "$2" ] || return 0
	{ printf '%s\n' "$2" >"$SYSCTL/net/ipv6/conf/$INTERFACE/$1"; } 2>/dev/null || :
}

umip_link_restore() {
	[ -f "$UMIP_LINK" ] || return 0
	while read -r umip_name umip_was; do
		{ printf '%s\n' "$umip_was" >"$SYSCTL/net/ipv6/conf/$INTERFACE/$umip_name"; } 2>/dev/null || :
	done <"$UMIP_LINK"
	rm -f "$UMIP_LINK"
}

# umip_pass update|delete: mip6d blocks all packets of a node while it registers, also those of PANA, by which the node gets its
# authorization at a new link. Without that no registration arrives.
umip_pass() {
	printf "xfrm policy $1 src ::/0 dst %s dir out ptype sub%s\n" \
		fe80::/10 "${2:-}" '::/0 proto udp dport 716' "${2:-}" | ip -6 -force -batch - >/dev/null 2>&1 || :
}

# umip_clear: removes what a killed mip6d has left in the kernel, except a home agent's bindings, which go on: sets BINDINGS and
# UMIP_HAD to them (HOME_ADDRESS=CARE_OF_ADDRESS…), and LEFT to the lines for ip that remove them.
BINDINGS=
UMIP_HAD=
umip_clear() {
	LEFT=""
	BINDINGS=""
	UMIP_ROUTES=$NL$(printf 'tunnel show\nroute show\n' | ip -6 -force -batch - 2>/dev/null || :)
	umip_tunnels=$UMIP_ROUTES
	umip_left=$umip_tunnels
	while :; do
		case $umip_left in
		*"$NL"ip6tnl[1-9]*': '*) ;;
		*) break ;;
		esac
		umip_left=${umip_left#*"$NL"ip6tnl}
		case ${umip_left%%"$NL"*} in
		*" ${MIP6_HA:-$HA} "*) LEFT="${LEFT}tunnel del ip6tnl${umip_left%%:*}$NL" ;;
		esac
	done
	if [ "$MIP6_ROLE" = ha ]; then
		# Routes of table 252 from the home agent to home addresses are on the home link, so they do not end with a tunnel. A
		# binding whose route exists is refused (status 130).
		LEFT="${LEFT}route flush table 252${NL}"
		[ "$EVENT" != down ] || LEFT="${LEFT}neigh del proxy $MIP6_HOA dev $INTERFACE$NL"
		each_node umip_binding
		if [ -z "$BINDINGS" ]; then umip_recorded; fi
	fi
	UMIP_HAD=$BINDINGS
	# "deleteall" ends the batch, and there is no other way to delete by protocol.
	ip -6 xfrm policy deleteall proto 135 >/dev/null 2>&1 || :
	{
		printf 'xfrm policy flush ptype sub\nxfrm state flush proto hao\nxfrm state flush proto route2\n'
		# mip6d may have added a rule more than once, and each command deletes one.
		printf 'rule del pref 100%s\n' 0 1 2 3 4 5 0 1 2 3 4 5
		[ -n "$BINDINGS" ] || printf '%s' "$LEFT"
	} | ip -6 -force -batch - >/dev/null 2>&1 || :
}

# umip_record: writes the routes and tunnels of a home agent. Fails if somebody has deleted the states of mip6d.
umip_record() {
	printf 'route show\ntunnel show\nxfrm state list proto hao\n' | ip -6 -force -batch - >"$UMIP_SEEN.new" 2>/dev/null || :
	umip_has_states=no
	while read -r umip_line; do
		case $umip_line in
		'proto hao '*) umip_has_states=yes ;;
		esac
	done <"$UMIP_SEEN.new"
	mv -f "$UMIP_SEEN.new" "$UMIP_SEEN"
	[ "$umip_has_states" = yes ]
}

# umip_recorded: takes the bindings of a home agent that has lost its tunnels from the record of its last minute. After that they
# have expired.
umip_recorded() {
	[ "$(find "$UMIP_SEEN" -mmin -1 2>/dev/null)" = "$UMIP_SEEN" ] || return 0
	UMIP_ROUTES=$NL
	while IFS= read -r umip_line; do
		UMIP_ROUTES=$UMIP_ROUTES$umip_line$NL
	done <"$UMIP_SEEN"
	umip_tunnels=$UMIP_ROUTES
	each_node umip_binding
}

umip_binding() {
	case $LEFT in
	*" proxy $HOA dev "*) ;;
	*) LEFT="${LEFT}neigh del proxy $HOA dev $INTERFACE$NL" ;;
	esac
	case $UMIP_ROUTES in
	*"$NL$HOA dev ip6tnl"*) ;;
	*) return 0 ;;
	esac
	umip_device=${UMIP_ROUTES#*"$NL$HOA dev "}
	umip_device=${umip_device%% *}
	case $umip_tunnels in
	*"$NL$umip_device: "*) ;;
	*) return 0 ;;
	esac
	umip_coa=${umip_tunnels#*"$NL$umip_device: "}
	umip_coa=${umip_coa%%"$NL"*}
	umip_coa=${umip_coa#* remote }
	BINDINGS="$BINDINGS $HOA=${umip_coa%% *}"
}

# umip_restore: a home agent's new mip6d goes on with the bindings of the former one, whose tunnels work until then.
umip_restore() {
	# shellcheck disable=SC2086 # words
	umip_kept=$(printf '%s' "$LEFT" | "$HERE/mip6d-bindings.sh" "$MIP6D_CONSOLE" "$MIP6_HA" "$START_SECONDS" $BINDINGS 2>&1) || {
		say "bindings not kept: ${umip_kept:-no console}"
		umip_kept=
		printf '%s' "$LEFT" | ip -6 -force -batch - >/dev/null 2>&1 || :
	}
	case $umip_kept in
	*' refused: '*) say "$umip_kept" ;;
	esac
	umip_kept=${umip_kept:+$NL$umip_kept$NL}
	BINDINGS=
}

# umip_end_lost: ends the SAs of nodes whose binding is lost. Nodes do not notice that, but that their SAs are gone.
umip_end_lost() {
	if [ -z "${umip_kept:-}" ]; then
		ike_ha_end_all
	else
		each_node umip_end_node
	fi
}

umip_end_node() {
	case $umip_kept in
	*"$NL$HOA$NL"*) say "binding of $ID kept" ;;
	# The node of the event has none yet.
	*)
		if [ "$EVENT" != up ] || [ "$ID" != "${MIP6_MN_ID:-}" ]; then ike_ha_end; fi
		;;
	esac
}

# umip_pings FROM TO [SECONDS]: whether TO answers.
umip_pings() {
	ping -6 -n -c 1 -w "${3:-1}" -I "$1" "$2" >/dev/null 2>&1
}

# umip_is_bound [SECONDS]: whether the home agent has this node's binding: only then it answers the home address. racoon needs a new
# mip6d anyway. A home agent without the binding answers a packet from the home address to its own address with a Binding Error, after
# which the node's mip6d removes its tunnel and sends no binding update any more. A packet to the anycast address of the routers on the
# home link (RFC 4291, section 2.6.1) is in the tunnel, and gets no Binding Error.
umip_is_bound() {
	[ "$IKE" = strongswan ] || return 1
	if [ "$PREFIX" != - ]; then
		umip_pings "$HOA" "$PREFIX" "${1:-1}" && return 0
		umip_care_of
		[ -z "$CARE_OF" ] || ! umip_pings "$CARE_OF" "$PREFIX" || return 1
	fi
	umip_pings "$HOA" "$HA"
}

# umip_care_of: sets CARE_OF to this node's care-of address; the event may have an older one.
umip_care_of() {
	CARE_OF=$(
		case $EVENT in
		move | refresh) ;;
		*) unset MIP6_COA ;;
		esac
		care_of_address
		say "$CARE_OF"
	)
}

# umip_is_bound_again: the same after new SAs. A home agent that has restarted gives its mip6d the former bindings, about when charon
# accepts nodes. If this hook has been slow so far, the home agent may be slow as well: do not interrupt a binding that is coming.
umip_is_bound_again() {
	[ "$IKE" = strongswan ] || return 1
	now_ms
	umip_wait=$((1 + 2 * (NOW_MS - BEGAN) / 1000))
	[ "$umip_wait" -le 5 ] || umip_wait=5
	umip_is_bound "$umip_wait"
}

# umip_is_lost: whether the home agent answers the care-of address, but not the home address: it does not have the binding. mip6d may
# have given up: start it again. The address of the home agent is asked from the care-of address first, by its name, since the kernel
# would choose the home address.
umip_is_lost() {
	[ "$IKE" = strongswan ] || return 1
	umip_care_of
	[ -n "$CARE_OF" ] || return 1
	if [ "$PREFIX" != - ]; then
		! umip_pings "$HOA" "$PREFIX" || return 1
		! umip_pings "$CARE_OF" "$PREFIX" || return 0
	fi
	umip_pings "$CARE_OF" "$HA" && ! umip_pings "$HOA" "$HA"
}

# If the home agent has also lost the binding, mip6d has to register: it does so at its start. charon may have made new SAs
# itself before this hook looked.
mobility_mn_check() {
	if is_running mip6d; then
		if [ "$WAS_LOST" = yes ]; then
			umip_is_bound_again || umip_stop
		elif umip_is_lost; then
			say "the home agent does not have the binding"
			umip_stop
		fi
	fi
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
	mobility_mn_verify
}

# mobility_mn_verify: after a move, the new SAs show that the home agent can be reached. If mip6d's binding updates were lost before,
# it now waits up to 32 s until it sends the next one. A new mip6d sends one at once. It is killed, since at its regular end it
# would delete the binding, and the home agent takes a second for a new one. Another session also counts as a move: the watch may
# have made SAs from the new care-of address already.
mobility_mn_verify() {
	case ${HAS_MOVED:-no}:${HAS_NEW_SESSION:-no}:$DRY_RUN in
	*yes*:no) ;;
	*) return 0 ;;
	esac
	umip_is_lost || return 0
	say "no answer to mip6d's binding updates: it is started again"
	umip_stop -KILL
	umip_run
}

mobility_mn_down() {
	umip_stop
	if [ "$DRY_RUN" != yes ]; then
		umip_pass delete
		umip_link_restore
	fi
	rm -f "$MIP6D_CONF" "$UMIP_MARK"
}

# umip_stop [-KILL]
umip_stop() {
	[ "$DRY_RUN" != yes ] || return 0
	if ours pkill "$@" -x mip6d 2>/dev/null; then
		umip_tries=0
		while is_running mip6d; do
			umip_tries=$((umip_tries + 1))
			[ "$umip_tries" -le 30 ] || return 0
			nap 0.1
		done
	fi
	if [ $# = 0 ]; then : >"$UMIP_MARK"; fi
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
	say "this mip6d cannot reload its file: restarted"
	# At its regular end it would remove the tunnels of all nodes.
	umip_stop -KILL
	umip_run
	if [ -n "$UMIP_HAD" ]; then umip_end_lost; fi
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
umip_radvd_conf() {
	printf 'interface %s {\n  AdvSendAdvert on;\n  AdvHomeAgentFlag on;\n  AdvIntervalOpt on;\n' "$INTERFACE"
	printf '  MinRtrAdvInterval 0.03;\n  MaxRtrAdvInterval 0.07;\n  MinDelayBetweenRAs 0.03;\n  AdvDefaultLifetime 1800;\n'
	printf '  prefix %s/%s {\n    AdvOnLink on;\n    AdvAutonomous on;\n    AdvRouterAddr on;\n  };\n};\n' \
		"$MIP6_HA" "$MIP6_PREFIX_LEN"
}

# umip_radvd IS_READY
umip_radvd() {
	[ "$RADVD" = yes ] || return 0
	put "$RADVD_CONF" 644 umip_radvd_conf
	start radvd "$1" radvd -C "$RADVD_CONF" -p "$RADVD_PID"
}

# mip6d starts at once. It hears an advertisement within 70 ms.
mobility_ha_up() {
	umip_radvd :
	umip_ha_apply
}

# mobility_ha_verify: checks that a started radvd stays up, at the end, since that takes a second.
mobility_ha_verify() {
	has_started radvd || return 0
	nap 1
	is_running radvd || die "radvd has exited after its start"
}

mobility_ha_down() {
	if [ "$(count_nodes)" != 0 ]; then
		umip_ha_apply
		return
	fi
	umip_stop
	[ ! -f "$RADVD_PID" ] || ours pkill -x -F "$RADVD_PID" radvd 2>/dev/null || :
	remove_rest "$MIP6D_CONF" "$UMIP_MARK" "$RADVD_PID" "$RADVD_CONF" "$UMIP_SEEN"
}

mobility_ha_check() {
	lock
	umip_missing=mip6d
	if is_running mip6d; then
		# Somebody may have deleted the states of mip6d: without them it gets no binding update.
		case $(ip xfrm state list proto hao 2>/dev/null) in
		*proto*) umip_missing= ;;
		*)
			umip_missing="mip6d's states"
			umip_stop -KILL
			;;
		esac
	fi
	[ "$RADVD" != yes ] || is_running radvd || umip_missing="$umip_missing radvd"
	[ -n "$umip_missing" ] || return 0
	say "not running: ${umip_missing# }"
	umip_radvd :
	umip_run
	case $umip_missing in
	mip6d*) umip_end_lost ;;
	esac
}
