# shellcheck shell=sh
# Shared by the hooks beside it, which read it with ".". POSIX sh: runs under dash, busybox and FreeBSD's sh.
#
# A hook gets one argument, the event, and its values in MIP6_… variables. The operator's settings are in
# $MIP6_STATE_DIR/hooks.conf, a shell file of assignments:
#
#   DRY_RUN=yes            write the files and start nothing
#   CONF_DIR=/some/where   where the files go (default: $MIP6_STATE_DIR)
#   INTERFACE=eth0         interface of the mobile node, or the home link's of the home agent
#   IKE=strongswan         or racoon (default: strongswan where swanctl is installed, else racoon)
#   MOBILITY=umip          or shisa, or none (default: umip on Linux, shisa on FreeBSD)
#   START_SECONDS=20       how long a started program may take until it is ready
#
# strongswan.sh and umip.sh list the settings of strongSwan and UMIP.
#
# Each file is written under another name and then renamed, so that a killed hook leaves the old file intact.

set -eu
umask 077
# shellcheck disable=SC2034 # a line end, for other scripts
NL='
'

say() {
	printf '%s\n' "$*"
}

die() {
	printf 'error: %s\n' "$*" >&2
	exit 1
}

EVENT=${1:-}
: "${MIP6_STATE_DIR:?the daemon sets it}" "${MIP6_ROLE:?the daemon sets it}"
[ "$EVENT" = "${MIP6_EVENT:-}" ] || die "argument \"$EVENT\" and MIP6_EVENT \"${MIP6_EVENT:-}\" differ"

DRY_RUN=no
CONF_DIR=$MIP6_STATE_DIR
INTERFACE=${MIP6_INTERFACE:-eth0}
IKE=
# shellcheck disable=SC2034 # read by programs.sh
MOBILITY=${DEFAULT_MOBILITY:-none}
if [ -f "$MIP6_STATE_DIR/hooks.conf" ]; then
	# shellcheck source=/dev/null
	. "$MIP6_STATE_DIR/hooks.conf"
fi

if [ -z "$IKE" ]; then
	IKE=racoon
	if command -v swanctl >/dev/null 2>&1; then IKE=strongswan; fi
fi

# The daemon checks its values. These checks protect against other callers.
check_name() {
	case $2 in
	'' | *[!A-Za-z0-9._+@-]* | [!A-Za-z0-9]* | *..*) die "$1 is not a plain name" ;;
	esac
	[ "${#2}" -le 253 ] || die "$1 is too long"
}

check_address() {
	case $2 in
	'' | *[!0-9a-f.:]*) die "$1 is not an address" ;;
	esac
}

check_number() {
	case $2 in
	'' | *[!0-9]*) die "$1 is not a number" ;;
	esac
}

check_interface() {
	case $2 in
	'' | *[!A-Za-z0-9._-]* | [!A-Za-z0-9]*) die "$1 is not the name of an interface" ;;
	esac
}

# need PROGRAM PACKAGE [PORT]: for the event test, which changes nothing. PACKAGE is that of Debian, PORT that of FreeBSD; "-": none
# has the program.
need() {
	if command -v "$1" >/dev/null 2>&1; then return 0; fi
	case $(uname):$2:${3:--} in
	Linux:-:* | FreeBSD:*:-) die "$1 is not installed" ;;
	FreeBSD:*) die "$1 is not installed: pkg install $3" ;;
	*) die "$1 is not installed: apt install $2" ;;
	esac
}

# need_folder FOLDER: warns if it does not exist yet.
need_folder() {
	[ -d "$1" ] || say "warning: $1 does not exist yet"
}

# need_forwarding INTERFACE…: warns if this host does not forward packets that come from an interface.
need_forwarding() {
	for interface in "$@"; do
		forwarding=
		{ read -r forwarding <"${SYSCTL:-/proc/sys}/net/ipv6/conf/$interface/forwarding"; } 2>/dev/null || continue
		[ "$forwarding" != 0 ] ||
			say "warning: this host does not forward IPv6 packets from $interface: sysctl -w net.ipv6.conf.all.forwarding=1"
	done
}

# Checks the values of a mobile node and its home agent.
check_binding() {
	check_name MIP6_MN_ID "${MIP6_MN_ID:-}"
	[ -n "${MIP6_HOA:-}" ] ||
		die "there is no MIP6_HOA: this hook cannot get a home address by IKEv2; it needs one from PANA (mobility.home-address)"
	check_address MIP6_HOA "$MIP6_HOA"
	check_address MIP6_HA "${MIP6_HA:-}"
	check_name MIP6_HA_HOST "${MIP6_HA_HOST:-}"
	check_number MIP6_PREFIX_LEN "${MIP6_PREFIX_LEN:-}"
	check_interface INTERFACE "$INTERFACE"
	case ${MIP6_IKE:=ikev2} in
	ikev1 | ikev2) ;;
	*) die "MIP6_IKE is not ikev1 or ikev2" ;;
	esac
	[ -z "${MIP6_PREFIX:-}" ] || check_address MIP6_PREFIX "$MIP6_PREFIX"
	check_session
}

