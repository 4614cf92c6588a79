# shellcheck shell=sh
# No Mobile IPv6 daemon; read with "." after common.sh. With racoon, setkey writes the policies for mobility headers that
# other programs send. strongSwan needs none: it tunnels the home address itself and moves the tunnel (MOBIKE).

if [ "$IKE" = racoon ]; then
	# shellcheck source=scripts/hooks/setkey.sh
	. "$HERE/setkey.sh"
fi

mobility_mn_up() {
	[ "$IKE" != racoon ] || setkey_mn_up
}

mobility_mn_down() {
	[ "$IKE" != racoon ] || setkey_mn_down
}

mobility_ha_up() {
	[ "$IKE" != racoon ] || setkey_ha_add
}

mobility_ha_down() {
	[ "$IKE" != racoon ] || setkey_ha_delete
}

mobility_ha_check() {
	:
}
