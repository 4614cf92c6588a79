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

# test_keys NAME…: for the event test: whether ssh, the keys in these files of SSH_DIR, and known_hosts can be used.
test_keys() {
	need ssh openssh-client
	[ -d "$SSH_DIR" ] || die "there is no folder $SSH_DIR, or this user may not look into it"
	[ -r "$SSH_DIR/known_hosts" ] || die "no $SSH_DIR/known_hosts, or this user may not read it"
	[ -s "$SSH_DIR/known_hosts" ] || die "$SSH_DIR/known_hosts is empty: add the host keys with ssh-keyscan"
	for key_name in "$@"; do
		key_file=$SSH_DIR/$key_name
		[ -r "$key_file" ] || die "this user may not read $key_file"
		# ssh does not use a key of its user that others can read.
		key_open=$(find -L "$key_file" -user "$(id -u)" \( -perm -040 -o -perm -004 \))
		[ -z "$key_open" ] || die "others can read $key_file: chmod 600 $key_file"
		ssh-keygen -y -P '' -f "$key_file" >/dev/null 2>&1 ||
			die "$key_file is not a private key, or has a passphrase, for which nobody can be asked"
	done
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
