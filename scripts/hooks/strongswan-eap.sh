# shellcheck shell=sh
# strongSwan for nodes that get their home address by IKEv2 (MIP6_HOA_BY=ikev2): a node authenticates to the home agent by EAP-TLS
# with its certificate, the home agent asks the AAA server (eap-radius), and charon tunnels the home address; read with "." after
# strongswan.sh. Only with MOBILITY=none.
#
# Settings in hooks.conf of a home agent:
#
#   HOME_AGENT_CERTIFICATE=ha.pem   its certificate in $SWANCTL_DIR/x509, with a key in $SWANCTL_DIR/private; or none: nodes accept
#                                   a home agent that the AAA server knows (EAP-only authentication, RFC 5998). Not set: no EAP
#
# of a mobile node:
#
#   HOME_AGENT_AUTH=certificate     the home agent needs a certificate of a CA in MIP6_CA_FILE; or eap: none (RFC 5998)
#   HOME_AGENT_ID=ha.home.example   name in that certificate (default: MIP6_HA_HOST, if it came by PANA or is in the domain of the node); *.home.example: any
#                                   name in this domain
#   AAA_ID=aaa.home.example         name in the certificate of the AAA server, in the same form (default: MIP6_AAA_HOST)
#
# Such a node has "eap" in its record in the place of a key. The connections are called pana-eap on the home agent, where all nodes
# share one, and pana-eap-GENERATION on a node.

: "${HOME_AGENT_CERTIFICATE:=}" "${HOME_AGENT_AUTH:=certificate}" "${HOME_AGENT_ID:=}" "${AAA_ID:=${MIP6_AAA_HOST:-}}"
EAP_CONF=$SWANCTL_DIR/conf.d/mip6-eap.conf

# uses_eap: whether this event is about a node that authenticates by EAP.
uses_eap() {
	[ -n "${MIP6_HOA_BY:-}" ] || return 1
	[ "$MIP6_HOA_BY" = ikev2 ] || die "MIP6_HOA_BY is not ikev2"
	[ "$MOBILITY" = none ] || die "a home address by IKEv2 needs MOBILITY=none in hooks.conf"
}

# serves_eap: whether this home agent serves such nodes; it does before the first one comes.
serves_eap() {
	[ "$MOBILITY" = none ] && [ -n "$HOME_AGENT_CERTIFICATE" ]
}

# check_identity NAME VALUE: a plain name, or *. and one.
check_identity() {
	check_name "$1" "${2#\*.}"
}

# eap_ha_conf: the AAA server compares the identity of the node with its certificate, and the home address comes from the AAA server
# too: an authenticated node gets neither the name nor the address of another one.
eap_ha_conf() {
	printf 'connections {\n  pana-eap {\n'
	eap_version=${VERSION:-}
	VERSION=ikev2
	section_version
	VERSION=$eap_version
	# shellcheck disable=SC2153 # it is not MIP6_HOA
	printf '    local_addrs = %s\n    dpd_delay = %ss\n' "$MIP6_HA" "$((5 * DPD_SECONDS))"
	printf '    unique = replace\n    pools = radius\n    send_cert = always\n    local {\n'
	if [ "$HOME_AGENT_CERTIFICATE" = none ]; then
		printf '      auth = eap-radius\n'
	else
		printf '      auth = pubkey\n      certs = %s\n' "$HOME_AGENT_CERTIFICATE"
	fi
	printf '      id = %s\n    }\n    remote {\n      auth = eap-radius\n      id = %%any\n    }\n' "$MIP6_HA_HOST"
	section_child ::/0 dynamic
	printf '  }\n}\n'
}

# eap_ha_put: writes the connection of all nodes; sets EAP_CHANGED.
eap_ha_put() {
	EAP_CHANGED=no
	if ! serves_eap; then
		[ ! -f "$EAP_CONF" ] || {
			rm -f "$EAP_CONF"
			EAP_CHANGED=yes
		}
		return 0
	fi
	check_name HOME_AGENT_CERTIFICATE "$HOME_AGENT_CERTIFICATE"
	check_address MIP6_HA "${MIP6_HA:-}"
	check_name MIP6_HA_HOST "${MIP6_HA_HOST:-}"
	swanctl_conf
	put_compared "$EAP_CONF" 600 eap_ha_conf
	# shellcheck disable=SC2034 # read by ike_ha_check
	EAP_CHANGED=$CHANGED
}

