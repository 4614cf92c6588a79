# shellcheck shell=sh
# strongSwan (swanctl) for a mobile node and for a home agent, IKEv2 or IKEv1 with a pre-shared key; read with "." after
# common.sh. Each node has a file of its own in $SWANCTL_DIR/conf.d, which the host's swanctl.conf includes.
#
# Settings in hooks.conf:
#
#   SWANCTL_DIR=/etc/swanctl        default: that, or /usr/local/etc/swanctl on FreeBSD
#   VICI=unix:///run/charon.vici    socket of charon, if not the default
#   CHARON='systemctl start strongswan'    command that starts charon; default: depends on the system
#   INITIATE_SECONDS=10             how long a run of the mobile node's hook tries; the daemon then runs it again
#   DPD_SECONDS=2                   interval of a mobile node's dead peer detection, while it receives nothing from the home
#                                   agent; a home agent waits five times as long
#   OLD_KEY_SECONDS=3600            how long a home agent accepts the old key if the new one is not used
#   CHILD_SA=no                     do without a CHILD_SA: for tests on a kernel without ESP
#
# IKEv1 uses aggressive mode: main mode would look up the key by an address that is not known in advance. A home agent's
# strongswan.conf must allow it: charon.i_dont_care_about_security_and_use_aggressive_mode_psk = yes.

: "${SWANCTL_DIR:=}" "${VICI:=}" "${CHARON:=}"
: "${INITIATE_SECONDS:=10}" "${DPD_SECONDS:=2}" "${OLD_KEY_SECONDS:=3600}" "${CHILD_SA:=yes}"
if [ -z "$SWANCTL_DIR" ]; then
	SWANCTL_DIR=/etc/swanctl
	[ "$(uname)" != FreeBSD ] || SWANCTL_DIR=/usr/local/etc/swanctl
	[ "$DRY_RUN" != yes ] || SWANCTL_DIR=$CONF_DIR/swanctl
fi
export SWANCTL_DIR

# swan COMMAND OPTION…: sets OUT to the output of swanctl.
OUT=
swan() {
	swan_command=$1
	shift
	OUT=$(swanctl "$swan_command" ${VICI:+--uri "$VICI"} "$@" 2>&1)
}

# said: prints OUT without the warnings of missing plugins and folders.
said() {
	printf '%s\n' "$OUT" | grep -v -e "^plugin '.* failed to load" -e "^opening directory '.* failed" || :
}

# list_sas OPTION…: asks charon for its IKE_SAs, for next_sa.
# shellcheck disable=SC2120 # strongswan-eap.sh gives one
list_sas() {
	swan --list-sas --raw "$@" || :
	SAS_LEFT=$OUT
}

# next_sa: sets SA to the next IKE_SA, a line, without the identities of its ends: swanctl does not quote them, and a peer that has not
# authenticated yet can choose one that looks like other fields, or like another IKE_SA.
next_sa() {
	while [ -n "$SAS_LEFT" ]; do
		SA=${SAS_LEFT%%"$NL"*}
		SAS_LEFT=${SAS_LEFT#"$SA"}
		SAS_LEFT=${SAS_LEFT#"$NL"}
		case $SA in
		'list-sa event {'*) ;;
		*) continue ;;
		esac
		SA=${SA#'list-sa event {'}
		case $SA in
		*' local-id='*' initiator-spi='*) SA="${SA%%' local-id='*} initiator-spi=${SA##*' initiator-spi='}" ;;
		esac
		return 0
	done
	return 1
}

charon_runs() {
	swan --stats
}

charon_command() {
	if [ -n "$CHARON" ]; then
		printf '%s\n' "$CHARON"
		return
	fi
	if [ -d /run/systemd/system ] && systemctl cat strongswan >/dev/null 2>&1; then
		printf 'systemctl start strongswan\n'
		return
	fi
	if [ "$(uname)" = FreeBSD ]; then
		printf 'service strongswan onestart\n'
		return
	fi
	for charon_file in /usr/lib/ipsec/charon /usr/libexec/ipsec/charon /usr/lib/strongswan/charon \
		/usr/libexec/strongswan/charon /usr/sbin/charon-systemd; do
		if [ -x "$charon_file" ]; then
			printf '%s\n' "$charon_file"
			return
		fi
	done
	die "charon is not installed"
}

