# shellcheck shell=sh
# racoon (IKEv1 with a pre-shared key) for a mobile node and for a home agent; read with "." after common.sh.
#
# Aggressive mode with names: in main mode racoon would look up the key by the peer's address, a care-of address that is
# not known in advance.

RACOON_CONF=$CONF_DIR/racoon.conf
PSK_TXT=$CONF_DIR/psk.txt

# The common part of the "remote" sections of both ends.
racoon_remote() {
	cat <<-EOF
		  exchange_mode aggressive;
		  nat_traversal off;
		  ike_frag off;
		  initial_contact on;
		  dpd_delay 3;
		  dpd_retry 1;
		  dpd_maxfail 3;
		  proposal_check obey;
		  lifetime time 1 hour;
		  proposal {
		    encryption_algorithm aes 128;
		    hash_algorithm sha256;
		    authentication_method pre_shared_key;
		    dh_group modp2048;
		  }
	EOF
}

# racoon_sainfo LOCAL REMOTE [FROM]: mobility headers between two addresses. Starts no process, since there may be many nodes.
racoon_sainfo() {
	printf 'sainfo address %s[any] 135 address %s[any] 135' "$1" "$2"
	[ -z "${3:-}" ] || printf ' from user_fqdn "%s"' "$3"
	printf ' {\n  lifetime time 30 min;\n  encryption_algorithm aes 128;\n'
	printf '  authentication_algorithm hmac_sha256;\n  compression_algorithm deflate;\n}\n'
}

# racoon speaks IKEv1 only.
racoon_check() {
	[ "$MIP6_IKE" = ikev1 ] || die "racoon does not speak $MIP6_IKE: set the home agent and the node to ikev1"
}

racoon_mn_conf() {
	printf 'path pre_shared_key "%s";\n\n' "$PSK_TXT"
	printf 'remote %s {\n' "$HA"
	printf '  my_identifier user_fqdn "%s";\n' "$ID"
	printf '  peers_identifier fqdn "%s";\n  verify_identifier on;\n' "$HOST"
	racoon_remote
	printf '}\n\n'
	racoon_sainfo "$HOA" "$HA"
}

ike_mn_up() {
	racoon_check
	node_put
	put_compared "$PSK_TXT" 600 printf '%s %s\n' "$HOST" "$KEY"
	racoon_has_new_key=$CHANGED
	put_compared "$RACOON_CONF" 600 racoon_mn_conf
	racoon_reload
	# Existing SAs keep the key that they were created with. Without SAs the next binding update starts a phase 1 with the new key.
	# That interrupts the traffic of the home address: for about three seconds with UMIP 0.4.
	if [ "$racoon_has_new_key" = yes ] && ! has_started racoon; then
		racoon_end_sas "$MIP6_HOA" "$MIP6_HA"
		act racoonctl flush-sa isakmp || say "racoonctl flush-sa failed: the ISAKMP SA with the old key stays"
	fi
}

# racoon_end_sas HOA HA: deletes the ESP SAs between the two. racoon tells its peer.
racoon_end_sas() {
	if [ "$DRY_RUN" = yes ]; then
		say "dry run: setkey deletes the SAs between $1 and $2"
		return
	fi
	printf 'deleteall %s %s esp;\ndeleteall %s %s esp;\n' "$1" "$2" "$2" "$1" | setkey -c >/dev/null 2>&1 || :
}

# Nothing to do: the IPsec policies trigger racoon.
ike_mn_connect() {
	:
}

# mip6d tells racoon and the kernel about the new care-of address (MIGRATE).
ike_mn_move() {
	:
}

ike_mn_check() {
	# shellcheck disable=SC2034 # read by umip.sh
	WAS_LOST=yes
	is_running racoon || say "racoon is started again"
	racoon_run
}

ike_mn_down() {
	racoon_end_sas "$MIP6_HOA" "$MIP6_HA"
	act racoonctl flush-sa isakmp || :
	end racoon
	rm -f "$PSK_TXT" "$RACOON_CONF"
	node_remove
}

racoon_psk_line() {
	printf '%s %s\n' "$ID" "$KEY"
}

racoon_node_sainfo() {
	printf '\n'
	racoon_sainfo "$HA" "$HOA" "$ID"
}

racoon_ha_conf() {
	printf 'path pre_shared_key "%s";\n\n' "$PSK_TXT"
	printf 'listen {\n  isakmp %s [500];\n}\n\n' "$MIP6_HA"
	# One anonymous section serves all nodes: a node proves its name by the key stored for that name.
	printf 'remote anonymous {\n'
	printf '  my_identifier fqdn "%s";\n' "$MIP6_HA_HOST"
	racoon_remote
	printf '  passive on;\n  generate_policy off;\n}\n'
	# "from" binds a home address to the authenticated name.
	each_node racoon_node_sainfo
}

racoon_ha_files() {
	put "$PSK_TXT" 600 each_node racoon_psk_line
	put_compared "$RACOON_CONF" 600 racoon_ha_conf
	racoon_reload
}

ike_ha_note() {
	racoon_check
	node_put
}

ike_ha_put() {
	racoon_ha_files
}

# Must be called before the binding is removed, because the binding shows the care-of address: the ISAKMP SA is between that
# address and the home agent.
ike_ha_remove() {
	racoon_coa=
	if [ "$DRY_RUN" != yes ]; then racoon_coa=$(care_of "$MIP6_HOA"); fi
	racoon_end_sas "$MIP6_HOA" "$MIP6_HA"
	[ -z "$racoon_coa" ] || racoonctl delete-sa isakmp inet6 "$MIP6_HA" "$racoon_coa" >/dev/null 2>&1 || :
	has_other_address || node_remove
	racoon_ha_files
}

# care_of HOA: prints the care-of address of its binding on this home agent, which is the remote end of the binding's tunnel.
# Prints nothing if there is no binding.
care_of() {
	command -v ip >/dev/null 2>&1 || return 0
	care_dev=$(ip -6 route show "$1" 2>/dev/null | sed -n 's/.* dev \(ip6tnl[0-9]*\) .*/\1/p;q')
	[ -z "$care_dev" ] || ip -6 tunnel show "$care_dev" 2>/dev/null | sed -n 's/.* remote \([0-9a-f:]*\) .*/\1/p'
}

ike_ha_check() {
	if is_running racoon; then return; fi
	say "racoon was not running"
	lock
	racoon_run
}

# ike_ha_end_all: ends the SAs of all nodes, so that they make new ones and register again.
ike_ha_end_all() {
	each_node racoon_end_node_sas
}

racoon_end_node_sas() {
	racoon_end_sas "$HOA" "$HA"
}

racoon_run() {
	start racoon racoon_is_ready racoon -f "$RACOON_CONF"
}

# racoon answers on its control socket once it has read its file and the policies.
racoon_is_ready() {
	racoonctl show-sa isakmp >/dev/null 2>&1
}

# racoon reads psk.txt at every look-up: a new key needs no reload, and no SA is lost.
racoon_reload() {
	if [ "$DRY_RUN" = yes ]; then
		say "dry run: racoon reads $RACOON_CONF"
	elif ! is_running racoon; then
		racoon_run
	elif [ "$CHANGED" = yes ]; then
		racoonctl reload-config || die "racoon rejected $RACOON_CONF"
	fi
}