# eap_ha_node: the connection is there for a node, and the node has no other one.
eap_ha_node() {
	serves_eap || die "$ID authenticates by EAP: set HOME_AGENT_CERTIFICATE in hooks.conf"
	eap_ha_put
	node_conf "$ID"
	rm -f "$CONF"
	if [ "$DRY_RUN" = yes ]; then
		say 'dry run: swanctl loads pana-eap'
		return
	fi
	strongswan_load pana-eap
}

# eap_ha_end HOA: ends the IKE_SAs that have this home address.
eap_ha_end() {
	list_sas --ike pana-eap
	while next_sa; do
		case $SA in
		*" remote-vips=[$1] "*) ;;
		*) continue ;;
		esac
		end_id=${SA#*uniqueid=}
		swan --terminate --ike-id "${end_id%%[!0-9]*}" --force || :
	done
}

eap_mn_conf() {
	printf '# %s at %s\nconnections {\n  %s {\n' "$ID" "$HA" "$CONNECTION"
	section_version
	printf '    remote_addrs = %s\n    vips = ::\n' "$HA"
	[ -z "$CARE_OF" ] || printf '    local_addrs = %s\n' "$CARE_OF"
	printf '    dpd_delay = %ss\n    keyingtries = 0\n    rekey_time = %sm\n' "$DPD_SECONDS" "$((200 + GENERATION % 100))"
	printf '    local {\n      auth = eap-tls\n      certs = pana-mn.pem\n      id = %s\n      aaa_id = %s\n    }\n' "$ID" "$AAA_ID"
	case $HOME_AGENT_AUTH in
	eap) printf '    remote {\n      auth = eap-tls\n' ;;
	*) printf '    remote {\n      auth = pubkey\n      cacerts = %s\n' "$EAP_CAS" ;;
	esac
	printf '      id = %s\n    }\n' "$HOST"
	section_child dynamic ::/0
	printf '  }\n}\n'
}

# certificate FILE N: prints the Nth certificate of a PEM file.
certificate() {
	awk -v wanted="$2" '/^-----BEGIN CERTIFICATE/ { on = ++n == wanted } on { print } /^-----END/ { on = 0 }' "$1"
}

# eap_files: charon may be confined to its own folder, so it gets copies. swanctl reads only the first certificate of a file.
eap_files() {
	put "$SWANCTL_DIR/x509/pana-mn.pem" 644 cat "$MIP6_CERTIFICATE_FILE"
	put "$SWANCTL_DIR/private/pana-mn.pem" 600 cat "$MIP6_KEY_FILE"
	eap_forget_cas
	eap_ca=0
	eap_count=$(grep -c '^-----BEGIN CERTIFICATE' "$MIP6_CA_FILE")
	while [ "$eap_ca" -lt "$eap_count" ]; do
		eap_ca=$((eap_ca + 1))
		put "$SWANCTL_DIR/x509ca/pana-ca-$eap_ca.pem" 644 certificate "$MIP6_CA_FILE" "$eap_ca"
		EAP_CAS="${EAP_CAS:+$EAP_CAS, }pana-ca-$eap_ca.pem"
	done
}

eap_forget_cas() {
	EAP_CAS=
	rm -f "$SWANCTL_DIR"/x509ca/pana-ca-*.pem "$@"
}

# eap_forget: removes the copies, before swanctl loads what is left: charon would keep the key of the certificate.
eap_forget() {
	[ ! -e "$SWANCTL_DIR/private/pana-mn.pem" ] ||
		eap_forget_cas "$SWANCTL_DIR/x509/pana-mn.pem" "$SWANCTL_DIR/private/pana-mn.pem"
}