# remove_pid_file: charon does not start if the process of its pid file exists. One that was killed may exist for long, as a
# zombie, where the first process is not an init system.
remove_pid_file() {
	[ -r /run/charon.pid ] || return 0
	read -r pid_file_pid </run/charon.pid || return 0
	{ read -r pid_file_stat <"/proc/$pid_file_pid/stat"; } 2>/dev/null || return 0
	case ${pid_file_stat##*) } in
	[ZX]*) rm -f /run/charon.pid ;;
	esac
}

# Where charon listens, unless its own configuration says something else.
charon_socket=${VICI#unix://}
: "${charon_socket:=/run/charon.vici}"

# charon_start: starts charon and does not wait for it.
CHARON_STARTED=no
charon_start() {
	[ "$CHARON_STARTED" = no ] || return 0
	command -v swanctl >/dev/null 2>&1 || die "swanctl is not installed"
	charon=$(charon_command)
	say "charon is not running: $charon"
	remove_pid_file
	# A charon that was killed has left its socket, by which charon_load sees when this one listens.
	[ ! -S "$charon_socket" ] || rm -f "$charon_socket"
	# Its own process group keeps charon running if the hook is killed.
	detach=
	if command -v setsid >/dev/null 2>&1; then detach=setsid; fi
	# shellcheck disable=SC2086 # a command and its arguments
	$detach $charon </dev/null >/dev/null 2>&1 &
	CHARON_STARTED=yes
	esp_end_all
}

# charon_load: loads the files into charon. Starts it if it does not run, and waits until it listens. Does not run swanctl
# while there is no socket: it takes long on a small machine, and would slow the start down.
charon_load() {
	charon_tries=0
	while :; do
		if [ "$CHARON_STARTED" = no ] || [ -S "$charon_socket" ] || [ $((charon_tries % 8)) = 7 ]; then
			swan --load-all --noprompt || :
			case $OUT in
			*"connecting to '"*"' failed"*) charon_start ;;
			*) return 0 ;;
			esac
		fi
		charon_tries=$((charon_tries + 1))
		[ "$charon_tries" -le 100 ] || die "charon does not answer"
		# Where charon needs longer, each nap is a process that delays it.
		if [ "$charon_tries" -le 8 ]; then nap 0.05; else nap 0.2; fi
	done
}

# connection_name HOA: sets CONNECTION to the name of a connection at both ends: dots would be a syntax error.
connection_name() {
	CONNECTION=pana-eap
	[ "${KEY:-}" != eap ] || return 0
	CONNECTION=pana-
	name_left=$1
	while :; do
		case $name_left in
		*:*) CONNECTION=$CONNECTION${name_left%%:*}- name_left=${name_left#*:} ;;
		*) break ;;
		esac
	done
	CONNECTION=$CONNECTION$name_left
}

# node_conf ID: sets CONF to the node's file, and FORMER_CONF to that of a mobile node's former connection.
node_conf() {
	CONF=$SWANCTL_DIR/conf.d/pana-$1.conf
	FORMER_CONF=$SWANCTL_DIR/conf.d/pana-$1.former.conf
}

swanctl_conf() {
	[ -f "$SWANCTL_DIR/swanctl.conf" ] || put "$SWANCTL_DIR/swanctl.conf" 640 printf 'include conf.d/*.conf\n'
}

# section_secret NAME KEY ID [ID]
section_secret() {
	printf '  ike-%s {\n    id-1 = %s\n' "$1" "$3"
	[ -z "${4:-}" ] || printf '    id-2 = %s\n' "$4"
	printf '    secret = %s\n  }\n' "$2"
}

# section_auth SIDE NAME
section_auth() {
	printf '    %s {\n      auth = psk\n      id = %s\n    }\n' "$1" "$2"
}

# section_child LOCAL REMOTE: addresses, or networks if strongSwan tunnels the home address. A node begins IKE as soon as the
# connection is loaded, without another run of swanctl, and re-creates its CHILD_SA if the home agent has lost it.
section_child() {
	printf '    children {\n      mip6 {\n'
	case $MOBILITY in
	none)
		printf '        mode = tunnel\n        local_ts = %s\n        remote_ts = %s\n' "$1" "$2"
		;;
	*)
		# The program that writes the policies refers to the SAs by this number.
		cat <<-EOF
			        mode = transport_proxy
			        policies = no
			        reqid = 1
			        local_ts = $1/128[135]
			        remote_ts = $2/128[135]
		EOF
		;;
	esac
	[ "$MIP6_ROLE" != mn ] || printf '        start_action = start\n        dpd_action = restart\n'
	printf '        esp_proposals = aes128-sha256\n      }\n    }\n'
}

