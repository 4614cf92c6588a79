#!/bin/sh
# Home agent on another machine: runs the home agent's hook there, over ssh. Configured as hooks.ha of pana-aaa, and as
# hooks.probe. The other end is ha-receive.sh.
# Events: up, refresh, down, probe.
#
# The home agent is reached at its target (pana-aaa home-agent set NAME --target …): host, user@host, host:port,
# user@host:port, address, [address]:port or user@[address]:port; without a target, at its host name.
#
# $SSH_DIR holds one private key for each home agent, in a file with the name of the home agent (mode 0600), and
# known_hosts with the keys of their hosts, as ssh-keyscan writes it: other hosts are refused.
#
# Settings in $MIP6_STATE_DIR/hooks.conf:
#
#   SSH_DIR=/some/where      default: /usr/local/etc/pana-mip6/ssh if it exists, otherwise /etc/pana-mip6/ssh
#   SSH_USER=pana            user for targets that name none (default: root)
#   SSH_CONNECT_TIMEOUT=5    time limit of connecting, in seconds
#
# All values and the key are passed on standard input, because every user of either machine can see arguments.

HERE=$(dirname "$0")
SSH_DIR=
SSH_USER=root
SSH_CONNECT_TIMEOUT=5
# shellcheck source=scripts/hooks/common.sh
. "$HERE/common.sh"

case $EVENT in
up | refresh) read_psk ;;
down | probe) PSK= ;;
*) die "event \"$EVENT\" is not for a home agent" ;;
esac

if [ -z "$SSH_DIR" ]; then
	SSH_DIR=/etc/pana-mip6/ssh
	[ ! -d /usr/local/etc/pana-mip6/ssh ] || SSH_DIR=/usr/local/etc/pana-mip6/ssh
fi
case $SSH_DIR in
/*) ;;
*) die "SSH_DIR is not an absolute path: $SSH_DIR" ;;
esac
case $SSH_DIR in
*[!A-Za-z0-9._/@+-]*) die "SSH_DIR contains characters that are special to ssh: $SSH_DIR" ;;
esac
check_number SSH_CONNECT_TIMEOUT "$SSH_CONNECT_TIMEOUT"

check_name MIP6_HA_ID "${MIP6_HA_ID:-}"
KEY_FILE=$SSH_DIR/$MIP6_HA_ID
[ -f "$KEY_FILE" ] || die "no key of the home agent $MIP6_HA_ID: $KEY_FILE"
[ -f "$SSH_DIR/known_hosts" ] || die "no $SSH_DIR/known_hosts"

target=${MIP6_HA_TARGET:-${MIP6_HA_HOST:-}}
user=$SSH_USER
host=$target
case $target in
*@*)
	user=${target%@*}
	host=${target##*@}
	;;
esac
port=22
case $host in
\[*\]:*)
	port=${host##*\]:}
	host=${host%\]:*}
	host=${host#\[}
	;;
\[*\])
	host=${host%\]}
	host=${host#\[}
	;;
# Two colons: an address without a port.
*:*:*) ;;
*:*)
	port=${host##*:}
	host=${host%:*}
	;;
esac
# ssh parses a leading "-" as an option, and a space as the end of a name.
case $user in
'' | *[!A-Za-z0-9._-]* | [!A-Za-z0-9_]*) die "the target $target has an invalid user" ;;
esac
case $host in
'' | *[!A-Za-z0-9.:-]* | [!A-Za-z0-9:]*) die "the target $target has an invalid host" ;;
esac
case $port in
'' | *[!0-9]* | ??????*) die "the target $target has an invalid port" ;;
esac

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
	tell PSK "$PSK"
	printf 'END\n'
}

# The forced command replaces the command given here. If it is not configured, "ha-receive" does not exist: the hook fails,
# and no shell runs the message as commands.
message | ssh -F /dev/null -T -a -x \
	-o BatchMode=yes \
	-o StrictHostKeyChecking=yes \
	-o "UserKnownHostsFile=$SSH_DIR/known_hosts" \
	-o GlobalKnownHostsFile=/dev/null \
	-o UpdateHostKeys=no \
	-o IdentitiesOnly=yes \
	-o IdentityAgent=none \
	-o PreferredAuthentications=publickey \
	-o ClearAllForwardings=yes \
	-o "ConnectTimeout=$SSH_CONNECT_TIMEOUT" \
	-o ConnectionAttempts=1 \
	-o ServerAliveInterval=5 \
	-o ServerAliveCountMax=2 \
	-o LogLevel=ERROR \
	-i "$KEY_FILE" -l "$user" -p "$port" -- "$host" ha-receive
