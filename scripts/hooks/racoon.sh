# shellcheck shell=sh
# racoon (IKEv1 with a pre-shared key) for a mobile node and for a home agent; read with "." after common.sh.
#
# Aggressive mode with names: in main mode racoon would look up the key by the peer's address, a care-of address that is
# not known in advance.

RACOON_CONF=$CONF_DIR/racoon.conf
PSK_TXT=$CONF_DIR/psk.txt
# racoon runs this link to racoon-dead.sh when the home agent does not answer, or has ended the ISAKMP SA.
RACOON_DEAD=$CONF_DIR/racoon-dead
# racoon-dead.sh writes this file, and watch.sh runs the probe.
SAS_LOST=$CONF_DIR/.sas-lost
# The generation of the key that IKE has used.
RENEWED=$CONF_DIR/.racoon-key
# How long a probe waits for the home agent before it registers again. Seconds.
LOST_SECONDS=20

# Not empty from the start of racoon until racoon is ready and, on a node, mip6d has been started after it. A hook can be ended meanwhile,
# at its time limit or because the node moves.
RACOON_STARTING=$CONF_DIR/.racoon-starting

# The common part of the "remote" sections of both ends. There is no NAT traversal, which is racoon's default: a racoon without it refuses
# even its name.
RACOON_REMOTE='  exchange_mode aggressive;
  ike_frag off;
  initial_contact on;
  dpd_delay 2;
  dpd_retry 1;
  dpd_maxfail 2;
  proposal_check obey;
  lifetime time 1 hour;
  proposal {
    encryption_algorithm aes 128;
    hash_algorithm sha256;
    authentication_method pre_shared_key;
    dh_group modp2048;
  }'

# By default racoon repeats a message after 10 s: too long where the first one is lost, because the enforcement point is not open
# yet, or the home agent does not have the key yet.
RACOON_TIMER='timer {
  counter 20;
  interval 1 sec;
}
'

# racoon_sainfo LOCAL REMOTE [FROM]: mobility headers between two addresses. Starts no process, since there may be many nodes.
racoon_sainfo() {
	printf 'sainfo address %s[any] 135 address %s[any] 135' "$1" "$2"
	[ -z "${3:-}" ] || printf ' from user_fqdn "%s"' "$3"
	printf ' {\n  lifetime time 30 min;\n  encryption_algorithm aes 128;\n'
	printf '  authentication_algorithm hmac_sha256;\n  compression_algorithm deflate;\n}\n'
}

# racoon speaks IKEv1 only.
racoon_check() {
	[ "$MIP6_IKE" = ikev1 ] || die "racoon does not speak $MIP6_IKE: set the home agent and the node to ikev1"
}

racoon_mn_conf() {
	printf 'path pre_shared_key "%s";\n\n%s\n' "$PSK_TXT" "$RACOON_TIMER"
	printf 'remote %s {\n' "$HA"
	printf '  my_identifier user_fqdn "%s";\n' "$ID"
	printf '  peers_identifier fqdn "%s";\n  verify_identifier on;\n' "$HOST"
	printf '  script "%s" phase1_dead;\n' "$RACOON_DEAD"
	printf '%s\n}\n\n' "$RACOON_REMOTE"
	racoon_sainfo "$HOA" "$HA"
}

ike_mn_up() {
	racoon_check
	SESSION=
	own_node || :
	racoon_session=$SESSION
	node_put
	[ "$EVENT" != refresh ] || [ "${racoon_session:-$SESSION}" = "$SESSION" ] || racoon_moved=yes
	[ -L "$RACOON_DEAD" ] || ln -s "$HERE/racoon-dead.sh" "$RACOON_DEAD"
	put "$PSK_TXT" 600 printf '%s %s\n' "$HOST" "$KEY"
	put_compared "$RACOON_CONF" 600 racoon_mn_conf
	racoon_reload
	# When mip6d asks for SAs and there is no ISAKMP SA yet, racoon looks for it once a second.
	if has_started racoon && racoon_address; then racoon_establish; fi
}

