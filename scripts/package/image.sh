#!/bin/sh
# Makes an OCI image of the packages that build.sh has made, as root, with debootstrap and buildah of Debian.
# docs/packages.md says how to run it.
set -eu
umask 022
export LC_ALL=C TZ=UTC

usage() {
	cat <<-'END'
		image.sh [--packages DIR] [--root DIR] [--output FILE] [--try]

		  --packages DIR  where the packages are (packages)
		  --root DIR      copy this root of a Debian 12 instead of making one with debootstrap
		  --output FILE   the image, an OCI archive (packages/pana-mip6.oci.tar)
		  --try           run the demonstration in the image before it is written

		SOURCE_DATE_EPOCH  time of the image; default: that of the last commit
	END
}

die() {
	echo "image.sh: $*" >&2
	exit 2
}

packages=packages
base=
output=packages/pana-mip6.oci.tar
try=no
while [ $# -gt 0 ]; do
	case $1 in
	--packages | --root | --output)
		[ $# -ge 2 ] || die "$1 needs a value"
		case $1 in
		--packages) packages=$2 ;;
		--root) base=$2 ;;
		--output) output=$2 ;;
		esac
		shift
		;;
	--try) try=yes ;;
	-h | --help)
		usage
		exit 0
		;;
	*) die "unknown argument $1; try --help" ;;
	esac
	shift
done
[ "$(id -u)" = 0 ] || die "run this as root"
for program in buildah tar dpkg-deb; do
	command -v "$program" >/dev/null || die "$program is not installed: apt install --no-install-recommends $program"
done
set -- "$packages"/pana-mip6_*.deb "$packages"/pana-mip6-nodejs_*.deb
if [ $# != 2 ] || [ ! -f "$1" ] || [ ! -f "$2" ]; then
	die "$packages must have one pana-mip6 and one pana-mip6-nodejs: npm run package"
fi
# Colons separate names in the place of an archive; tags have no tilde.
tag=$(dpkg-deb --field "$1" Version | sed 's/-[^-]*$//; s/~/-/g')
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}

work=$(mktemp -d)
container=
finish() {
	[ -z "$container" ] || buildah rm "$container" >/dev/null
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' HUP INT TERM

# No init and no service manager: a container runs one daemon.
if [ -z "$base" ]; then
	command -v debootstrap >/dev/null || die "debootstrap is not installed"
	base=$work/base
	echo "image.sh: making the root of a Debian 12"
	debootstrap --variant=minbase \
		--include=systemd-standalone-sysusers,systemd-standalone-tmpfiles,debconf,iproute2,libstdc++6,procps \
		bookworm "$base" >"$work/log" || die "debootstrap failed: $(tail -n 3 "$work/log")"
fi

container=$(buildah from scratch)
root=$(buildah mount "$container")
tar -C "$base" -cf - . | tar -C "$root" -xf -
cp "$1" "$2" "$root/tmp/"
# shellcheck disable=SC2016 # the shell in the root expands it
buildah run --isolation chroot --env DEBIAN_FRONTEND=noninteractive "$container" -- sh -ec '
	dpkg --install /tmp/*.deb
	rm -rf /tmp/*.deb /var/cache/apt/* /var/lib/apt/lists/* /var/log/*
	for daemon in aaa paa pac; do
		install -d -m 700 "/run/pana-$daemon"
		[ "$daemon" = pac ] || chown pana:pana "/run/pana-$daemon"
	done
' >"$work/log" 2>&1 || die "the packages cannot be installed: $(tail -n 5 "$work/log")"
if [ "$try" = yes ]; then
	# Its processes see the network of this host, but only loopback is used.
	buildah run --isolation chroot --user pana "$container" -- pana-mip6 demo
fi
buildah unmount "$container" >/dev/null
buildah config --env NODE_ENV=production --user pana --workingdir / --stop-signal SIGTERM \
	--volume /etc/pana-mip6 --volume /var/lib/pana-aaa \
	--cmd '["pana-aaa", "run", "-c", "/etc/pana-mip6/pana-aaa.yaml"]' "$container"
mkdir -p "$(dirname "$output")"
rm -f "$output"
buildah commit --quiet --timestamp "$epoch" "$container" "oci-archive:$output:localhost/pana-mip6:$tag" >/dev/null
echo "$output"
