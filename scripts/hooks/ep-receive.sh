#!/bin/sh
# The other end of ep-ssh.sh, at the access router: reads an event and its clients from standard input, checks them, and runs
# this machine's hook. It is the forced command of the PAA's key, one line in ~/.ssh/authorized_keys (of root, which may change
# the packet filter):
#
#   restrict,command="/usr/local/share/pana-mip6/hooks/ep-receive.sh eth1" ssh-ed25519 AAAA… pana-paa
#
#   ep-receive.sh INTERFACE [HOOK [STATE_DIR]]
#
# INTERFACE  the interface of the access link on this machine. For several: THEIRS=OURS,THEIRS=OURS…, where THEIRS is the PAA's
#            interface of the same link; set ACCESS_INTERFACE in hooks.conf, too. Link-local addresses get ours as their scope.
# HOOK       the hook to run; default: ep-nft.sh or ep-pf.sh beside this script
# STATE_DIR  its MIP6_STATE_DIR, where its hooks.conf is; default: /var/db/pana-ep
#
# HOOK_SECONDS=20 in hooks.conf limits a run of the hook, which delays later messages: choose less than hooks.timeout of the PAA.
#
# This prints "pana-ep TOKEN" and reads the lines "event EVENT", "expects TOKEN", "token NEXT", then lines as on standard input
# of a hook, then END. EVENT is start, batch, check, stop or test. Each accepted message replaces the token; a message that expects
# another one is refused, because it is late (status 75). A message with an unknown or malformed line is refused as a whole
# (status 65). Otherwise exit status and output are the hook's.

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
# The list of a hundred thousand clients has 15 MB.
MAX_MESSAGE=67108864
# A PAA that dies half-way leaves nobody waiting for longer.
READ_SECONDS=60

refuse() {
	printf 'error: %s\n' "$*" >&2
	exit 65
}

INTERFACES=${1:-}
case $(uname) in
FreeBSD | OpenBSD) HOOK=${2:-$HERE/ep-pf.sh} ;;
*) HOOK=${2:-$HERE/ep-nft.sh} ;;
esac
STATE_DIR=${3:-/var/db/pana-ep}
# check_interfaces: whether $INTERFACES is a name, or pairs of names.
check_interfaces() {
	case $INTERFACES in
	*=*) pairs=yes ;;
	*) pairs=no ;;
	esac
	rest=$INTERFACES,
	while [ -n "$rest" ]; do
		pair=${rest%%,*}
		rest=${rest#*,}
		case $pair in
		*[!A-Za-z0-9._=-]* | [!A-Za-z0-9]* | *=[!A-Za-z0-9]* | *=*=* | *= | '') return 1 ;;
		*=*) ;;
		*) [ "$pairs$rest" = no ] || return 1 ;;
		esac
	done
}
check_interfaces || refuse "ep-receive.sh needs the interface of the access link: INTERFACE or THEIRS=OURS,THEIRS=OURS"
[ -x "$HOOK" ] || refuse "no hook $HOOK on this enforcement point"

mkdir -p "$STATE_DIR"
TOKEN_FILE=$STATE_DIR/ep-token
token_now() {
	token_now=none
	[ ! -s "$TOKEN_FILE" ] || read -r token_now <"$TOKEN_FILE" || :
}

token_now
printf 'pana-ep %s\n' "$token_now"
MESSAGE=$(mktemp "$STATE_DIR/.message.XXXXXXXX")
trap 'rm -f "$MESSAGE" "$MESSAGE.checked"' EXIT
trap 'exit 1' HUP INT TERM
# Read one octet more than allowed to detect longer messages.
limit=
! command -v timeout >/dev/null 2>&1 || limit=timeout
${limit:+timeout $READ_SECONDS} head -c $((MAX_MESSAGE + 1)) >"$MESSAGE" || refuse "the message did not arrive within $READ_SECONDS s"
[ "$(wc -c <"$MESSAGE")" -le "$MAX_MESSAGE" ] || refuse "the message is longer than $MAX_MESSAGE octets"

