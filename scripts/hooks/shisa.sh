# shellcheck shell=sh
# SHISA (mnd, babymdd, had) on FreeBSD, with policies by setkey, for a mobile node and for a home agent; read with "." after
# common.sh.

# shellcheck source=scripts/hooks/setkey.sh
. "$HERE/setkey.sh"

MND_CONF=$CONF_DIR/mnd.conf
HAD_CONF=$CONF_DIR/had.conf

mobility_mn_up() {
	put "$MND_CONF" 644 cat <<-EOF
		debug 0;
		interface mip0 {
		  command-port 7778;
		  home-registration-lifetime 60;
		  key-management 1;
		};
	EOF
	# The policies and the home address must exist before the daemon starts.
	setkey_mn_up
	act ifconfig mip0 create 2>/dev/null || :
	act ifconfig mip0 inet6 "$MIP6_HOA" prefixlen "$MIP6_PREFIX_LEN" alias
	start mnd settled mnd -c "$MND_CONF" -a "$MIP6_HA" mip0
	start babymdd settled babymdd -h mip0 "$INTERFACE"
}

mobility_mn_down() {
	end babymdd
	end mnd
	setkey_mn_down
	act ifconfig mip0 destroy || :
	rm -f "$MND_CONF"
}

# The anycast address of home agents (RFC 2526) on the home link.
shisa_anycast() {
	shisa_prefix=${MIP6_PREFIX:-}
	case $shisa_prefix in
	*:*:*:*::) shisa_prefix=${shisa_prefix%:} ;;
	*::) ;;
	*) return 0 ;;
	esac
	act ifconfig "$INTERFACE" inet6 "${shisa_prefix}fdff:ffff:ffff:fffe" prefixlen "$MIP6_PREFIX_LEN" anycast alias
}

mobility_ha_up() {
	put "$HAD_CONF" 644 cat <<-EOF
		interface $INTERFACE {
		  preference 10;
		};
	EOF
	setkey_ha_add
	shisa_anycast || :
	start had settled had -c "$HAD_CONF" "$INTERFACE"
	start rtadvd settled rtadvd -m "$INTERFACE"
}

mobility_ha_down() {
	setkey_ha_delete
}

mobility_ha_check() {
	is_running had || die "had is not running"
}
