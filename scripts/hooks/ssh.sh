# shellcheck shell=sh
# Shared by the hooks that run a hook on another machine over ssh; read with "." after common.sh. Settings in hooks.conf:
#
#   SSH_DIR=/some/where      folder of the keys; default: /usr/local/etc/pana-mip6/ssh if it exists, otherwise
#                            /etc/pana-mip6/ssh
#   SSH_USER=pana            user for targets that name none (default: root)
#   SSH_CONNECT_TIMEOUT=5    time limit of connecting, in seconds

: "${SSH_DIR:=}" "${SSH_USER:=root}" "${SSH_CONNECT_TIMEOUT:=5}"
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

# ssh_to KEY TARGET MACHINE: sets the key and the target of over_ssh. KEY is the name of a file in SSH_DIR; TARGET is host,
# user@host, host:port, user@host:port, address, [address]:port or user@[address]:port; MACHINE names it in messages.
ssh_to() {
	KEY_FILE=$SSH_DIR/$1
	[ -f "$KEY_FILE" ] || die "no key of the $3: $KEY_FILE"
	[ -f "$SSH_DIR/known_hosts" ] || die "no $SSH_DIR/known_hosts"
	target=$2
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
}

# over_ssh COMMAND: runs ssh. The forced command of the key replaces COMMAND, a name that does not exist: if no command is
# forced, the hook fails, and no shell runs its input.
over_ssh() {
	ssh -F /dev/null -T -a -x \
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
		-i "$KEY_FILE" -l "$user" -p "$port" -- "$host" "$1"
}