# Prints event, expected and next token, then the events with our interfaces.
awk -v interfaces="$INTERFACES" '
	function refuse(problem) {
		# Do not print the line: it may contain anything.
		print "error: line " NR ": " problem >"/dev/stderr"
		failed = 1
		exit 65
	}
	function is_plain(text, set) {
		return length(text) <= 253 && text ~ /^[A-Za-z0-9]/ && text ~ ("^[" set "]+$") && text !~ /\.\./
	}
	function is_address(text) {
		if (text ~ /^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$/) return length(text) <= 15
		return length(text) <= 45 && text ~ /^[0-9a-f:.]+$/ && text ~ /:.*:/ && text !~ /:::/ && text !~ /::.*::/
	}
	# The address with our interface as its scope; empty if it is not an address.
	function ours(text,   at, scope) {
		at = index(text, "%")
		if (!at) return is_address(text) && text !~ /^fe[89ab]/ ? text : ""
		scope = substr(text, at + 1)
		text = substr(text, 1, at - 1)
		if (!is_address(text) || text !~ /^fe[89ab]/) return ""
		if (!(scope in interface_of) && !("" in interface_of)) return ""
		return text "%" (scope in interface_of ? interface_of[scope] : interface_of[""])
	}
	function header(name,   words) {
		if (split($0, words, " ") != 2 || words[1] != name || $0 != name " " words[2]) refuse("it is not \"" name "\"")
		return words[2]
	}
	BEGIN {
		count = split(interfaces, pairs, ",")
		for (i = 1; i <= count; i++) {
			at = index(pairs[i], "=")
			interface_of[at ? substr(pairs[i], 1, at - 1) : ""] = substr(pairs[i], at + 1)
		}
	}
	ended { refuse("there is data after the end of the message") }
	NR == 1 {
		event = header("event")
		if (event != "start" && event != "batch" && event != "check" && event != "stop" && event != "test") refuse("the event is unknown")
		print event
		next
	}
	NR == 2 || NR == 3 {
		token = header(NR == 2 ? "expects" : "token")
		if (token !~ /^[0-9a-z]+$/ || length(token) > 64) refuse("the token is not plain")
		print token
		next
	}
	$0 == "END" {
		ended = 1
		next
	}
	{
		if (length($0) > 1024) refuse("it is too long")
		if ($1 != "permit" && (event != "batch" || ($1 != "move" && $1 != "revoke"))) refuse("the event is not for this message")
		if (event != "start" && event != "batch") refuse("the event is not for this message")
		line = $1
		split("", seen)
		for (i = 2; i <= NF; i++) {
			at = index($i, "=")
			name = substr($i, 1, at - 1)
			value = substr($i, at + 1)
			if (!at || name in seen) refuse("a word is not NAME=value, or comes twice")
			seen[name] = value
			if (name == "MIP6_INTERFACE") {
				if (!is_plain(value, "A-Za-z0-9._-")) refuse("MIP6_INTERFACE is not the name of an interface")
				continue
			}
			if (name == "MIP6_COA" || name == "MIP6_COA_OLD") {
				value = ours(value)
				if (value == "") refuse(name " is not an address of the access link")
			} else if (name == "MIP6_SESSION") {
				if (!is_plain(value, "A-Za-z0-9._-")) refuse("MIP6_SESSION is not a plain token")
			} else if (name == "MIP6_MN_ID") {
				if (!is_plain(value, "A-Za-z0-9._+@-")) refuse("MIP6_MN_ID is not a plain name")
			} else if (name == "MIP6_LIFETIME") {
				if (value !~ /^[0-9]+$/ || length(value) > 10) refuse("MIP6_LIFETIME is not a number")
			} else refuse("a name is unknown")
			line = line " " name "=" value
		}
		if (!("MIP6_SESSION" in seen)) refuse("MIP6_SESSION is missing")
		if ($1 != "revoke" && !("MIP6_COA" in seen)) refuse("MIP6_COA is missing")
		print line
	}
	END {
		if (failed) exit 65
		if (ended) exit 0
		print "error: the message is cut off" >"/dev/stderr"
		exit 65
	}
' "$MESSAGE" >"$MESSAGE.checked" || exit 65
{
	read -r event
	read -r expected
	read -r next
} <"$MESSAGE.checked"

# The first interface of ours.
interface=${INTERFACES%%,*}
export LANG=C MIP6_ROLE=ep MIP6_STATE_DIR="$STATE_DIR" MIP6_EVENT="$event" MIP6_INTERFACE="${interface#*=}" SOLICIT=yes
unset LC_ALL
set -- "$event"
# shellcheck source=scripts/hooks/common.sh
. "$HERE/common.sh"
# shellcheck source=scripts/hooks/ep-events.sh
. "$HERE/ep-events.sh"

: "${HOOK_SECONDS:=20}"
check_number HOOK_SECONDS "$HOOK_SECONDS"

if [ "$event" = test ]; then
	# Another hook may take it for an event that changes something.
	if ! sed -n '/^# Events:/p' "$HOOK" | tr -cs '[:lower:]' '\n' | grep -qx test; then exit 0; fi
elif [ "$event" = check ]; then
	[ "$expected" = "$token_now" ] || die "the clients here are not those of the PAA"
else
	# The hook has its own lock.
	LOCK=$MIP6_STATE_DIR/.receiving
	lock
	trap 'rm -f "$LOCK" "$MESSAGE" "$MESSAGE.checked" "$CONF_DIR/.new.$$"' EXIT
	token_now
	if [ "$expected" != "$token_now" ]; then
		printf 'error: %s\n' "another message came first" >&2
		exit 75
	fi
	[ "$event" != batch ] || check_set_up
	# Before the hook: if it does not end, or its result is lost, "check" fails, and the PAA sends its list.
	put "$TOKEN_FILE" 600 say "$next"
	# Of receivers that were killed.
	[ "$event" != start ] || find "$STATE_DIR" -name '.message.*' -mmin +10 -exec rm -f {} +
fi
status=0
(
	read -r _
	read -r _
	read -r _
	cd /
	# shellcheck disable=SC2086 # two words
	exec ${limit:+timeout $HOOK_SECONDS} "$HOOK" "$event"
) <"$MESSAGE.checked" || status=$?
exit "$status"
