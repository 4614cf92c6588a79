#!/bin/sh
# Home agent on another machine: runs the home agent's hook there, over ssh. Configured as hooks.ha of pana-aaa, and as
# hooks.probe. The other end is ha-receive.sh.
# Events: up, refresh, down, probe, test of each home agent.
#
# The home agent is reached at its target (pana-aaa home-agent set NAME --target …): host, user@host, host:port,
# user@host:port, address, [address]:port or user@[address]:port; without a target, at its host name.
#
# $SSH_DIR holds one private key for each home agent, in a file with the name of the home agent (mode 0600), and
# known_hosts with the keys of their hosts, as ssh-keyscan writes it: other hosts are refused.
#
# Settings in $MIP6_STATE_DIR/hooks.conf: SSH_DIR, SSH_USER and SSH_CONNECT_TIMEOUT, see ssh.sh.
#
# All values and the key are passed on standard input, because every user of either machine can see arguments.

HERE=$(dirname "$0")
# shellcheck source=scripts/hooks/common.sh
. "$HERE/common.sh"
# shellcheck source=scripts/hooks/ssh.sh
. "$HERE/ssh.sh"

case $EVENT in
up | refresh) read_psk ;;
down | probe) PSK= ;;
test)
	PSK=
	# doctor names each home agent of the store. There may be none yet.
	if [ -z "${MIP6_HA_ID:-}" ]; then
		test_keys
		exit 0
	fi
	check_name MIP6_HA_ID "$MIP6_HA_ID"
	[ -f "$SSH_DIR/$MIP6_HA_ID" ] || die "no key of the home agent $MIP6_HA_ID: $SSH_DIR/$MIP6_HA_ID"
	test_keys "$MIP6_HA_ID"
	;;
*) die "event \"$EVENT\" is not for a home agent" ;;
esac

check_name MIP6_HA_ID "${MIP6_HA_ID:-}"
ssh_to "$MIP6_HA_ID" "${MIP6_HA_TARGET:-${MIP6_HA_HOST:-}}" "home agent $MIP6_HA_ID"

# tell NAME VALUE: prints the line, unless the value is empty.
tell() {
	[ -z "$2" ] || printf '%s=%s\n' "$1" "$2"
}

# END marks a complete message.
message() {
	tell MIP6_EVENT "$EVENT"
	tell MIP6_MN_ID "${MIP6_MN_ID:-}"
	tell MIP6_SESSION "${MIP6_SESSION:-}"
	tell MIP6_HA "${MIP6_HA:-}"
	tell MIP6_HA_HOST "${MIP6_HA_HOST:-}"
	tell MIP6_HA_ID "$MIP6_HA_ID"
	tell MIP6_HOA "${MIP6_HOA:-}"
	tell MIP6_PREFIX "${MIP6_PREFIX:-}"
	tell MIP6_PREFIX_LEN "${MIP6_PREFIX_LEN:-}"
	tell MIP6_LIFETIME "${MIP6_LIFETIME:-}"
	tell MIP6_IKE "${MIP6_IKE:-}"
	tell MIP6_HOA_BY "${MIP6_HOA_BY:-}"
	tell PSK "$PSK"
	printf 'END\n'
}

status=0
message | over_ssh ha-receive || status=$?
if [ "$EVENT" = test ]; then
	case $status in
	255) die "ssh to the home agent $MIP6_HA_ID at ${MIP6_HA_TARGET:-${MIP6_HA_HOST:-}} failed" ;;
	127) die "the key of the home agent $MIP6_HA_ID is not bound to ha-receive.sh in its authorized_keys" ;;
	esac
fi
exit "$status"
