#!/bin/sh
# Started by ha-linux.sh and mn-linux.sh; ends when there is no node any more. Runs the hook again with "probe" as soon as one of its
# programs has ended, and on a mobile node when its SAs are gone, for example because the home agent restarted, or when charon has
# made others by itself, since the home agent may have lost the binding too. While that fails it is repeated after 1, 2, 4 … 30 s, with
# strongSwan as soon as the home agent answers a ping again, and sooner while it answers: its programs may just start. What the hook
# says goes to syslog, and to the output of the next hook.
#
#   watch.sh probe HOOK [now]      now: runs the hook before it looks, because the host has just started
#
# Settings in hooks.conf: WATCH=no        do not start it
#                         WATCH_SECONDS=1 how often it looks

HERE=${0%/*}
HOOK=$2
BEGINS=${3:-}
DEFAULT_MOBILITY=umip
WATCH_SECONDS=1
# shellcheck source=scripts/hooks/common.sh
. "$HERE/common.sh"
# shellcheck source=scripts/hooks/programs.sh
. "$HERE/programs.sh"

case $IKE in
racoon) PROGRAMS=racoon ;;
*) PROGRAMS='charon|charon-systemd' ;;
esac
[ "$MOBILITY" != umip ] || PROGRAMS="$PROGRAMS mip6d"
[ "$MOBILITY:$MIP6_ROLE:${RADVD:-yes}" != umip:ha:yes ] || PROGRAMS="$PROGRAMS radvd"

# hex_address: prints an address as in /proc/net/if_inet6.
hex_address() {
	printf '%s\n' "$1" | awk '{
		two = split($0, half, "::")
		left = split(half[1], a, ":")
		right = two > 1 ? split(half[2], b, ":") : 0
		for (i = 1; i <= left; i++) out = out substr("0000" a[i], length(a[i]) + 1)
		for (i = left + right; i < 8; i++) out = out "0000"
		for (i = 1; i <= right; i++) out = out substr("0000" b[i], length(b[i]) + 1)
		print out
	}'
}

# find_programs: sets PIDS; fails if one of the programs does not run.
find_programs() {
	PIDS=
	for program in $PROGRAMS; do
		found=$(ours pgrep -o -x "$program" 2>/dev/null) || return 1
		PIDS="$PIDS $found"
	done
}

# programs_run: starts no process.
programs_run() {
	[ -n "$PIDS" ] || find_programs || return 1
	for pid in $PIDS; do
		{ read -r stat <"/proc/$pid/stat"; } 2>/dev/null || return 1
		case ${stat##*) } in
		[ZX]*) return 1 ;;
		esac
	done
}

# charon has the home address on an interface while the IKE_SA is up.
has_address() {
	while read -r address _; do
		[ "$address" != "$HOA_HEX" ] || return 0
	done </proc/net/if_inet6
	return 1
}

# An SA with SPI 0 is one that IKE was asked for. Sets ESP_SEEN to the SPIs of the others.
has_esp() {
	ESP_SEEN=
	esp_left=$(ip xfrm state list src "$HOA" dst "$HA" proto esp 2>/dev/null) || return 0
	while :; do
		case $esp_left in
		*' spi 0x'*)
			esp_left=${esp_left#*' spi 0x'}
			case $esp_left in
			00000000*) ;;
			*) ESP_SEEN="$ESP_SEEN ${esp_left%%[!0-9a-f]*}" ;;
			esac
			;;
		*) break ;;
		esac
	done
	[ -n "$ESP_SEEN" ]
}

# binding_is_well: every ten seconds, records the bindings of a home agent, or checks that of a node. UNBOUND counts failed checks:
# at the second one, the hook makes a new IKE_SA, since the home agent may send on SAs that the node does not have.
UNBOUND=0
export UNBOUND
binding_is_well() {
	[ "$MOBILITY" = umip ] && [ "$UPTIME" -ge "$look_due" ] || return 0
	look_due=$((UPTIME + 10))
	if [ "$MIP6_ROLE" = ha ]; then
		umip_record
	elif umip_is_lost; then
		UNBOUND=$((UNBOUND + 1))
		return 1
	else
		UNBOUND=0
	fi
}

# esp_is_new: whether the SAs are others than when the hook last ran. One that is gone is none.
ESP_SEEN='' ESP_KNOWN=''
esp_is_new() {
	[ "$IKE" = strongswan ] && [ -n "$ESP_KNOWN" ] || return 1
	for esp_spi in $ESP_SEEN; do
		case "$ESP_KNOWN " in
		*" $esp_spi "*) ;;
		*) return 0 ;;
		esac
	done
	return 1
}

# racoon-dead.sh writes the file. A probe that succeeds removes it.
has_isakmp() {
	! has_lost_isakmp && has_esp
}

has_lost_isakmp() {
	[ -n "${SAS_LOST:-}" ] && [ -e "$SAS_LOST" ]
}

# home_agent_is_there: asks it with a ping from the care-of address.
home_agent_is_there() {
	[ "$MIP6_ROLE:$IKE" = mn:strongswan ] || return 1
	care_of_address
	home_agent_answers
}

# home_agent_is_back: asks a home agent that did not answer, every two seconds.
IS_AWAY=no
ping_due=0
home_agent_is_back() {
	[ "$IS_AWAY" = yes ] && [ "$UPTIME" -ge "$ping_due" ] || return 1
	ping_due=$((UPTIME + 2))
	home_agent_is_there || return 1
	IS_AWAY=no next=1
}

# limit_pause: while the home agent answers pings, but no IKE, a node waits a quarter of the time that this has lasted, at most 8 s.
limit_pause() {
	pause_most=$((1 + (UPTIME - failing_since) / 4))
	[ "$pause_most" -le 8 ] || pause_most=8
	[ "$next" -le "$pause_most" ] || next=$pause_most
}

# repair: runs the hook.
repair() {
	PIDS='' ESP_KNOWN=''
	if said=$("$HOOK" probe 2>&1); then
		uptime_seconds
		# With strongSwan the hook has seen the SAs, which may be those of a home agent that is gone already.
		sas_due=$((UPTIME + 10))
		[ "$IKE:${CHILD_SA:-yes}" != strongswan:yes ] || sas_due=$((UPTIME + 3))
	else
		was_away=$IS_AWAY IS_AWAY=no
		home_agent_is_there || IS_AWAY=yes
		uptime_seconds
		[ "$was_away:$IS_AWAY" != yes:no ] || next=1
		[ "$next" != 1 ] || failing_since=$UPTIME
		[ "$IS_AWAY" = yes ] || limit_pause
		said="$said (again in $next s)"
		sas_due=0 not_before=$((UPTIME + next)) ping_due=$((UPTIME + 2))
		[ "$next" -ge 30 ] || next=$((next * 2))
	fi
	[ -n "$said" ] || return 0
	# A daemon that is away reads it later: keep it short.
	[ "$(wc -l 2>/dev/null <"$WATCH_LOG" || echo 0)" -ge 100 ] || printf '%s\n' "$said" >>"$WATCH_LOG"
	printf '%s\n' "$said" | logger -t "pana-mip6-${HOOK##*/}" 2>/dev/null || :
}

