# shellcheck shell=sh disable=SC2034,SC2153 # the hooks use the variables; common.sh sets EVENT
# Shared by the hooks of an enforcement point, which read it with "." after common.sh.
#
#   start   the PAA starts or reloads. Standard input: a line "permit …" for each authorized client
#   permit, move, revoke   one client, in MIP6_… variables; the old address is omitted if another session has it
#   batch   such events on standard input, in order: "permit MIP6_SESSION=… MIP6_COA=…"
#   stop    the PAA ends; every client was revoked
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
	stop) ;;
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

# settings_on_linux: sets ACCESS_INTERFACE, ADDRESSES and AT_STOP to their defaults, and checks them.
settings_on_linux() {
	ACCESS_INTERFACE=${ACCESS_INTERFACE:-$INTERFACE}
	ADDRESSES=${ADDRESSES:-one}
	AT_STOP=${AT_STOP:-closed}
	for interface in $ACCESS_INTERFACE; do check_interface ACCESS_INTERFACE "$interface"; done
	case $ADDRESSES in one | mac) ;; *) die "ADDRESSES must be one or mac" ;; esac
	case $AT_STOP in closed | open) ;; *) die "AT_STOP must be closed or open" ;; esac
	# Without ip no MAC address is known, and clients would pass by their IP addresses alone.
	command -v ip >/dev/null 2>&1 || die "ip is not installed"
}