# racoon_address: sets CARE_OF to the address of this node on its link; fails if there is none. mip6d need not run.
racoon_address() {
	[ "$DRY_RUN" != yes ] && command -v ip >/dev/null 2>&1 || return 1
	racoon_left=$(ip -6 addr show dev "$INTERFACE" scope global -tentative -deprecated 2>/dev/null || :)
	while :; do
		case $racoon_left in
		*'inet6 '*) racoon_left=${racoon_left#*'inet6 '} ;;
		*) return 1 ;;
		esac
		CARE_OF=${racoon_left%%/*}
		[ "$CARE_OF" = "$HOA" ] || return 0
	done
}

# Existing SAs keep the key that they were created with. The ESP SAs stay, since the next binding update would be lost without
# them. IKE replaces them with the new key when their lifetime ends. Without SAs the next binding update starts IKE.
ike_mn_connect() {
	[ "$DRY_RUN" != yes ] || return 0
	[ "$racoon_moved" = no ] || racoon_register
	racoon_renewed=
	if [ -s "$RENEWED" ]; then read -r racoon_renewed <"$RENEWED" || :; fi
	if [ "$racoon_renewed" != "$GENERATION" ]; then
		has_started racoon || ! racoon_care_of || racoon_renew
		printf '%s\n' "$GENERATION" >"$RENEWED"
	fi
}

# racoon_register: after a move, the first binding updates are lost until the enforcement point is open, and mip6d repeats them after
# longer and longer times, whatever happens to its router or its addresses meanwhile. Waits until the home agent can be reached, and if it
# does not have the binding then, starts mip6d again, which registers at once. It is killed: at its regular end it would delete the
# binding. Asks from the home address only by way of the tunnel, as umip_is_bound does.
racoon_moved=no
racoon_register() {
	[ "$MOBILITY:$DRY_RUN" = umip:no ] && ! has_started mip6d && racoon_care_of || return 0
	ping -6 -n -c 1 -i 0.2 -w "$START_SECONDS" -I "$CARE_OF" "$HA" >/dev/null 2>&1 || return 0
	if [ "$PREFIX" != - ]; then
		! umip_pings "$HOA" "$PREFIX" && umip_pings "$CARE_OF" "$PREFIX" || return 0
	fi
	say "no answer to mip6d's binding updates: it is started again"
	umip_stop -KILL
	umip_run
}

# racoon_phase1: whether there is an ISAKMP SA with the home agent.
racoon_phase1() {
	racoon_left=$(racoonctl -ll show-sa isakmp 2>/dev/null)$NL || return 1
	while [ -n "$racoon_left" ]; do
		# Source.port destination.port cookies status …; status 9 is established.
		# shellcheck disable=SC2086 # fields
		set -- ${racoon_left%%"$NL"*}
		racoon_left=${racoon_left#*"$NL"}
		[ "${2:-}:${4:-}" != "$HA.500:9" ] || return 0
	done
	return 1
}

# racoon_look HOA: sets SEEN to the routes of a home address, the tunnels and the ESP SAs of this host.
racoon_look() {
	SEEN=
	command -v ip >/dev/null 2>&1 || return 0
	# The list of SAs ends the batch.
	SEEN=$NL$(printf 'route show %s\ntunnel show\nxfrm state list proto esp\n' "$1" | ip -6 -force -batch - 2>/dev/null || :)
}

# racoon_care_of: sets CARE_OF to the care-of address of this node, which is the local end of mip6d's tunnel; fails if there is
# no tunnel.
racoon_care_of() {
	racoon_look "$HOA"
	case $SEEN in
	*" remote $HA local "*) ;;
	*) return 1 ;;
	esac
	CARE_OF=${SEEN#*" remote $HA local "}
	CARE_OF=${CARE_OF%%[!0-9a-f:]*}
}

# racoon_establish: racoon does nothing if it has an ISAKMP SA between these addresses or is negotiating one.
racoon_establish() {
	racoonctl establish-sa isakmp inet6 "$CARE_OF" "$HA" >/dev/null 2>&1 || :
}

# racoon_renew: replaces the ISAKMP SA. The home agent may get the new key later than this node.
racoon_renew() {
	racoonctl flush-sa isakmp || die "racoonctl flush-sa failed: the ISAKMP SA with the old key stays"
	uptime_seconds
	racoon_until=$((UPTIME + START_SECONDS))
	racoon_establish
	racoon_tries=0
	until racoon_phase1; do
		uptime_seconds
		[ "$UPTIME" -lt "$racoon_until" ] || die "no ISAKMP SA with the new key after $START_SECONDS s"
		nap 0.1
		racoon_tries=$((racoon_tries + 1))
		# The node may have moved.
		if [ $((racoon_tries % 5)) = 0 ] && racoon_care_of; then racoon_establish; fi
	done
}

# racoon_end_sas COMMAND: deletes the ESP SAs between the two ends of the node that COMMAND prints as "HOA HA" for a line;
# racoon_look was called before. racoon does not: it compares their addresses, which are home addresses, with those of the
# ISAKMP SA.
racoon_end_sas() {
	racoon_pairs=$NL$("$@")$NL
	if [ "$DRY_RUN" = yes ]; then
		say "dry run: deletes the ESP SAs of $("$@")"
	elif [ "$MOBILITY" != shisa ] && command -v ip >/dev/null 2>&1; then
		# setkey on Linux leaves some of them, and "deleteall" would end the batch.
		racoon_lines=$(esp_deletions "$racoon_pairs" "$SEEN")
		[ -z "$racoon_lines" ] || printf '%s\n' "$racoon_lines" | ip -force -batch - >/dev/null 2>&1 || :
	else
		"$@" | while read -r end_hoa end_ha; do
			printf 'deleteall %s %s esp;\n' "$end_hoa" "$end_ha" "$end_ha" "$end_hoa"
		done | setkey -c >/dev/null 2>&1 || :
	fi
}

racoon_sas() {
	printf '%s %s\n' "$HOA" "$HA"
}

# mip6d tells racoon and the kernel about the new care-of address (MIGRATE).
ike_mn_move() {
	racoon_register
}

# A restarted racoon gets the care-of address only from a mip6d that starts after it. If racoon has lost its ISAKMP SA, the home
# agent may still have the binding: it then answers the home address. If it does not answer the care-of address either, the
# node may have moved and wait for its authorization: that is no reason to register again, which mip6d does itself. But mip6d also
# blocks packets while it registers, and a home agent that has lost the SAs never answers it.
# shellcheck disable=SC2034 # umip.sh reads WAS_LOST
ike_mn_check() {
	WAS_LOST=no
	if [ -s "$RACOON_STARTING" ] || ! is_running racoon; then
		say "racoon is started again"
		racoon_forget_loss
		racoon_run
		if racoon_care_of; then racoon_establish; fi
		WAS_LOST=yes
	elif racoon_reaches "$HOA"; then
		racoon_forget_loss
		# The home agent may have lost the ESP SAs too. mip6d asks for new ones at its next binding update. With an ISAKMP SA, mip6d has
		# asked already, since nothing else makes one: the ESP SAs are new.
		if ! racoon_phase1 && racoon_care_of; then
			[ "$racoon_was_lost" = no ] || racoon_end_sas racoon_sas
			racoon_establish
		fi
	else
		uptime_seconds
		racoon_since=
		if [ -s "$SAS_LOST" ]; then read -r racoon_since <"$SAS_LOST" || :; fi
		if [ -z "$racoon_since" ]; then
			racoon_since=$UPTIME
			printf '%s\n' "$UPTIME" >"$SAS_LOST"
		fi
		if [ $((UPTIME - racoon_since)) -lt "$LOST_SECONDS" ]; then
			if ! racoon_care_of || ! racoon_reaches "$CARE_OF"; then die "the home agent does not answer"; fi
		fi
		say "the home agent has no binding: SAs and binding are made again"
		racoon_forget_loss
		racoon_care_of || CARE_OF=
		racoon_end_sas racoon_sas
		racoonctl flush-sa isakmp || :
		[ -z "$CARE_OF" ] || racoon_establish
		WAS_LOST=yes
	fi
	# A new mip6d registers at once. The old one is killed: at its regular end it would delete a binding that works, or ask for SAs
	# to do so.
	if [ "$WAS_LOST:$MOBILITY" = yes:umip ]; then umip_stop -KILL; fi
}

# racoon_forget_loss: sets racoon_was_lost to whether racoon has lost its ISAKMP SA. Called before SAs are made: those may be lost too.
racoon_forget_loss() {
	racoon_was_lost=no
	[ -e "$SAS_LOST" ] || return 0
	racoon_was_lost=yes
	rm -f "$SAS_LOST"
}

# racoon_reaches ADDRESS: whether the home agent answers this address of the node.
racoon_reaches() {
	ping -6 -n -c 1 -w 1 -I "$1" "$HA" >/dev/null 2>&1
}

ike_mn_down() {
	HOA=$MIP6_HOA HA=$MIP6_HA SEEN=
	[ "$DRY_RUN" = yes ] || racoon_look "$HOA"
	racoon_end_sas racoon_sas
	act racoonctl flush-sa isakmp || :
	end racoon
	rm -f "$PSK_TXT" "$RACOON_CONF" "$RACOON_DEAD" "$SAS_LOST" "$RENEWED" "$RACOON_STARTING"
	node_remove
}

racoon_psk_line() {
	printf '%s %s\n' "$ID" "$KEY"
}

racoon_node_sainfo() {
	printf '\n'
	racoon_sainfo "$HA" "$HOA" "$ID"
}

racoon_ha_conf() {
	printf 'path pre_shared_key "%s";\n\n%s\n' "$PSK_TXT" "$RACOON_TIMER"
	printf 'listen {\n  isakmp %s [500];\n}\n\n' "$MIP6_HA"
	# One anonymous section serves all nodes: a node proves its name by the key stored for that name.
	printf 'remote anonymous {\n'
	printf '  my_identifier fqdn "%s";\n' "$MIP6_HA_HOST"
	printf '%s\n' "$RACOON_REMOTE"
	printf '  passive on;\n  generate_policy off;\n}\n'
	# "from" binds a home address to the authenticated name.
	each_node racoon_node_sainfo
}

racoon_ha_files() {
	put "$PSK_TXT" 600 each_node racoon_psk_line
	put_compared "$RACOON_CONF" 600 racoon_ha_conf
	racoon_reload
}

ike_ha_note() {
	racoon_check
	node_put
}

ike_ha_put() {
	racoon_ha_files
}

# Must be called before the binding is removed, because the binding shows the care-of address: the ISAKMP SA is between that
# address and the home agent. The key and the settings of the node go first: when its SAs end, mip6d on the node may ask for new
# ones, to delete its binding.
ike_ha_remove() {
	SEEN=
	[ "$DRY_RUN" = yes ] || racoon_look "$MIP6_HOA"
	racoon_binding "$MIP6_HOA"
	has_other_address || node_remove
	racoon_ha_files
	[ -z "$CARE_OF" ] || racoonctl delete-sa isakmp inet6 "$MIP6_HA" "$CARE_OF" >/dev/null 2>&1 || :
	HOA=$MIP6_HOA HA=$MIP6_HA
	racoon_end_sas racoon_sas
}

# racoon_binding HOA: sets CARE_OF to the care-of address of its binding on this home agent, which is the remote end of the
# binding's tunnel, or to nothing if there is no binding.
racoon_binding() {
	CARE_OF=
	racoon_device=${SEEN#*"$NL$1 dev ip6tnl"}
	[ "$racoon_device" != "$SEEN" ] || return 0
	racoon_device=ip6tnl${racoon_device%%[!0-9]*}
	CARE_OF=${SEEN#*"$NL$racoon_device: "}
	CARE_OF=${CARE_OF#* remote }
	CARE_OF=${CARE_OF%%[!0-9a-f:]*}
}

ike_ha_check() {
	if [ ! -s "$RACOON_STARTING" ] && is_running racoon; then return; fi
	say "racoon was not running"
	lock
	racoon_run
}

# ike_ha_end_all: ends the SAs of all nodes, so that they make new ones and register again. racoon tells them.
ike_ha_end_all() {
	racoon_look "${MIP6_HA:-::}"
	racoon_end_sas each_node racoon_sas
	racoon_tell_nodes
}

# ike_ha_end: the same for the node whose values are in HOA and HA. Its ISAKMP SA cannot be found without its binding, so those of
# all nodes end: nodes with a binding make new ones, and do not register again.
ike_ha_end() {
	racoon_look "$HOA"
	racoon_end_sas racoon_sas
	racoon_tell_nodes
}

racoon_told=no
racoon_tell_nodes() {
	[ "$racoon_told" = no ] || return 0
	racoon_told=yes
	act racoonctl flush-sa isakmp || :
}

# A racoon that an earlier run of the hook has started, and that run did not see ready, counts as one that this run starts. It may have
# read an earlier file.
racoon_has_file=no
racoon_run() {
	if [ "$DRY_RUN" = yes ] || ! is_running racoon; then
		[ "$DRY_RUN" = yes ] || racoon_begins
		start racoon racoon_is_ready racoon -f "$RACOON_CONF"
		racoon_has_file=yes
	elif [ -s "$RACOON_STARTING" ]; then
		start_wait racoon racoon_is_ready
	fi
	[ "$MIP6_ROLE:$MOBILITY" = mn:umip ] || racoon_started
}

# racoon_begins: the SAs of a home agent's former racoon end before a new one starts, which does not know them. They would stay until the
# end of their lifetime, because nodes notice that the ISAKMP SA is gone, and make new ones.
racoon_begins() {
	printf 'yes\n' >"$RACOON_STARTING"
	[ "$MIP6_ROLE" = ha ] || return 0
	racoon_look "${MIP6_HA:-::}"
	racoon_end_sas each_node racoon_sas
}

# racoon_started: starts no process.
racoon_started() {
	[ ! -s "$RACOON_STARTING" ] || : >"$RACOON_STARTING"
}

# mip6d_started: umip.sh calls it once mip6d runs.
mip6d_started() {
	racoon_started
}

# why_not racoon: racoon says only in syslog why it ends. -t reads the file and ends.
why_not() {
	[ "$1" = racoon ] || return 0
	racoon -t -F -f "$RACOON_CONF" 2>&1 | while read -r why_line; do
		case $why_line in
		*'ERROR: '*)
			printf ': %s\n' "${why_line#*ERROR: }"
			break
			;;
		esac
	done
}

# racoon answers on its control socket once it has read its file and the policies. On a slow machine that takes seconds: asked
# less often then.
racoon_is_ready() {
	# shellcheck disable=SC2154 # set by "start"
	[ "$start_tries" -lt 5 ] || [ $((start_tries % 5)) = 0 ] || return 1
	racoonctl show-sa isakmp >/dev/null 2>&1
}

# racoon reads psk.txt at every look-up: a new key needs no reload, and no SA is lost.
racoon_reload() {
	if [ "$DRY_RUN" = yes ]; then
		say "dry run: racoon reads $RACOON_CONF"
		return
	fi
	racoon_run
	if [ "$CHANGED:$racoon_has_file" = yes:no ]; then
		racoonctl reload-config || die "racoon rejected $RACOON_CONF"
	fi
}
