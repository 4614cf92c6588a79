# shellcheck shell=sh
# Hook of a DHCPv6 client, read by its script (dhclient, dhcpcd): writes the home network information of options 50, 69 and 70
# (RFC 6610) to the file that pana-pac reads (mobility.home-agent-file). POSIX sh; does not change the shell that reads it.
# docs/dhcpv6.md says where to install it and what to add to the client's configuration.

(
	file=${MIP6_HOME_FILE:-/var/db/pana-pac/home-agents}

	case ${reason:-} in
	BOUND6 | RENEW6 | REBIND6 | REBOOT6 | INFORM6) has=yes ;;
	EXPIRE6 | RELEASE6 | STOP6) has=no ;;
	*) exit 0 ;;
	esac

	# line CODE OCTETS: dhclient writes octets as 0:48:0:12, dhcpcd as 00480012.
	line() {
		case $2 in
		'' | *[!0-9a-fA-F:]*) return 0 ;;
		*:*) ;;
		*)
			printf '%s %s\n' "$1" "$2"
			return 0
			;;
		esac
		line_octets=
		line_rest=$2:
		while [ -n "$line_rest" ]; do
			line_octet=${line_rest%%:*}
			line_rest=${line_rest#*:}
			case $line_octet in
			?) line_octets=${line_octets}0$line_octet ;;
			??) line_octets=$line_octets$line_octet ;;
			*) return 0 ;;
			esac
		done
		printf '%s %s\n' "$1" "$line_octets"
	}

	mkdir -p "${file%/*}" || exit 0
	if [ "$has" = yes ]; then
		line 69 "${new_dhcp6_mip6_idinf:-}"
		line 70 "${new_dhcp6_mip6_udinf:-}"
		line 50 "${new_dhcp6_mip6_vdinf:-}"
	fi >"$file.new.$$"
	mv -f "$file.new.$$" "$file"
)