# eap_home_agent_id: sets HOME_AGENT_ID. Anyone can forge a name that did not come by PANA: only one in the domain of this node counts,
# or every host with a certificate of the CA could pose as home agent.
eap_home_agent_id() {
	HOME_AGENT_ID=${MIP6_HA_HOST:-}
	[ -n "$HOME_AGENT_ID" ] || die 'the home agent has no name: set HOME_AGENT_ID in hooks.conf'
	case ${MIP6_SOURCE:-pana}:$HOME_AGENT_ID in
	pana:* | *".${MIP6_MN_ID#*@}") ;;
	*) die "$HOME_AGENT_ID is not in ${MIP6_MN_ID#*@}: set HOME_AGENT_ID in hooks.conf" ;;
	esac
}

# eap_mn_begin: the values of a node without a key. Its home address is that of its record, until the home agent has given it one.
eap_mn_begin() {
	check_name MIP6_MN_ID "${MIP6_MN_ID:-}"
	check_address MIP6_HA "${MIP6_HA:-}"
	check_session
	: "${MIP6_PREFIX_LEN:=64}"
	[ -n "$HOME_AGENT_ID" ] || eap_home_agent_id
	check_identity HOME_AGENT_ID "$HOME_AGENT_ID"
	check_identity AAA_ID "$AAA_ID"
	check_number MIP6_PREFIX_LEN "$MIP6_PREFIX_LEN"
	check_interface INTERFACE "$INTERFACE"
	case $HOME_AGENT_AUTH in
	certificate | eap) ;;
	*) die "HOME_AGENT_AUTH=$HOME_AGENT_AUTH in hooks.conf is not certificate or eap" ;;
	esac
	for eap_file in "${MIP6_CERTIFICATE_FILE:-}" "${MIP6_KEY_FILE:-}" "${MIP6_CA_FILE:-}"; do
		[ -r "$eap_file" ] || die "cannot read \"$eap_file\""
	done
	grep -q '^-----BEGIN CERTIFICATE' "$MIP6_CA_FILE" || die "there is no certificate in $MIP6_CA_FILE"
	# shellcheck disable=SC2034 # read by node_put
	MIP6_HA_HOST=$HOME_AGENT_ID MIP6_IKE=ikev2 PSK=eap
}

# eap_mn_record: sets MIP6_HOA to the home address of the record; needs the lock.
eap_mn_record() {
	MIP6_HOA=-
	if own_node && [ "$KEY" = eap ]; then MIP6_HOA=$HOA; else HOA=-; fi
}

# eap_mn_home: the home address of the IKE_SA, for the rest of the hook and the record. The home agent may give another one than before.
eap_mn_home() {
	[ "$DRY_RUN" != yes ] || return 0
	list_sas --ike "$CONNECTION"
	eap_home=
	while [ -z "$eap_home" ] && next_sa; do
		case $SA in
		*' local-vips=['*) eap_home=${SA#*' local-vips=['} ;;
		esac
	done
	[ -n "$eap_home" ] || die 'the home agent gave no home address'
	eap_home=${eap_home%%[] ]*}
	check_address 'the home address' "$eap_home"
	say "home address $eap_home"
	if [ "$eap_home" = "$HOA" ]; then
		MIP6_HOA=$HOA
		return 0
	fi
	if [ "$HOA" != - ]; then
		MIP6_HOA=$HOA
		tunnel_rules del
	fi
	# shellcheck disable=SC2034 # read by tunnel_rules
	HOA=$eap_home MIP6_HOA=$eap_home
	node_write
	tunnel_rules add
}

# test_eap_plugin NAME: whether a charon that runs has the plugin.
test_eap_plugin() {
	charon_runs || return 0
	case " $(printf '%s' "$OUT" | tr '\n' ' ') " in
	*" $1 "*) ;;
	*) die "charon has no plugin $1: apt install libcharon-extra-plugins" ;;
	esac
}

# test_eap: for the event test.
test_eap() {
	if [ "$MIP6_ROLE" = ha ] && serves_eap; then
		test_eap_plugin eap-radius
		[ "$HOME_AGENT_CERTIFICATE" = none ] || [ -r "$SWANCTL_DIR/x509/$HOME_AGENT_CERTIFICATE" ] ||
			die "there is no $SWANCTL_DIR/x509/$HOME_AGENT_CERTIFICATE"
	elif [ "$MIP6_ROLE" = mn ] && uses_eap; then
		test_eap_plugin eap-tls
	fi
}