SAS_ARE_UP=:
if [ "$MIP6_ROLE" = mn ]; then
	own_node || exit 0
	case $IKE:$MOBILITY in
	strongswan:none)
		HOA_HEX=$(hex_address "$HOA")
		[ ! -r /proc/net/if_inet6 ] || SAS_ARE_UP=has_address
		;;
	racoon:umip) SAS_ARE_UP=has_isakmp ;;
	*:umip) SAS_ARE_UP=has_esp ;;
	esac
fi

# Its output goes to the log of the watch.
export WATCHED=yes
uptime_seconds
END=$((UPTIME + ${MIP6_LIFETIME:-0}))
PIDS=
next=1
# No probe before this time, and none for want of SAs before that one: racoon makes SAs when mip6d needs them.
not_before=$UPTIME
sas_due=$((UPTIME + 10))
look_due=$UPTIME
# A node's first binding update may not be answered yet.
[ "$MIP6_ROLE" = ha ] || look_due=$((UPTIME + 10))
[ "$BEGINS" != now ] || repair
while :; do
	sleep "$WATCH_SECONDS"
	read -r token 2>/dev/null <"$WATCH_FILE" || exit 0
	[ "${token%%@*}" = "$$" ] || exit 0
	uptime_seconds
	set -- "$NODES"/*
	[ -f "$1" ] || exit 0
	# The daemon has ended without a hook.
	[ "$MIP6_ROLE" = ha ] || [ "${MIP6_LIFETIME:-0}" = 0 ] || [ "$UPTIME" -lt "$END" ] || exit 0
	[ "$UPTIME" -ge "$not_before" ] || home_agent_is_back || continue
	if programs_run; then
		if "$SAS_ARE_UP" && ! esp_is_new && binding_is_well; then
			next=1 sas_due=0 ESP_KNOWN=$ESP_SEEN
			continue
		fi
		[ "$UPTIME" -ge "$sas_due" ] || has_lost_isakmp || continue
	fi
	repair
done
