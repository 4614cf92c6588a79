# shellcheck shell=sh
# Reads the scripts of the programs that hooks.conf names; read with "." after common.sh.

case $IKE in
strongswan)
	# shellcheck source=scripts/hooks/strongswan.sh
	. "$HERE/strongswan.sh"
	;;
racoon)
	# shellcheck source=scripts/hooks/racoon.sh
	. "$HERE/racoon.sh"
	;;
*) die "IKE=$IKE in hooks.conf is not strongswan or racoon" ;;
esac

case $MOBILITY in
umip)
	# shellcheck source=scripts/hooks/umip.sh
	. "$HERE/umip.sh"
	;;
shisa)
	# shellcheck source=scripts/hooks/shisa.sh
	. "$HERE/shisa.sh"
	;;
none)
	# shellcheck source=scripts/hooks/no-mobility.sh
	. "$HERE/no-mobility.sh"
	;;
*) die "MOBILITY=$MOBILITY in hooks.conf is not umip, shisa or none" ;;
esac