section_version() {
	case $VERSION in
	ikev1) printf '    version = 1\n    aggressive = yes\n' ;;
	*) printf '    version = 2\n' ;;
	esac
	printf '    mobike = no\n    proposals = aes128-sha256-modp2048\n'
}

# care_of_address [FORMER]: sets CARE_OF to the global address from which the node reaches the home agent; empty if it has none.
# The kernel would choose the home address, which IKE messages cannot use, because they are routed into its tunnel. The kernel
# lists the newest address first; FORMER is used only if there is no other.
care_of_address() {
	CARE_OF=
	case ${MIP6_COA:-} in
	'' | *%* | fe[89ab]?:* | *.* | "$HOA") ;;
	*)
		CARE_OF=$MIP6_COA
		return
		;;
	esac
	care_left=$(ip -6 -o address show dev "$INTERFACE" scope global -tentative -deprecated 2>/dev/null || :)
	while [ -n "$care_left" ]; do
		care_line=${care_left%%"$NL"*}
		case $care_left in
		*"$NL"*) care_left=${care_left#*"$NL"} ;;
		*) care_left= ;;
		esac
		case $care_line in
		*' home '*) continue ;;
		esac
		care_line=${care_line#* inet6 }
		care_line=${care_line%%/*}
		case $care_line in
		"$HOA") ;;
		"${1:-}") CARE_OF=$care_line ;;
		*)
			CARE_OF=$care_line
			return
			;;
		esac
	done
}

# A node authenticates with the new key, whose secret names both ends, and accepts both keys from the home agent, because a home
# agent authenticates with the old key until the node has used the new one.
mn_conf() {
	if [ "$KEY" = eap ]; then
		eap_mn_conf
		return
	fi
	printf '# %s at %s\nconnections {\n  %s {\n' "$ID" "$HA" "$CONNECTION"
	section_version
	printf '    remote_addrs = %s\n' "$HA"
	[ -z "$CARE_OF" ] || printf '    local_addrs = %s\n' "$CARE_OF"
	printf '    dpd_delay = %ss\n    keyingtries = 0\n' "$DPD_SECONDS"
	# charon treats connections that differ only in name as the same, and would not use the new key: vary rekey_time.
	printf '    rekey_time = %sm\n' "$((200 + GENERATION % 100))"
	[ "$MOBILITY" != none ] || printf '    vips = %s\n' "$HOA"
	section_auth local "$ID"
	section_auth remote "$HOST"
	case $MOBILITY in
	none) section_child dynamic ::/0 ;;
	*) section_child "$HOA" "$HA" ;;
	esac
	printf '  }\n}\nsecrets {\n'
	section_secret "$CONNECTION" "$KEY" "$ID" "$HOST"
	[ "$OLD" = - ] || section_secret "$CONNECTION-old" "$OLD" "$HOST"
	printf '}\n'
}

ha_conf() {
	printf '# %s\nconnections {\n  %s {\n' "$ID" "$CONNECTION"
	section_version
	printf '    local_addrs = %s\n' "$HA"
	# The dead peer detection of a node keeps its IKE_SA alive. This one deletes an IKE_SA that the node gave up, for example
	# because the response to IKE_AUTH came late; packets to the home address would be sent on its CHILD_SA.
	printf '    dpd_delay = %ss\n' "$((5 * DPD_SECONDS))"
	# A node that has moved keeps its SAs until new ones are up.
	case $MOBILITY in
	none) printf '    pools = %s\n' "$CONNECTION" ;;
	umip) printf '    unique = replace\n' ;;
	esac
	section_auth local "$HOST"
	section_auth remote "$ID"
	case $MOBILITY in
	none) section_child ::/0 dynamic ;;
	*) section_child "$HA" "$HOA" ;;
	esac
	printf '  }\n}\n'
	[ "$MOBILITY" != none ] || printf 'pools {\n  %s {\n    addrs = %s/128\n  }\n}\n' "$CONNECTION" "$HOA"
	printf 'secrets {\n'
	# The secret names only the node: charon tries every secret that names one of the two ends, so a secret that names the
	# home agent would let its node authenticate as any other node. Of two secrets with the same name charon uses the last
	# loaded to authenticate itself. IKEv1 allows only one key: the new one.
	section_secret "$CONNECTION" "$KEY" "$ID"
	[ "$OLD" = - ] || [ "$VERSION" = ikev1 ] || section_secret "$CONNECTION-old" "$OLD" "$ID"
	printf '}\n'
}

# After a syntax error swanctl exits with 0 and unloads connections, so check its output for the expected lines.
load_must_say() {
	case $OUT in
	*"$1"*) return 0 ;;
	esac
	die "swanctl rejected the configuration: $(said | tail -n 3 | tr '\n' ' ')"
}

# strongswan_load [CONNECTION]: loads secrets, pools and connections, in this order: a connection without its secret refuses
# the node. Starts charon if it does not run.
strongswan_load() {
	charon_load
	[ -n "${1:-}" ] || return 0
	[ "$KEY" = eap ] || load_must_say "loaded ike secret 'ike-$1'"
	load_must_say "loaded connection '$1'"
}

# sas: prints a line "CONNECTION SPI-SPI" for each established IKE_SA. SPIs are random, while charon restarts its unique ids
# from one.
sas() {
	swan --list-sas --raw || :
	printf '%s\n' "$OUT" |
		sed -n -e 's/ local-id=.* initiator-spi=/ initiator-spi=/' \
			-e 's/^list-sa event {\([^ ]*\) {.* state=ESTABLISHED .* initiator-spi=\([0-9a-f]*\) responder-spi=\([0-9a-f]*\) .*/\1 \2-\3/p'
}

# now_ms: sets NOW_MS to a time in milliseconds.
now_ms() {
	if [ -r /proc/uptime ]; then
		read -r now _ </proc/uptime
		NOW_MS=${now%.*}${now#*.}0
	else
		NOW_MS=$(date +%s)000
	fi
}

# former_care_of: sets FORMER to the care-of address in the connection of the node; empty if it has none.
former_care_of() {
	FORMER=
	node_conf "${MIP6_MN_ID:-$ID}"
	[ -f "$CONF" ] || return 0
	while read -r former_name former_value; do
		case $former_name in
		local_addrs) FORMER=${former_value#= } ;;
		esac
	done <"$CONF"
}

# link.sh replaces it on Linux.
forget_routers() {
	:
}
ROUTERS_GONE=

has_same_session() {
	[ -f "$NODES/$MIP6_MN_ID" ] || return 1
	node_read "$NODES/$MIP6_MN_ID"
	[ "$SESSION" = "${MIP6_SESSION:--}" ]
}

# A node whose session was replaced by one with another PAA gets "refresh" instead of "move", but may have moved as well.
ike_mn_up() {
	former_care_of
	case $EVENT:$FORMER:${MIP6_COA:-} in
	refresh::* | *: | "refresh:$FORMER:$FORMER") ;;
	# With a link-local address of the PaC, only another session shows a move: a re-authentication keeps the session.
	refresh:*%*) has_same_session || forget_routers ;;
	refresh:*) forget_routers ;;
	esac
	# shellcheck disable=SC2034 # read by umip.sh
	[ "$EVENT" != refresh ] || has_same_session || HAS_NEW_SESSION=yes
	node_put
	CARE_OF=
	if [ "$DRY_RUN" != yes ]; then
		# With a link-local address of the PaC, the former address counts unless its router has gone.
		care_of_address "${ROUTERS_GONE:+$FORMER}"
		if [ "$EVENT" = refresh ] && [ -n "$FORMER" ] && [ -n "$CARE_OF" ] && [ "$CARE_OF" != "$FORMER" ]; then
			HAS_MOVED=yes
			[ "$HAS_NEW_KEY" = yes ] || {
				GENERATION=$((GENERATION + 1))
				HAS_NEW_KEY=yes
				node_write
			}
			mn_forget
		fi
	fi
	mn_load
}
HAS_MOVED=no
# shellcheck disable=SC2034 # read by umip.sh
HAS_NEW_SESSION=no

