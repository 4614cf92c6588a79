# shellcheck shell=sh
# No Mobile IPv6 daemon; read with "." after common.sh. With racoon, setkey writes the policies for whoever sends mobility
# headers; strongSwan needs none: it carries the home address itself, in a tunnel that moves along (MOBIKE).

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