check_session() {
	case ${MIP6_SESSION:-} in
	*[!A-Za-z0-9.\;:_-]*) die "MIP6_SESSION is not a plain token" ;;
	esac
}

# Reads the key: 0x and hexadecimal digits.
read_psk() {
	[ -f "${MIP6_PSK_FILE:-}" ] || die "no key file"
	read -r PSK <"$MIP6_PSK_FILE" || :
	case $PSK in
	0x*[!0-9a-f]* | 0x) die "the key file does not hold 0x and hexadecimal digits" ;;
	0x*) ;;
	*) die "the key file does not hold 0x and hexadecimal digits" ;;
	esac
}

# put FILE MODE COMMAND…: replaces the file atomically with the output of the command.
put() {
	put_file=$1
	put_mode=$2
	shift 2
	put_new=${put_file%/*}/.new.$$
	[ -d "${put_file%/*}" ] || mkdir -p "${put_file%/*}"
	[ ! -f "$put_new" ] || rm -f "$put_new"
	case $put_mode in
	600) ;;
	640) umask 027 ;;
	644) umask 022 ;;
	*) die "no mode $put_mode" ;;
	esac
	"$@" >"$put_new"
	umask 077
	if [ -n "${put_compares:-}" ]; then
		CHANGED=yes
		if [ -f "$put_file" ] && cmp -s "$put_new" "$put_file"; then
			# shellcheck disable=SC2034 # read by the caller
			CHANGED=no
			# The hook removes the new file at its end.
			return 0
		fi
	fi
	mv -f "$put_new" "$put_file"
}

# put_compared FILE MODE COMMAND…: the same, and sets CHANGED to yes or no.
put_compared() {
	put_compares=yes
	put "$@"
	put_compares=
}

# started PID: sets START to the start time of the process, which distinguishes it from a later process with the same PID, also
# after a reboot. Fails if the process has ended.
started() {
	START=
	if [ -r /proc/sys/kernel/random/boot_id ]; then
		# The process may end meanwhile.
		{ read -r started_stat <"/proc/$1/stat"; } 2>/dev/null || return 1
		read -r started_boot </proc/sys/kernel/random/boot_id
		# The name in parentheses may hold anything; field 22 is the start in clock ticks after boot.
		# shellcheck disable=SC2086 # fields
		set -- ${started_stat##*) }
		# A zombie has ended.
		[ "$1" != Z ] || return 1
		START=$started_boot:${20}
	else
		started_at=$(ps -o lstart= -p "$1" 2>/dev/null) || return 1
		START=$(printf '%s\n' "$started_at" | tr ' ' _)
	fi
}

# holds_no_more TOKEN: whether the process of the token PID@START has ended.
holds_no_more() {
	started "${1%%@*}" || :
	[ "${1#*@}" != "$START" ]
}

# Several hooks may run at the same time, and each rewrites the files of all nodes. The lock is a symbolic link, which is
# created atomically; its target names the holder. A hook holds .locked.stale while it removes the lock of a dead process.
LOCK=$MIP6_STATE_DIR/.locked
LOCKED=no
lock() {
	[ "$LOCKED" = no ] || return 0
	lock_tries=0
	# In earlier versions .locked.stale was a folder; ln would create the link inside it.
	[ ! -d "$LOCK.stale" ] || rmdir "$LOCK.stale" 2>/dev/null || :
	started "$$" || :
	lock_me="$$@$START"
	until ln -s "$lock_me" "$LOCK" 2>/dev/null; do
		lock_holder=$(readlink "$LOCK" 2>/dev/null || :)
		if [ -n "$lock_holder" ] && holds_no_more "$lock_holder"; then
			if ln -s "$lock_me" "$LOCK.stale" 2>/dev/null; then
				# Check again: another process may have removed the lock meanwhile, and a third may hold it.
				if [ "$(readlink "$LOCK" 2>/dev/null || :)" = "$lock_holder" ]; then rm -f "$LOCK"; fi
				rm -f "$LOCK.stale"
				continue
			fi
			lock_remover=$(readlink "$LOCK.stale" 2>/dev/null || :)
			if [ -n "$lock_remover" ] && holds_no_more "$lock_remover"; then rm -f "$LOCK.stale"; fi
		fi
		lock_tries=$((lock_tries + 1))
		[ "$lock_tries" -le 200 ] || die "another hook (process ${lock_holder%%@*}) holds $LOCK"
		nap 0.1
	done
	LOCKED=yes
	trap 'rm -f "$LOCK" "$CONF_DIR/.new.$$"' EXIT
	trap 'exit 1' HUP INT TERM
}

# is_locked: whether another hook, which runs, holds the lock.
is_locked() {
	locked_by=$(readlink "$LOCK" 2>/dev/null) || return 1
	! holds_no_more "$locked_by"
}

# nap SECONDS: sleeps; one second if sleep supports only whole seconds.
nap() {
	sleep "$1" 2>/dev/null || sleep 1
}

# ours pgrep|pkill OPTION…: limited to this network namespace, if the program supports it: each namespace has its own daemons.
ours() {
	ours_program=$1
	shift
	: "${OURS:=$(pgrep --help 2>&1 || :)}"
	case $OURS in
	*--nslist*)
		if "$ours_program" --ns "$$" --nslist net "$@"; then return 0; fi
		for ours_name in "$@"; do :; done
		has_hidden "$ours_name" || return 1
		;;
	*) OURS=no ;;
	esac
	"$ours_program" "$@"
}

# has_hidden NAME|NAME…: whether the kernel hides the namespaces of such a program, because it has more capabilities than this hook, as
# a charon of systemd may have. pgrep does not find it by its namespace.
has_hidden() {
	for hidden_comm in /proc/[0-9]*/comm; do
		# Reads no name of the others: the shell reads it octet by octet.
		[ ! -e "${hidden_comm%/comm}/ns/net" ] || continue
		{ read -r hidden_name <"$hidden_comm"; } 2>/dev/null || continue
		case "|$1|" in
		*"|$hidden_name|"*) return 0 ;;
		esac
	done
	return 1
}