# mn_forget: forgets the node's last IKE_SA without a message: the home agent could not receive it from the former address. With
# Mobile IPv6, the former SAs are those of the home address, and protect the binding update from the new link until others are up.
mn_forget() {
	if [ "$DRY_RUN" = yes ] || [ "$MOBILITY" != none ]; then return 0; fi
	connection_name "$HOA"
	swan --terminate --ike "$CONNECTION-$((GENERATION - 1))" --force || :
}

# mn_load: writes and loads the connection of the present key and care-of address.
mn_load() {
	connection_name "$HOA"
	CONNECTION=$CONNECTION-$GENERATION
	swanctl_conf
	if [ "$KEY" = eap ]; then eap_files; else eap_forget; fi
	node_conf "$ID"
	# With MOBILITY=none, a node that has moved has forgotten its former IKE_SA.
	[ "$HAS_MOVED:$MOBILITY" = yes:none ] || keep_former
	put "$CONF" 600 mn_conf
	if [ "$DRY_RUN" = yes ]; then
		say "dry run: swanctl loads $CONNECTION, and charon initiates it"
		return
	fi
	strongswan_load "$CONNECTION"
}

# keep_former: charon ends the SAs of a connection that it unloads. Keeps the former one, without its secret, until the new one is
# up. If the present one never came up, the one before it is kept.
keep_former() {
	if [ ! -f "$CONF" ] || [ -f "$FORMER_CONF" ]; then return 0; fi
	while read -r former_name _; do
		case $former_name in
		"$CONNECTION") return 0 ;;
		pana-*) break ;;
		esac
	done <"$CONF"
	# shellcheck disable=SC2016 # the last line, for sed
	put "$FORMER_CONF" 600 sed '/^secrets {/,$d' "$CONF"
}

