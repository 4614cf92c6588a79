#!/bin/sh
# The home agent's end of ha-ssh.sh: reads an event and its values from standard input, checks them, and runs this machine's
# hook. It is the forced command of the AAA server's key, one line in ~/.ssh/authorized_keys (of root, where the hook sets up
# IPsec):
#
#   restrict,command="/usr/local/share/pana-mip6/hooks/ha-receive.sh" ssh-ed25519 AAAA… pana-aaa
#
#   ha-receive.sh [HOOK [STATE_DIR]]
#
# HOOK       the hook to run; default: ha-linux.sh or ha-freebsd.sh beside this script
# STATE_DIR  its MIP6_STATE_DIR, where its hooks.conf is; default: /var/db/pana-ha
#
# A message has lines NAME=value with the names below, PSK=0x… for up and refresh, and ends with END. A message with an
# unknown, repeated or malformed line is refused as a whole. The environment of the hook holds only these values; the key is
# in a file of mode 0600 that exists while the hook runs. Exit status and output are the hook's; 65: the message was refused.

set -eu
umask 077
export LC_ALL=C

# Remove variables of sshd, the login shell and the operator.
for name in $(env | sed -n 's/^\([A-Za-z_][A-Za-z0-9_]*\)=.*/\1/p'); do
	case $name in
	PWD | OLDPWD | HOME | PATH | LC_ALL) ;;
	*) unset "$name" ;;
	esac
done
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export HOME="${HOME:-/}"

HERE=$(cd "$(dirname "$0")" && pwd)
MAX_MESSAGE=4096

refuse() {
	printf 'error: %s\n' "$*" >&2
	exit 65
}

KEY_FILE=
# shellcheck disable=SC2317 # the trap calls it
clean() {
	[ -f "$KEY_FILE" ] || return 0
	dd if=/dev/zero of="$KEY_FILE" bs=256 count=1 conv=notrunc 2>/dev/null || :
	rm -f "$KEY_FILE"
}

case $(uname) in
FreeBSD) HOOK=${1:-$HERE/ha-freebsd.sh} ;;
*) HOOK=${1:-$HERE/ha-linux.sh} ;;
esac
STATE_DIR=${2:-/var/db/pana-ha}
[ -x "$HOOK" ] || refuse "no hook $HOOK on this home agent"

# plain SET VALUE: only characters of the set; the first is a letter, digit or colon; no "..".
plain() {
	case $2 in
	'' | -* | .* | _* | @* | +* | *..*) return 1 ;;
	esac
	[ "${#2}" -le 253 ] || return 1
	# shellcheck disable=SC2254 # the set is a pattern
	case $2 in
	*[!$1]*) return 1 ;;
	esac
}

is_name() {
	plain 'A-Za-z0-9._+@-' "$1"
}

is_session() {
	plain 'A-Za-z0-9.;:_-' "$1"
}

is_address() {
	[ "${#1}" -le 45 ] && plain '0-9a-f.:' "$1" || return 1
	case $1 in
	*:::* | *::*::*) return 1 ;;
	*:*:*) ;;
	*) return 1 ;;
	esac
}

is_number() {
	[ "${#1}" -le 10 ] && plain '0-9' "$1"
}

is_key() {
	case $1 in
	0x) return 1 ;;
	0x*) [ "${#1}" -ge 34 ] && [ "${#1}" -le 258 ] && plain '0-9a-f' "${1#0x}" ;;
	*) return 1 ;;
	esac
}

# take NAME VALUE: checks name and value, and exports them to the hook.
take() {
	case " $SEEN " in
	*" $1 "*) refuse "$1 comes twice" ;;
	esac
	SEEN="$SEEN $1"
	case $1 in
	MIP6_EVENT) case $2 in up | refresh | down | probe | test) ;; *) refuse "the event is unknown" ;; esac ;;
	MIP6_IKE) case $2 in ikev1 | ikev2) ;; *) refuse "MIP6_IKE is not ikev1 or ikev2" ;; esac ;;
	MIP6_HOA_BY) case $2 in ikev2) ;; *) refuse "MIP6_HOA_BY is not ikev2" ;; esac ;;
	MIP6_MN_ID | MIP6_HA_HOST | MIP6_HA_ID) is_name "$2" || refuse "$1 is not a plain name" ;;
	MIP6_SESSION) is_session "$2" || refuse "$1 is not a plain token" ;;
	MIP6_HA | MIP6_HOA | MIP6_PREFIX) is_address "$2" || refuse "$1 is not an IPv6 address" ;;
	MIP6_PREFIX_LEN | MIP6_LIFETIME) is_number "$2" || refuse "$1 is not a number" ;;
	PSK)
		is_key "$2" || refuse "the key is not 0x and hexadecimal digits"
		PSK=$2
		return
		;;
	# Do not print the name: it may contain anything.
	*) refuse "a name is unknown" ;;
	esac
	export "$1=$2"
}

SEEN=
PSK=
NL='
'
# Read one octet more than allowed to detect longer messages. The "." keeps trailing newlines.
input=$(head -c $((MAX_MESSAGE + 1)) && printf .)
input=${input%.}
[ "${#input}" -le "$MAX_MESSAGE" ] || refuse "the message is longer than $MAX_MESSAGE octets"
ended=no
while [ -n "$input" ]; do
	line=${input%%"$NL"*}
	[ "$line" != "$input" ] || refuse "the message is cut off"
	input=${input#*"$NL"}
	[ "$ended" = no ] || refuse "there is data after the end of the message"
	case $line in
	END) ended=yes ;;
	*=*) take "${line%%=*}" "${line#*=}" ;;
	*) refuse "a line that is not NAME=value" ;;
	esac
done
[ "$ended" = yes ] || refuse "the message is cut off"
: "${MIP6_EVENT:=}"
case $MIP6_EVENT in
up | refresh) [ -n "$PSK" ] || refuse "$MIP6_EVENT without a key" ;;
down | probe | test) [ -z "$PSK" ] || refuse "$MIP6_EVENT with a key" ;;
*) refuse "no event" ;;
esac

# A hook without the event test must not run.
if [ "$MIP6_EVENT" = test ] && ! sed -n '/^# Events:/p' "$HOOK" | tr -cs '[:lower:]' '\n' | grep -qx test; then exit 0; fi

export LANG=C MIP6_ROLE=ha MIP6_STATE_DIR="$STATE_DIR"
unset LC_ALL
mkdir -p "$STATE_DIR/keys"
chmod 700 "$STATE_DIR/keys"
if [ -n "$PSK" ]; then
	trap clean EXIT
	trap 'exit 1' HUP INT TERM
	KEY_FILE=$(mktemp "$STATE_DIR/keys/XXXXXXXXXXXX")
	printf '%s\n' "$PSK" >"$KEY_FILE"
	PSK=
	export MIP6_PSK_FILE="$KEY_FILE"
fi
status=0
(cd / && exec "$HOOK" "$MIP6_EVENT") </dev/null || status=$?
exit "$status"
