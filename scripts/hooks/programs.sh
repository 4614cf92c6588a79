# shellcheck shell=sh
# Reads the scripts of the programs that hooks.conf names; read with "." after common.sh.

# strongswan.sh and umip.sh replace these.
ike_ha_begin() {
	:
}

mobility_mn_verify() {
	:
}

# racoon.sh replaces it.
mip6d_started() {
	:
}

# strongswan-eap.sh replaces these.
uses_eap() {
	[ -z "${MIP6_HOA_BY:-}" ] || die "a home address by IKEv2 needs IKE=strongswan in hooks.conf"
	return 1
}

serves_eap() {
	return 1
}

test_eap() {
	! uses_eap
}

case $IKE in
strongswan)
	# shellcheck source=scripts/hooks/strongswan.sh
	. "$HERE/strongswan.sh"
	# shellcheck source=scripts/hooks/strongswan-eap.sh
	. "$HERE/strongswan-eap.sh"
	;;
racoon)
	# shellcheck source=scripts/hooks/racoon.sh
	. "$HERE/racoon.sh"
	;;
*) die "IKE=$IKE in hooks.conf is not strongswan or racoon" ;;
esac

case $MOBILITY in
umip)
	# shellcheck source=scripts/hooks/umip.sh
	. "$HERE/umip.sh"
	;;
shisa)
	# shellcheck source=scripts/hooks/shisa.sh
	. "$HERE/shisa.sh"
	;;
none)
	# shellcheck source=scripts/hooks/no-mobility.sh
	. "$HERE/no-mobility.sh"
	;;
*) die "MOBILITY=$MOBILITY in hooks.conf is not umip, shisa or none" ;;
esac

# test_programs: the event test: whether the programs are there that hooks.conf names.
test_programs() {
	case $IKE in
	strongswan) need swanctl strongswan-swanctl strongswan ;;
	racoon)
		for program in racoon racoonctl; do need "$program" racoon ipsec-tools; done
		[ "$MOBILITY" = umip ] || need setkey ipsec-tools
		;;
	esac
	test_eap
	case $MOBILITY in
	umip)
		command -v mip6d >/dev/null 2>&1 || die "mip6d is not installed (UMIP), or set MOBILITY=none in hooks.conf"
		# On the home link; a home agent may run its own.
		[ "$MIP6_ROLE:${RADVD:-yes}" != ha:yes ] || need radvd radvd
		;;
	shisa)
		case $MIP6_ROLE in
		mn) shisa_programs='mnd babymdd' ;;
		*) shisa_programs='had rtadvd' ;;
		esac
		for program in $shisa_programs setkey ifconfig; do need "$program" -; done
		;;
	none) [ "$(uname)" = FreeBSD ] || need ip iproute2 ;;
	esac
	[ "$MIP6_ROLE" != ha ] || need_forwarding "$INTERFACE"
	need_folder "$MIP6_STATE_DIR"
}

# watch.sh runs a hook again with "probe" when one of its programs ends, and on a mobile node also when its SAs are gone.
: "${WATCH:=yes}"
WATCH_FILE=$MIP6_STATE_DIR/.watch
WATCH_LOG=$MIP6_STATE_DIR/.watch.log

# watch_token: sets WATCH_TOKEN to PID@START of the watch that runs; empty if none does.
watch_token() {
	WATCH_TOKEN=
	[ -s "$WATCH_FILE" ] || return 0
	read -r WATCH_TOKEN <"$WATCH_FILE" || :
	if [ -n "$WATCH_TOKEN" ] && holds_no_more "$WATCH_TOKEN"; then WATCH_TOKEN=; fi
}

# watch_start: leaves the watch running. With WATCH_BEGINS=now, a new one runs the hook at once. Sets WATCH_IS_NEW.
WATCH_IS_NEW=no
WATCH_BEGINS=
watch_start() {
	watch_report
	if [ "$WATCH" != yes ] || [ "$DRY_RUN" = yes ]; then return 0; fi
	watch_token
	if [ -n "$WATCH_TOKEN" ] || ! command -v setsid >/dev/null 2>&1; then return 0; fi
	# Its own session: the daemon ends the process group of a hook that takes too long.
	MIP6_EVENT=probe setsid "$HERE/watch.sh" probe "$0" "$WATCH_BEGINS" </dev/null >/dev/null 2>&1 &
	watch_pid=$!
	started "$watch_pid" || return 0
	printf '%s@%s\n' "$watch_pid" "$START" >"$WATCH_FILE"
	# shellcheck disable=SC2034 # read by ha-linux.sh
	WATCH_IS_NEW=yes
}

# watch_stop: ends the watch and a probe that it runs.
watch_stop() {
	watch_token
	watch_report
	[ -n "$WATCH_TOKEN" ] || return 0
	: >"$WATCH_FILE"
	kill -s TERM -- "-${WATCH_TOKEN%%@*}" 2>/dev/null || :
}

# remove_rest FILE…: after the last node: these files, those of the watch, which ends without them, and what hooks that were killed have
# not finished. It may hold a key. The caller has the lock.
remove_rest() {
	rm -f "$@" "$WATCH_FILE" "$WATCH_LOG" ${RACOON_STARTING:+"$RACOON_STARTING"} "$CONF_DIR"/.new.[0-9]* \
		"$NODES"/.new.[0-9]* "${SWANCTL_DIR:-$CONF_DIR}"/conf.d/.new.[0-9]*
}

# watch_report: prints what the watch did since the last hook.
watch_report() {
	[ -s "$WATCH_LOG" ] && [ -z "${WATCHED:-}" ] || return 0
	while read -r watch_line; do
		say "watch: $watch_line"
	done <"$WATCH_LOG"
	: >"$WATCH_LOG"
}

# own_node: reads the record of this mobile node; fails if it has none.
own_node() {
	[ "$DRY_RUN" != yes ] || return 1
	for own_file in "$NODES"/*; do
		[ -f "$own_file" ] || return 1
		node_read "$own_file"
		return 0
	done
}

# esp_deletions PAIRS LIST: prints lines for ip that delete the ESP SAs of the list, the output of "ip xfrm state", whose two ends are a
# line of PAIRS, in either direction.
esp_deletions() {
	while read -r esp_word esp_from _ esp_to _; do
		case $esp_word:$esp_from in
		src:*) esp_source=$esp_from esp_destination=$esp_to ;;
		proto:esp)
			case $1 in
			*"$NL$esp_source $esp_destination$NL"* | *"$NL$esp_destination $esp_source$NL"*)
				printf 'xfrm state delete src %s dst %s proto esp spi %s\n' "$esp_source" "$esp_destination" "$esp_to"
				;;
			esac
			;;
		esac
	done <<-EOF
		$2
	EOF
}
