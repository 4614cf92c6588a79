#!/bin/sh
# Builds a mobile node, an access router, a home network and a correspondent as network namespaces of this host, runs the
# three daemons and strongSwan in them, shows what works and how long it took, and cleans up. Linux, as root:
#
#   sudo scripts/lab.sh [FLAG…]       # --help describes them
#
# It runs "pana-mip6 lab" of the package that it is part of.

set -eu

die() {
	printf 'lab.sh: %s\n' "$*" >&2
	exit 2
}

here=$(cd "$(dirname "$0")" && pwd -P)
program=$here/../dist/tool/main.js
[ -f "$program" ] || die "no $program: build it with \"npm ci && npm run build\""
command -v node >/dev/null || die "node is not installed: version 20.19 or later is needed"
exec node "$program" lab "$@"