# look_at_sas: sets WHAT to the state of the connection: nothing, begun (no answer yet), answered (the home agent has answered the
# first message), ike (only the IKE_SA), or all; and FORMERS to the other connections of the node that have an IKE_SA in any state.
look_at_sas() {
	WHAT=nothing FORMERS=
	look_prefix=${CONNECTION%-*}-
	# shellcheck disable=SC2119
	list_sas
	while next_sa; do
		case $WHAT:$SA in
		"all:$CONNECTION "*) ;;
		*":$CONNECTION "*state=ESTABLISHED*state=INSTALLED*) WHAT=all ;;
		*":$CONNECTION "*state=ESTABLISHED*) WHAT=ike ;;
		nothing:"$CONNECTION "*state=C[RO]*' responder-spi=0000000000000000 '*) WHAT=begun ;;
		nothing:"$CONNECTION "*state=C[RO]*) WHAT=answered ;;
		*":$CONNECTION "*) ;;
		*":$look_prefix"*)
			case "$FORMERS " in
			*" ${SA%% *} "*) ;;
			*) FORMERS="$FORMERS ${SA%% *}" ;;
			esac
			;;
		esac
	done
	if [ "$WHAT" = ike ] && [ "$CHILD_SA" = no ]; then WHAT=all; fi
}

# home_agent_answers: whether the home agent answers a ping within a second: the link is open.
home_agent_answers() {
	ping -6 -n -c 1 -i 0.2 -w 1 ${CARE_OF:+-I "$CARE_OF"} "$HA" >/dev/null 2>&1
}

