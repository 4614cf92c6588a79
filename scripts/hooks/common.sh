# shellcheck shell=sh
# Shared by the hooks beside it, which read it with ".". POSIX sh: runs under dash, busybox and FreeBSD's sh.
#
# A hook gets one argument, the event, and its values in MIP6_… variables. The operator's settings are in
# $MIP6_STATE_DIR/hooks.conf, a shell file of assignments:
#
#   DRY_RUN=yes            write the files and start nothing
#   CONF_DIR=/some/where   where the files go (default: $MIP6_STATE_DIR)
#   INTERFACE=eth0         interface of the mobile node, or the home link's of the home agent
#
# Everything is written under another name and then renamed: a hook that is killed leaves the old file whole.

set -eu
umask 077

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
if [ -f "$MIP6_STATE_DIR/hooks.conf" ]; then
	# shellcheck source=/dev/null
	. "$MIP6_STATE_DIR/hooks.conf"
fi

# The daemon checks its values; these checks hold for whoever else calls a hook.
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

# Values of a mobile node and its home agent.
check_binding() {
	check_name MIP6_MN_ID "${MIP6_MN_ID:-}"
	check_address MIP6_HOA "${MIP6_HOA:-}"
	check_address MIP6_HA "${MIP6_HA:-}"
	check_name MIP6_HA_HOST "${MIP6_HA_HOST:-}"
	check_number MIP6_PREFIX_LEN "${MIP6_PREFIX_LEN:-}"
	check_interface INTERFACE "$INTERFACE"
}

# The key as 0x and hexadecimal digits.
read_psk() {
	[ -f "${MIP6_PSK_FILE:-}" ] || die "no key file"
	PSK=$(cat "$MIP6_PSK_FILE")
	case $PSK in
	0x*[!0-9a-f]* | 0x) die "the key file does not hold 0x and hexadecimal digits" ;;
	0x*) ;;
	*) die "the key file does not hold 0x and hexadecimal digits" ;;
	esac
}

# put FILE MODE: standard input becomes the file, whole or not at all.
put() {
	put_dir=$(dirname "$1")
	mkdir -p "$put_dir"
	put_new="$put_dir/.new.$$"
	rm -f "$put_new"
	cat >"$put_new"
	chmod "$2" "$put_new"
	mv -f "$put_new" "$1"
}

# Hooks of several nodes run at a time, and files of all nodes are rebuilt by one of them.
LOCK=$MIP6_STATE_DIR/.lock
lock() {
	lock_tries=0
	until mkdir "$LOCK" 2>/dev/null; do
		lock_pid=$(cat "$LOCK/pid" 2>/dev/null || :)
		if [ -n "$lock_pid" ] && ! kill -0 "$lock_pid" 2>/dev/null; then
			# Its holder was killed: only the one that renames the lock away may take it down.
			if mv "$LOCK" "$LOCK.stale.$$" 2>/dev/null; then rm -rf "$LOCK.stale.$$"; fi
			continue
		fi
		lock_tries=$((lock_tries + 1))
		[ "$lock_tries" -le 200 ] || die "another hook holds $LOCK"
		sleep 0.1 2>/dev/null || sleep 1
	done
	printf '%s\n' "$$" >"$LOCK/pid"
	trap 'rm -rf "$LOCK"; rm -f "$CONF_DIR/.new.$$"' EXIT
	trap 'exit 1' HUP INT TERM
}

is_running() {
	pgrep -x "$1" >/dev/null 2>&1
}

# act COMMAND…: does it, unless only files are wanted.
act() {
	if [ "$DRY_RUN" = yes ]; then
		say "dry run: $*"
	else
		"$@"
	fi
}