# is_running NAME: notes the programs that do not run, for which nobody need look again before they are started.
NOT_RUNNING=' '
is_running() {
	if ours pgrep -x "$1" >/dev/null 2>&1; then return 0; fi
	NOT_RUNNING="$NOT_RUNNING$1 "
	return 1
}

# runs_not NAME: whether is_running has noted it.
runs_not() {
	case $NOT_RUNNING in
	*" $1 "*) return 0 ;;
	esac
	return 1
}

# has_started NAME: whether this run of the hook started the program.
has_started() {
	case "$STARTED " in
	*" $1 "*) return 0 ;;
	esac
	return 1
}

# end NAME: stops a program if it runs.
end() {
	if [ "$DRY_RUN" = yes ]; then
		say "dry run: pkill -x $1"
	else
		ours pkill -x "$1" || :
	fi
}

# act COMMAND…: runs the command, except in a dry run.
act() {
	if [ "$DRY_RUN" = yes ]; then
		say "dry run: $*"
	else
		"$@"
	fi
}

# start NAME IS_READY COMMAND…: runs the command unless the program NAME runs, and waits until the function IS_READY succeeds.
# Some programs report success, exit with 0 and end.
start() {
	start_name=$1
	start_when=$2
	shift 2
	if [ "$DRY_RUN" = yes ]; then
		say "dry run: $*"
		return
	fi
	if ! runs_not "$start_name" && is_running "$start_name"; then return; fi
	NOT_RUNNING=' '
	command -v "$1" >/dev/null 2>&1 || die "$1 is not installed"
	"$@" || die "$start_name did not start$(why_not "$start_name")"
	start_wait "$start_name" "$start_when"
}

# start_wait NAME IS_READY: waits until the program NAME, which runs, is ready.
start_wait() {
	start_name=$1
	start_is_ready=$2
	start_tries=0
	uptime_seconds
	# UPTIME is rounded down.
	start_until=$((UPTIME + START_SECONDS + 1))
	until "$start_is_ready"; do
		start_tries=$((start_tries + 1))
		if [ $((start_tries % 10)) = 0 ]; then
			is_running "$start_name" || die "$start_name has exited after its start$(why_not "$start_name")"
			uptime_seconds
			[ "$UPTIME" -lt "$start_until" ] || die "$start_name is running, but not ready after $START_SECONDS s"
		fi
		nap 0.1
	done
	STARTED="$STARTED $start_name"
}

# why_not NAME: prints ": REASON" for a program that has not started. racoon.sh replaces it.
why_not() {
	:
}

# settled: for a program that does not show when it is ready. If it cannot work, it ends within a second.
settled() {
	[ "$start_tries" -ge 10 ]
}

