#!/bin/bash
# Gives a home agent's mip6d, just started, the bindings of the one before, by its console (a TCP port of the loopback interface; UMIP
# has it if configured with --enable-vt). Needs bash, whose /dev/tcp it uses. Standard input: lines for ip -batch, which remove
# what the former mip6d has left in the kernel and is still in use. They run when mip6d has heard the home link's prefix, without
# which it accepts no binding. Prints the home addresses that mip6d accepted.
#
#   mip6d-bindings.sh CONSOLE HOME_AGENT SECONDS HOME_ADDRESS=CARE_OF_ADDRESS…

console=/dev/tcp/$1
home_agent=$2
seconds=$3
shift 3

fail() {
	printf '%s\n' "$1"
	exit 1
}

# ask COMMAND: sets REPLY to the console's answer, which ends with a zero byte. The console takes one command a segment.
ask() {
	printf '%s\n' "$1" >&3 && read -r -d '' -t "$seconds" -u 3
}

# The console opens last when mip6d starts.
until { exec 3<>"$console"; } 2>/dev/null; do
	[ "$SECONDS" -lt "$seconds" ] || fail 'no console'
	sleep 0.05
done
ask 'prompt off' || fail 'the console does not answer'
until ask pl && [[ $REPLY = *' valid '* ]]; do
	[ "$SECONDS" -lt "$seconds" ] || fail 'no router advertisement on the home link'
	sleep 0.05
done
ip -6 -force -batch - >/dev/null 2>&1
for binding; do
	# The lifetime is HaMaxBindingLife. No DAD: the address is the node's. The console needs a space after the last word.
	ask "bc add hoa ${binding%%=*} coa ${binding#*=} local $home_agent flags AHK lifetime 60 dad never " ||
		fail 'the console does not answer'
	case $REPLY in
	# 16: EBUSY, since the node registers itself at this moment.
	*'bc status=0'[!0-9]* | *'bc status=1'[!0-9]* | *'bc error=16('*) printf '%s\n' "${binding%%=*}" ;;
	*) printf '%s refused: %s\n' "${binding%%=*}" "${REPLY%%$'\n'*}" ;;
	esac
done
ask quit
exit 0