# Waits for the SAs that charon has begun when it loaded the connection. The first message may be lost, because the enforcement
# point has not opened the link yet, and charon would repeat it after 4 s. Once the home agent has answered, leave retransmission
# to charon: the home agent may have its SAs up already, and those of a second IKE_SA beside them would get no packets. The home
# agent may not be ready yet: retry with a growing delay. If this hook fails, it is run again.
# Before an IKE_SA without an answer is given up, a ping asks the home agent. An answer of IKE that was on its way has arrived before
# that of the ping, unless the message is lost.
ike_mn_connect() {
	[ "$DRY_RUN" != yes ] || return 0
	now_ms
	connect_until=$((NOW_MS + 1000 * INITIATE_SECONDS))
	# If the hook has been slow so far, this machine also needs more time for IKE.
	connect_patience=$((2 * (NOW_MS - BEGAN)))
	[ "$connect_patience" -ge 200 ] || connect_patience=200
	connect_since=$NOW_MS
	connect_wait=100
	connect_looks=0
	connect_own=0
	connect_asked=no
	connect_why='no answer'
	[ "$IS_LOOKED_AT" = no ] || connect_looks=2
	while [ "$IS_LOOKED_AT" = yes ] || look_at_sas && [ "$WHAT" != all ]; do
		IS_LOOKED_AT=no
		connect_looks=$((connect_looks + 1))
		now_ms
		# charon may not have begun yet, and with IKEv1 the CHILD_SA follows.
		connect_limit=$connect_patience
		if [ "$WHAT" = answered ]; then
			connect_limit=$((5000 + connect_patience)) WHAT=begun
		fi
		if [ "$connect_looks" -le 2 ] || { [ "$WHAT" = begun ] && [ "$NOW_MS" -lt "$((connect_since + connect_limit))" ]; }; then
			nap 0.1
			continue
		fi
		if [ "$WHAT:$connect_asked" = begun:no ]; then
			connect_asked=yes
			if home_agent_answers; then continue; fi
		fi
		if [ "$connect_own" != 0 ]; then
			[ "$((NOW_MS + connect_wait))" -lt "$connect_until" ] ||
				die "no IKE_SA with $HOST after $connect_own tries: $connect_why"
			if [ "$WHAT" != begun ]; then nap "$((connect_wait / 1000)).$((connect_wait % 1000 / 100))"; fi
			[ "$connect_wait" -ge 3200 ] || connect_wait=$((connect_wait * 2))
		fi
		connect_own=$((connect_own + 1))
		if [ "$WHAT" = begun ]; then
			connect_why='no answer'
			swan --terminate --ike "$CONNECTION" --force || :
			swan --initiate --child mip6 --ike "$CONNECTION" --timeout -1 || :
			connect_since=$NOW_MS
			connect_patience=$((2 * connect_patience))
			connect_looks=0
			connect_asked=no
		else
			swan --initiate --child mip6 --ike "$CONNECTION" --timeout "$((2 + connect_patience / 1000))" || :
			connect_why=$(said | grep -e 'received .* notify' | tail -n 1 || :)
			: "${connect_why:=$(said | grep -v '^\[' | tail -n 1 || :)}"
			case $EVENT:$connect_why in
			probe:*"config 'mip6' not found"*)
				# A restarted charon has no connections, and begins with this one when it is loaded.
				mn_load
				connect_own=0 connect_looks=0
				;;
			move:*AUTHENTICATION_FAILED*)
				# The session has got a key by the next PAA, and "refresh" waits for the end of this hook.
				[ "$KEY" = eap ] || {
					say "move: the home agent has a newer key, which follows"
					return 0
				}
				;;
			esac
		fi
	done
	now_ms
	# charon makes the first try with a new key or address.
	[ "$HAS_NEW_KEY" = no ] || connect_own=$((connect_own + 1))
	say "IKE_SA up $((NOW_MS - BEGAN)) ms after the hook began ($connect_own tries)"
	[ "$KEY" != eap ] || eap_mn_home
	if [ "$CHILD_SA" = no ]; then say "no CHILD_SA was requested"; fi
	[ "$AT" = used ] || {
		AT=used
		node_write
	}
	[ "$EVENT:$MOBILITY" != move:none ] || return 0
	# The SAs of the previous key or address are no longer needed.
	for connect_name in $FORMERS; do
		if [ "$HAS_MOVED" = yes ]; then
			swan --terminate --ike "$connect_name" --force || :
		else
			strongswan_end "$connect_name"
		fi
	done
	[ ! -f "$FORMER_CONF" ] || rm -f "$FORMER_CONF"
}
now_ms
BEGAN=$NOW_MS

# A new connection from the new care-of address needs two round trips. MOBIKE would try the old address for seconds first. The
# home agent gets no message from the old address any more: the node forgets the IKE_SA without a message, so that the new one is
# an initial contact (RFC 7296, section 2.4), for which the home agent drops the old one and its lease of the home address.
ike_mn_move() {
	former_care_of
	move_former=$FORMER
	care_of_address "$move_former"
	# With a link-local address of the PaC, the kernel may not have the new global address yet.
	move_tries=0
	while [ "$CARE_OF" = "$move_former" ] && [ "$move_tries" -lt 10 ] && [ "$DRY_RUN" != yes ]; do
		case ${MIP6_COA:-} in
		*%* | fe[89ab]?:*) ;;
		*) break ;;
		esac
		nap 0.1
		care_of_address "$move_former"
		move_tries=$((move_tries + 1))
	done
	[ -n "$CARE_OF" ] && [ "$CARE_OF" != "$move_former" ] || return 0
	GENERATION=$((GENERATION + 1))
	node_write
	mn_forget
	HAS_NEW_KEY=yes HAS_MOVED=yes
	mn_load
	ike_mn_connect
}
WAS_LOST=no
HAS_NEW_KEY=no