# Names of the programs that this run of the hook started.
STARTED=
: "${START_SECONDS:=20}"

# One record per node, from which all files are generated: a line with the fields below, "-" for a missing value. A mobile
# node has one record, its own.
NODES=$CONF_DIR/nodes

# uptime_seconds: sets UPTIME to a time in seconds that steps of the wall clock do not affect.
uptime_seconds() {
	if [ -r /proc/uptime ]; then
		read -r UPTIME _ </proc/uptime
		UPTIME=${UPTIME%.*}
		return
	fi
	# FreeBSD: a step of the wall clock also moves the boot time.
	uptime=$(sysctl -n kern.boottime | sed -n 's/.*[{ ]sec = \([0-9]*\).*/\1/p')
	UPTIME=$(($(date +%s) - ${uptime:?kern.boottime has no seconds}))
}

# node_read FILE: sets ID HOA LEN HA HOST KEY VERSION PREFIX OLD AT GENERATION SESSION SAS. OLD is the key before KEY, kept
# until KEY has been used. AT is the time at which KEY arrived, in seconds since boot, or "used". GENERATION counts the keys.
# SAS lists the SAs that were up when KEY was loaded, which therefore use an earlier key: ",NAME,NAME,"; "?": not recorded yet.
# shellcheck disable=SC2034 # each command uses some of these
node_read() {
	read -r ID HOA LEN HA HOST KEY VERSION PREFIX OLD AT GENERATION SESSION SAS <"$1" || :
	: "${VERSION:=ikev1}" "${PREFIX:=-}" "${OLD:=-}" "${AT:=0}" "${GENERATION:=0}" "${SESSION:=-}" "${SAS:=?}"
}

# Writes the record of the values in ID HOA … SAS.
node_write() {
	put "$NODES/$ID" 600 printf '%s %s %s %s %s %s %s %s %s %s %s %s %s\n' \
		"$ID" "$HOA" "$LEN" "$HA" "$HOST" "$KEY" "$VERSION" "$PREFIX" "$OLD" "$AT" "$GENERATION" "$SESSION" "$SAS"
}

# Updates the record with the values of the event. Until the new key is used, OLD remains the last key that was used.
# Exception: on a home agent, when the session changes, OLD is dropped, because a restarted node has only the new key. Sets
# HAS_NEW_KEY.
# shellcheck disable=SC2034 # strongswan.sh and racoon.sh use HAS_NEW_KEY
node_put() {
	HAS_NEW_KEY=no
	KEY=- HOA=- OLD=- AT=0 GENERATION=0 SESSION=- SAS='?'
	if [ -f "$NODES/$MIP6_MN_ID" ]; then node_read "$NODES/$MIP6_MN_ID"; fi
	if [ "$KEY" != "$PSK" ]; then
		# "eap" is no key: nobody may use it as one.
		if [ "$HOA" != "$MIP6_HOA" ] || [ "$KEY" = eap ] || [ "$PSK" = eap ]; then
			OLD=-
		elif [ "$MIP6_ROLE" = ha ] && [ "$SESSION" != "${MIP6_SESSION:--}" ]; then
			OLD=-
		elif [ "$OLD" = - ] || [ "$AT" = used ]; then
			OLD=$KEY
		fi
		KEY=$PSK
		HAS_NEW_KEY=yes
		uptime_seconds
		AT=$UPTIME
		SAS='?'
		GENERATION=$((GENERATION + 1))
	fi
	ID=$MIP6_MN_ID HOA=$MIP6_HOA LEN=$MIP6_PREFIX_LEN HA=$MIP6_HA HOST=$MIP6_HA_HOST
	VERSION=$MIP6_IKE PREFIX=${MIP6_PREFIX:--} SESSION=${MIP6_SESSION:--}
	node_write
}

node_remove() {
	rm -f "$NODES/$MIP6_MN_ID"
}

# has_other_address: whether the record of the node has another home address than the event. A late "down" for the former
# address must not remove the present one.
has_other_address() {
	[ -f "$NODES/$MIP6_MN_ID" ] || return 1
	node_read "$NODES/$MIP6_MN_ID"
	[ "$HOA" != "$MIP6_HOA" ]
}

# each_node COMMAND: runs the command for each node, sorted by name.
each_node() {
	for node_file in "$NODES"/*; do
		[ -f "$node_file" ] || continue
		node_read "$node_file"
		"$@"
	done
}

count_nodes() {
	set -- "$NODES"/*
	if [ -f "$1" ]; then printf '%s\n' "$#"; else printf '0\n'; fi
}
