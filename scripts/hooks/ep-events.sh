# shellcheck shell=sh disable=SC2034,SC2153 # the hooks use the variables; common.sh sets EVENT
# Shared by the hooks of an enforcement point, which read it with "." after common.sh.
#
#   start   the PAA starts or reloads. Standard input: a line "permit …" for each authorized client
#   permit, move, revoke   one client, in MIP6_… variables; the old address is omitted if another session has it
#   batch   such events on standard input, in order: "permit MIP6_SESSION=… MIP6_COA=…"
#   check   whether the enforcement point still has what "start" set up; if this fails, the PAA runs "start" again
#   stop    the PAA ends; every client was revoked
#   test    for "pana-paa doctor": whether start would work; nothing is changed
#   close   for the operator, before the PAA has started: no client passes, whatever AT_STOP says
#
# each_event FUNCTION calls FUNCTION for each permit, move and revoke with $event $session $coa $old $lifetime $user,
# missing values are empty. Link-local addresses include their interface.

set -f

each_event() {
	case $EVENT in
	start | batch)
		while read -r event words; do
			session='' coa='' old='' lifetime='' user=''
			for word in $words; do
				case $word in
				MIP6_SESSION=*) session=${word#*=} ;;
				MIP6_COA=*) coa=${word#*=} ;;
				MIP6_COA_OLD=*) old=${word#*=} ;;
				MIP6_LIFETIME=*) lifetime=${word#*=} ;;
				MIP6_MN_ID=*) user=${word#*=} ;;
				esac
			done
			check_event
			"$1"
		done
		;;
	check | stop | close | test) ;;
	*)
		event=$EVENT session=${MIP6_SESSION:-} coa=${MIP6_COA:-} old=${MIP6_COA_OLD:-}
		lifetime=${MIP6_LIFETIME:-} user=${MIP6_MN_ID:-}
		check_event
		"$1"
		;;
	esac
}

check_event() {
	case $event in
	permit | move) [ -n "$coa" ] || die "MIP6_COA is missing" ;;
	revoke) ;;
	*) die "event \"$event\" is not for an enforcement point" ;;
	esac
	case $session in
	'' | *[!A-Za-z0-9._-]*) die "MIP6_SESSION is not a plain token" ;;
	esac
	[ -z "$coa" ] || check_scoped MIP6_COA "$coa"
	[ -z "$old" ] || check_scoped MIP6_COA_OLD "$old"
	[ -z "$lifetime" ] || check_number MIP6_LIFETIME "$lifetime"
	[ -z "$user" ] || check_name MIP6_MN_ID "$user"
}

check_scoped() {
	check_address "$1" "${2%%%*}"
	case $2 in
	*%*) check_interface "$1" "${2#*%}" ;;
	esac
}

# The boot of this machine at which "start" succeeded. The filter does not survive a reboot, but the state folder does.
SET_UP=$MIP6_STATE_DIR/ep-set-up

# boot: sets BOOT to a token of this boot.
boot() {
	if [ -r /proc/sys/kernel/random/boot_id ]; then
		read -r BOOT </proc/sys/kernel/random/boot_id
	else
		BOOT=$(sysctl -n kern.boottime | sed 's/.*[{ ]sec = \([0-9]*\).*/\1/')
	fi
}

set_up() {
	boot
	put "$SET_UP" 600 say "$BOOT"
}

not_set_up() {
	rm -f "$SET_UP"
}

check_set_up() {
	boot
	set_up_at=
	[ ! -s "$SET_UP" ] || read -r set_up_at <"$SET_UP" || :
	[ "$set_up_at" = "$BOOT" ] || die "the enforcement point was not set up by the PAA"
}

# is_open: whether every client passes now, at "stop" with AT_STOP=open.
is_open() {
	[ "$EVENT" = stop ] && [ "$AT_STOP" = open ]
}

# check_paa: checks the settings PAA and PAA_PORT: addresses of a PAA that clients reach through this machine.
check_paa() {
	: "${PAA:=}" "${PAA_PORT:=716}"
	for paa in $PAA; do check_address PAA "$paa"; done
	check_number PAA_PORT "$PAA_PORT"
}

# settings_on_linux: sets ACCESS_INTERFACE, ADDRESSES and AT_STOP to their defaults, and checks them.
settings_on_linux() {
	ACCESS_INTERFACE=${ACCESS_INTERFACE:-$INTERFACE}
	ADDRESSES=${ADDRESSES:-one}
	AT_STOP=${AT_STOP:-closed}
	for interface in $ACCESS_INTERFACE; do check_interface ACCESS_INTERFACE "$interface"; done
	case $ADDRESSES in one | mac) ;; *) die "ADDRESSES must be one or mac" ;; esac
	case $AT_STOP in closed | open) ;; *) die "AT_STOP must be closed or open" ;; esac
	check_paa
	# Without ip no MAC address is known, and clients would pass by their IP addresses alone.
	command -v ip >/dev/null 2>&1 || die "ip is not installed"
}

# test_router: for the event test: whether this host forwards packets, and advertises itself where radvd is configured.
test_router() {
	for interface in $ACCESS_INTERFACE; do
		ip link show dev "$interface" >/dev/null 2>&1 || say "warning: interface $interface does not exist (yet)"
	done
	# shellcheck disable=SC2086 # names
	need_forwarding $ACCESS_INTERFACE
	: "${RADVD_CONF:=/etc/radvd.conf}"
	[ -f "$RADVD_CONF" ] || return 0
	need radvd radvd
	is_running radvd || say "warning: radvd does not run, which $RADVD_CONF configures: nodes hear no router advertisement"
}

# solicit EVENTS: makes the kernel look up the MAC addresses of new clients, with SOLICIT=yes: if the PAA is on another
# machine, such a client may not have sent a packet to this one yet. Waits until they are known, at most for one second.
# EVENTS has lines "EVENT ADDRESS …".
solicit() {
	if [ "${SOLICIT:-no}" != yes ] || [ "$DRY_RUN" = yes ]; then return 0; fi
	solicit_tries=0
	while [ "$solicit_tries" -le 20 ]; do
		unknown=$(say "$1" | unknown_neighbours)
		[ -n "$unknown" ] || return 0
		# Once a second is as often as the kernel solicits.
		[ "$solicit_tries" != 0 ] || say "$unknown" | ip -force -batch - >/dev/null 2>&1 || :
		solicit_tries=$((solicit_tries + 1))
		nap 0.05
	done
}

# unknown_neighbours: prints an ip command that looks up the MAC address, for each address of a permit or move that has none.
unknown_neighbours() {
	awk -v access="$ACCESS_INTERFACE" '
		BEGIN {
			command = "ip neigh show"
			while ((command | getline line) > 0) {
				n = split(line, words, " ")
				device = ""
				for (i = 2; i < n; i++) {
					if (words[i] == "dev") device = words[i + 1]
					if (words[i] == "lladdr" && index(" " access " ", " " device " "))
						known[words[1]] = known[words[1] "%" device] = 1
				}
			}
			close(command)
			count = split(access, devices, " ")
		}
		$1 == "permit" || $1 == "move" {
			if ($2 in known) next
			at = index($2, "%")
			if (at) print "neigh replace " substr($2, 1, at - 1) " dev " substr($2, at + 1) " nud none use"
			else for (i = 1; i <= count; i++) print "neigh replace " $2 " dev " devices[i] " nud none use"
		}
	'
}