# After charon or the home agent has failed: one try, since the watch runs the hook again.
ike_mn_check() {
	connection_name "$HOA"
	CONNECTION=$CONNECTION-$GENERATION
	look_at_sas
	check_load=no
	case $OUT in
	*"connecting to '"*"' failed"*) check_load=yes ;;
	esac
	if [ "$WHAT" = all ]; then
		# charon may have authenticated again by itself.
		[ "$KEY" != eap ] || eap_mn_home
		[ "${UNBOUND:-0}" -ge 2 ] || return 0
		say "no binding with the present SAs: new ones"
		swan --terminate --ike "$CONNECTION" --force || :
		WHAT=nothing
	fi
	former_care_of
	care_of_address
	if [ "$check_load" = yes ] || [ "$CARE_OF" != "$FORMER" ]; then
		mn_load
	else
		# charon begins nothing by itself with a connection that it has.
		IS_LOOKED_AT=yes
	fi
	# shellcheck disable=SC2034 # read by umip.sh
	WAS_LOST=yes
	INITIATE_SECONDS=0
	ike_mn_connect
}
# Whether WHAT is known, and no connection was loaded since.
IS_LOOKED_AT=no

strongswan_end() {
	swan --terminate --ike "$1" --timeout 2 || swan --terminate --ike "$1" --force || :
}

# esp_end HOA HA: deletes the node's SAs that a charon which was killed has left in the kernel.
esp_end() {
	[ "$MOBILITY" = umip ] || return 0
	esp_delete "$NL$1 $2$NL" \
		"$(printf 'xfrm state list src %s dst %s proto esp\n' "$1" "$2" "$2" "$1" | ip -6 -force -batch - 2>/dev/null || :)"
}

# esp_end_all: the same for all nodes, when another charon is started. It does not know these SAs, and the nodes make others.
esp_end_all() {
	[ "$MOBILITY" = umip ] || return 0
	esp_delete "$NL$(each_node esp_pair)$NL" "$(ip -6 xfrm state list proto esp 2>/dev/null || :)"
}

esp_pair() {
	printf '%s %s\n' "$HOA" "$HA"
}

# esp_delete PAIRS LIST: deletes the SAs of the list that esp_deletions prints.
esp_delete() {
	esp_lines=$(esp_deletions "$@")
	[ -z "$esp_lines" ] || printf '%s\n' "$esp_lines" | ip -6 -force -batch - >/dev/null 2>&1 || :
}

ike_mn_down() {
	down_has_charon=no
	if [ "$DRY_RUN" != yes ] && charon_runs; then down_has_charon=yes; fi
	node_conf "$MIP6_MN_ID"
	rm -f "$CONF" "$FORMER_CONF"
	eap_forget
	node_remove
	if [ "$down_has_charon" = yes ]; then
		# Unload the connections before their SAs are terminated, or they might be established again.
		strongswan_load
		connection_name "$MIP6_HOA"
		CONNECTION=$CONNECTION-
		look_at_sas
		for down_name in $FORMERS; do
			strongswan_end "$down_name"
		done
	fi
	[ "$DRY_RUN" = yes ] || esp_end "$MIP6_HOA" "$MIP6_HA"
}

# sas_of CONNECTION: prints the names of its SAs in UP, each after a ",".
sas_of() {
	printf '%s\n' "$UP" | awk -v name="$1" '$1 == name { printf ",%s", $2 }'
}

# note_sas: records the SAs that exist before the new key is loaded; they were made with the previous key.
note_sas() {
	SAS=$(sas_of "$CONNECTION"),
	node_write
}

# Drops the old key if an IKE_SA has been established since the new key was loaded, or after OLD_KEY_SECONDS.
forget_old_key() {
	[ "$OLD" != - ] || return 0
	connection_name "$HOA"
	uptime_seconds
	# The host has rebooted since.
	[ "$AT" -le "$UPTIME" ] || AT=0
	forget_used=no
	if [ "$SAS" != '?' ]; then
		for forget_sa in $(sas_of "$CONNECTION" | tr , ' '); do
			case $SAS in
			*",$forget_sa,"*) ;;
			*) forget_used=yes ;;
			esac
		done
	fi
	if [ "$forget_used" = no ] && [ $((UPTIME - AT)) -lt "$OLD_KEY_SECONDS" ]; then
		# The hook that loaded the key was killed before it recorded the SAs.
		[ "$SAS" != '?' ] || note_sas
		return 0
	fi
	OLD=-
	AT=used
	node_write
	node_conf "$ID"
	put "$CONF" 600 ha_conf
	FORGOTTEN=yes
}

