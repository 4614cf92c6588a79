# shellcheck shell=sh
# Hook of a DHCP client, read by its script (dhclient, dhcpcd): writes the PANA agents of DHCPv6 option 40 and DHCPv4
# option 136 (RFC 5192) to the file that pana-pac reads (pana.discovery-file). POSIX sh; does not change the shell that
# reads it. docs/configuration.md says where to install it and what to add to the client's configuration.

(
	file=${PANA_AGENTS_FILE:-/var/db/pana-pac/agents}

	case ${reason:-} in
	BOUND6 | RENEW6 | REBIND6 | REBOOT6 | INFORM6) part=6 agents=${new_dhcp6_pana_agent:-} ;;
	EXPIRE6 | RELEASE6 | STOP6) part=6 agents= ;;
	BOUND | RENEW | REBIND | REBOOT | INFORM) part=4 agents=${new_pana_agent:-} ;;
	EXPIRE | RELEASE | STOP) part=4 agents= ;;
	*) exit 0 ;;
	esac

	# Accept only addresses from the network.
	case $agents in
	*[!0-9a-fA-F.:,\ ]*) exit 0 ;;
	esac

	mkdir -p "${file%/*}" || exit 0
	printf '%s\n' "$agents" >"$file.v$part.$$" && mv -f "$file.v$part.$$" "$file.v$part"
	# The two address families are updated separately: join both parts, IPv6 first.
	cat "$file.v6" "$file.v4" 2>/dev/null >"$file.new.$$"
	mv -f "$file.new.$$" "$file"
)
