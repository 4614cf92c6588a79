#!/bin/sh
# Enforcement point on another machine than the PAA: runs the hook of that machine over ssh. The other end is ep-receive.sh.
# Events: start, permit, move, revoke, batch, check, stop, test. Set hooks.ep-batch: true, which saves connections, and
# hooks.ep-check-interval, which fills an enforcement point that was restarted.
#
# $SSH_DIR holds the private key (mode 0600) in the file "ep", and known_hosts with the host key of the enforcement point, as
# ssh-keyscan writes it: other hosts are refused. At "test", the enforcement point is asked to test its hook.
#
# Settings in $MIP6_STATE_DIR/hooks.conf: SSH_DIR, SSH_USER and SSH_CONNECT_TIMEOUT, see ssh.sh, and
#
#   EP_TARGET=root@router.example   where the enforcement point is; also host, host:port, [address]:port
#   EP_KEY=ep                       file of the key in SSH_DIR
#
# The other end begins with a token that changes with every message, and accepts a message only with its present token: a
# message that the network has delayed cannot undo a later one. The values are sent on standard input.

HERE=$(dirname "$0")
# shellcheck source=scripts/hooks/common.sh
. "$HERE/common.sh"
# shellcheck source=scripts/hooks/ssh.sh
. "$HERE/ssh.sh"

# The token of the last message that the enforcement point has accepted. "check" fails if it has another one.
TOKEN_FILE=$MIP6_STATE_DIR/ep-ssh-token

case $EVENT in
start | batch | check | stop | test) KIND=$EVENT ;;
permit | move | revoke) KIND="batch" ;;
*) die "event \"$EVENT\" is not for an enforcement point" ;;
esac
[ -n "${EP_TARGET:-}" ] || die "EP_TARGET, in $MIP6_STATE_DIR/hooks.conf, must name the machine of the enforcement point"
: "${EP_KEY:=ep}"
check_name EP_KEY "$EP_KEY"
[ "$EVENT" != test ] || test_keys "$EP_KEY"
ssh_to "$EP_KEY" "$EP_TARGET" "enforcement point"

random() {
	od -An -tx1 -N8 /dev/urandom | tr -d ' \n'
}

# word NAME VALUE: prints a word of an event, unless the value is empty.
word() {
	[ -z "$2" ] || printf ' %s=%s' "$1" "$2"
}

# message EXPECTED NEW: the message with the token that the other end must have, and its next one. END marks a complete one.
message() {
	printf 'event %s\nexpects %s\ntoken %s\n' "$KIND" "$1" "$2"
	case $EVENT in
	start | batch) cat ;;
	check | stop | test) ;;
	*)
		printf '%s' "$EVENT"
		word MIP6_SESSION "${MIP6_SESSION:-}"
		word MIP6_COA "${MIP6_COA:-}"
		word MIP6_COA_OLD "${MIP6_COA_OLD:-}"
		word MIP6_LIFETIME "${MIP6_LIFETIME:-}"
		word MIP6_MN_ID "${MIP6_MN_ID:-}"
		printf '\n'
		;;
	esac
	printf 'END\n'
}

if [ "$DRY_RUN" = yes ]; then
	message none none
	exit 0
fi

if [ "$EVENT" = test ]; then
	WORK=$(mktemp -d)
	trap 'rm -rf "$WORK"' EXIT
	trap 'exit 1' HUP INT TERM
else
	# Messages must not overtake each other.
	lock
	WORK=$MIP6_STATE_DIR/.ssh.$$
	rm -rf "$MIP6_STATE_DIR"/.ssh.*
	trap 'rm -rf "$WORK" "$LOCK" "$CONF_DIR/.new.$$"' EXIT
	mkdir "$WORK"
fi
mkfifo "$WORK/to" "$WORK/from"
over_ssh ep-receive <"$WORK/to" >"$WORK/from" &
exec 3>"$WORK/to" 4<"$WORK/from"

expected=
while read -r line <&4; do
	case $line in
	'pana-ep '*)
		expected=${line#pana-ep }
		break
		;;
	*) say "$line" ;;
	esac
done
case $expected in
*[!0-9a-z]*) die "the enforcement point has sent an invalid token" ;;
esac
new=$(random)
if [ "$KIND" = check ]; then
	expected=none
	[ ! -s "$TOKEN_FILE" ] || read -r expected <"$TOKEN_FILE" || :
fi
# ssh may have ended.
trap '' PIPE
[ -z "$expected" ] || message "$expected" "$new" >&3 2>/dev/null || :
exec 3>&-
cat <&4
status=0
wait "$!" || status=$?
if [ "$status" = 0 ] && [ -z "$expected" ]; then die "the other end is not ep-receive.sh"; fi
case $KIND in
test) [ "$status" != 255 ] || die "ssh to $EP_TARGET failed" ;;
check) ;;
*) [ "$status" != 0 ] || put "$TOKEN_FILE" 600 say "$new" ;;
esac
exit "$status"