forget_old_keys() {
	FORGOTTEN=no
	[ "$DRY_RUN" != yes ] || return 0
	WITH_OLD_KEY=no
	each_node note_old_key
	[ "$WITH_OLD_KEY" = yes ] || return 0
	UP=$(sas)
	each_node forget_old_key
}

note_old_key() {
	if [ "$OLD" != - ]; then WITH_OLD_KEY=yes; fi
}

ike_ha_note() {
	forget_old_keys
	node_put
}

ike_ha_put() {
	if [ "$KEY" = eap ]; then
		eap_ha_node
		return
	fi
	eap_ha_put
	connection_name "$HOA"
	swanctl_conf
	node_conf "$ID"
	put "$CONF" 600 ha_conf
	if [ "$DRY_RUN" = yes ]; then
		say "dry run: swanctl loads $CONNECTION"
		return
	fi
	# Before the new key is loaded: with it, a node can have an IKE_SA at once. If that were recorded, the old key would stay, and
	# with the next key the node would have no key in common with this home agent.
	if [ "$OLD" != - ] && [ "$SAS" = '?' ]; then
		UP=$(sas)
		note_sas
	fi
	strongswan_load "$CONNECTION"
}

ike_ha_remove() {
	forget_old_keys
	if ! has_other_address; then
		node_conf "$MIP6_MN_ID"
		rm -f "$CONF"
		node_remove
	fi
	# Not the connection that all nodes share.
	KEY=-
	connection_name "$MIP6_HOA"
	if [ "$DRY_RUN" = yes ]; then
		say "dry run: swanctl unloads $CONNECTION"
	elif charon_runs; then
		strongswan_load
		! serves_eap || eap_ha_end "$MIP6_HOA"
		# Also terminates half-open IKE_SAs.
		swan --terminate --ike "$CONNECTION" --force || :
	fi
	[ "$DRY_RUN" = yes ] || esp_end "$MIP6_HOA" "$MIP6_HA"
}

# ike_ha_end_all: ends the SAs of all nodes, so that they make new ones and register again. A charon that this hook has
# started has none.
ike_ha_end_all() {
	[ "$CHARON_STARTED" = yes ] || each_node ike_ha_end
}

ike_ha_end() {
	[ "$CHARON_STARTED" = no ] || return 0
	connection_name "$HOA"
	# The message has left when swanctl returns. Do not wait for nodes that do not answer.
	swan --terminate --ike "$CONNECTION" --force || :
}

# ike_ha_begin: starts a charon that does not run. It gets ready, and is given its connections, while the hook starts other programs:
# until it has them it refuses nodes, which then wait before they ask again.
CONNS=
CHARON_LOADING=
ike_ha_begin() {
	lock
	eap_ha_put
	swan --list-conns --raw || :
	CONNS="$OUT "
	case $OUT in
	*"connecting to '"*"' failed"*)
		charon_start
		charon_load &
		CHARON_LOADING=$!
		;;
	esac
}

# Nodes that authenticate by EAP share one.
count_connection() {
	[ "$KEY" = eap ] || check_wanted=$((check_wanted + 1))
}

# A charon that something else has restarted has no connections loaded.
ike_ha_check() {
	[ -n "$CONNS" ] || ike_ha_begin
	if [ -n "$CHARON_LOADING" ]; then
		wait "$CHARON_LOADING" || die "charon was not given its connections"
		return 0
	fi
	if [ "$CHARON_STARTED" = no ]; then
		forget_old_keys
		check_listed=0
		check_left=$CONNS
		while :; do
			case $check_left in
			*'{pana-'*) check_left=${check_left#*'{pana-'} check_listed=$((check_listed + 1)) ;;
			*) break ;;
			esac
		done
		if [ "$FORGOTTEN:$EAP_CHANGED" = no:no ]; then
			check_wanted=0
			each_node count_connection
			! serves_eap || check_wanted=$((check_wanted + 1))
			[ "$check_listed" -lt "$check_wanted" ] || return 0
			say "charon has $check_listed of $check_wanted connections: loading them"
		fi
	fi
	strongswan_load
}
