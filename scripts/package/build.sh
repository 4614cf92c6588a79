#!/bin/sh
# Makes the Debian packages pana-mip6 and pana-mip6-nodejs of the source folder, after "npm ci" and "npm run build".
# docs/packages.md says what is in them and why.
set -eu
umask 022
export LC_ALL=C TZ=UTC

usage() {
	cat <<-'END'
		build.sh [--output DIR] [--compression xz|gzip] [--without-nodejs]

		  --output DIR        where the packages go (packages)
		  --compression NAME  gzip takes seconds, xz a minute and half of the room (xz)
		  --without-nodejs    do not make pana-mip6-nodejs

		SOURCE_DATE_EPOCH       time of all files; default: that of the last commit
		DEBFULLNAME, DEBEMAIL   the maintainer
	END
}

die() {
	echo "build.sh: $*" >&2
	exit 2
}

output=packages
compression=xz
with_nodejs=yes
while [ $# -gt 0 ]; do
	case $1 in
	--output | --compression)
		[ $# -ge 2 ] || die "$1 needs a value"
		if [ "$1" = --output ]; then output=$2; else compression=$2; fi
		shift
		;;
	--without-nodejs) with_nodejs=no ;;
	-h | --help)
		usage
		exit 0
		;;
	*) die "unknown argument $1; try --help" ;;
	esac
	shift
done
case $compression in
xz) how='-Zxz --threads-max=1' ;;
gzip) how='-Zgzip -z1' ;;
*) die "--compression is xz or gzip, not $compression" ;;
esac
case $output in /*) ;; *) output=$PWD/$output ;; esac

for program in node dpkg-deb dpkg-shlibdeps strip gzip; do
	command -v "$program" >/dev/null || die "$program is not installed: apt install nodejs dpkg-dev binutils"
done

here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../.." && pwd)
cd "$project"
[ -f dist/bundle/loader.cjs ] || die "dist is missing: npm run build"
[ -f node_modules/better-sqlite3/build/Release/better_sqlite3.node ] ||
	die "better-sqlite3 is not compiled: npm rebuild better-sqlite3"

epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || :)}
[ -n "$epoch" ] || die "set SOURCE_DATE_EPOCH: this is not a git repository"
export SOURCE_DATE_EPOCH="$epoch"
architecture=$(dpkg --print-architecture)
# 1.0.0-rc.1 is older than 1.0.0. A package that Debian makes (-1) is newer than this one.
version=$(node -p 'require("./package.json").version.replace("-", "~")')-0upstream1
maintainer="${DEBFULLNAME:-pana-mip6} <${DEBEMAIL:-pana-mip6@example.org}>"
node=$(node -p process.execPath)
node_version=$(node -p process.versions.node)
major=${node_version%%.*}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# Paths of install.sh, as Debian has them.
cat >"$work/paths.sed" <<-'END'
	/PATH=/!{
		s|/usr/local/lib/node_modules/pana-mip6/docs|/usr/share/doc/pana-mip6/docs|g
		s|/usr/local/lib/node_modules/pana-mip6|/usr/lib/pana-mip6|g
		s|/usr/local/bin/pana-mip6|/usr/bin/pana-mip6|g
		s|/usr/local/bin/pana-|/usr/sbin/pana-|g
		s|/usr/local/share/|/usr/share/|g
	}
END

# Copies a file with its paths filled in; $3: its mode.
render() {
	mkdir -p "${2%/*}"
	sed -f "$work/paths.sed" "$1" >"$2"
	chmod "${3:-644}" "$2"
}

# What a program or library of a package needs of Debian.
libraries() {
	mkdir -p "$work/shlibs/debian"
	printf 'Source: pana-mip6\n\nPackage: pana-mip6\nArchitecture: any\n' >"$work/shlibs/debian/control"
	(cd "$work/shlibs" && dpkg-shlibdeps -O -e "$1" 2>/dev/null) | sed -n 's/^shlibs:Depends=//p'
}

# Packages the folder of a package, which has DEBIAN/control and files; $2: its version.
pack() {
	root=$work/$1
	file=$output/$1_${2}_$architecture.deb
	{
		printf '%s (%s) unstable; urgency=medium\n\n  * See the changelog of pana-mip6.\n\n' "$1" "$2"
		printf ' -- %s  %s\n' "$maintainer" "$(date -R -d "@$epoch")"
	} | gzip -9n >"$root/usr/share/doc/$1/changelog.Debian.gz"
	if [ -f "$here/$1/lintian-overrides" ]; then
		mkdir -p "$root/usr/share/lintian/overrides"
		cp "$here/$1/lintian-overrides" "$root/usr/share/lintian/overrides/$1"
	fi
	for part in config postinst prerm postrm templates triggers; do
		[ -f "$here/$1/$part" ] || continue
		cp "$here/$1/$part" "$root/DEBIAN/$part"
		case $part in
		templates | triggers) chmod 644 "$root/DEBIAN/$part" ;;
		*) chmod 755 "$root/DEBIAN/$part" ;;
		esac
	done
	if [ -d "$root/etc" ]; then (cd "$root" && find etc -type f | sort | sed 's|^|/|') >"$root/DEBIAN/conffiles"; fi
	(cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
	find "$root" -path "$root/DEBIAN" -prune -o -type f -printf '%s\n' |
		awk '{ size += int(($1 + 1023) / 1024) } END { print "Installed-Size: " size }' >>"$root/DEBIAN/control"
	find "$root" -exec touch -h -d "@$epoch" {} +
	mkdir -p "$output"
	# shellcheck disable=SC2086 # words
	dpkg-deb --root-owner-group $how --build "$root" "$file" >/dev/null
	echo "$file"
}

# --------------------------------------------------------------------------------------------------------- pana-mip6

root=$work/pana-mip6
lib=$root/usr/lib/pana-mip6
share=$root/usr/share/pana-mip6
doc=$root/usr/share/doc/pana-mip6
mkdir -p "$root/DEBIAN" "$lib" "$share" "$doc"

node scripts/package/modules.mjs "$lib" >"$work/licences"
addon=$lib/node_modules/better-sqlite3/build/Release/better_sqlite3.node
strip --strip-unneeded --remove-section=.comment "$addon"
tar -cf - --exclude='*.js.map' --exclude='*.d.ts' --exclude='*.cache' dist |
	tar -C "$lib" -xf - --no-same-owner --no-same-permissions
find "$lib/dist" -type f -name '*.js' -exec sed -i -e '1s/^#!.*//' -e '/^\/\/# sourceMappingURL=/d' {} +
# Programs are started by the launcher.
find "$lib/dist/bundle" -type f -name 'pana-*.cjs' ! -path '*/chunks/*' -exec sed -i '1s/^#!.*//' {} +
cp package.json "$lib/"
find "$lib" -type d -empty -delete
find "$lib" -type f -exec chmod 644 {} +

# What a running system reads of scripts, under its own name.
(cd scripts && find ./* -type f) | sed 's|^\./||' | while read -r file; do
	case $file in
	bundle/* | examples/* | package/* | rc.d/* | systemd/*) continue ;;
	*/*) ;;
	*) continue ;;
	esac
	case $(head -c 2 "scripts/$file") in
	'#!') mode=755 ;;
	*) mode=644 ;;
	esac
	render "scripts/$file" "$share/$file" "$mode"
done
for dropin in scripts/systemd/drop-ins/*.conf; do render "$dropin" "$share/systemd/${dropin##*/}"; done
# The configuration of the PAA needs it. A file of this name in /etc/systemd/system takes precedence.
render scripts/systemd/drop-ins/packet-filter.conf "$root/usr/lib/systemd/system/pana-paa.service.d/packet-filter.conf"
ln -s ../../share/pana-mip6 "$lib/scripts"

for unit in scripts/systemd/*.service; do render "$unit" "$root/usr/lib/systemd/system/${unit##*/}"; done
render scripts/systemd/sysusers.conf "$root/usr/lib/sysusers.d/pana-mip6.conf"
render scripts/systemd/tmpfiles.conf "$root/usr/lib/tmpfiles.d/pana-mip6.conf"

for daemon in aaa paa pac pre; do
	render "scripts/config/pana-$daemon.example.yaml" "$root/etc/pana-mip6/pana-$daemon.yaml"
done

# A program with the manual that it prints; $2: bin or sbin, $3: sections of the manual.
program() {
	mkdir -p "$root/usr/$2"
	sed "s|@FILE@|/usr/lib/pana-mip6/dist/bundle/$1.cjs|" "$here/launcher" >"$root/usr/$2/$1"
	chmod 755 "$root/usr/$2/$1"
	for section in $3; do
		page=$1.$section
		[ "$section" != 5 ] || page=$1.yaml.5
		node "dist/bundle/$1.cjs" --manual "$section" >"$work/page"
		render "$work/page" "$root/usr/share/man/man$section/$page"
		gzip -9n "$root/usr/share/man/man$section/$page"
	done
}
program pana-mip6 bin 1
for daemon in aaa paa pac pre; do program "pana-$daemon" sbin '8 5'; done

# What "pana-aaa completion bash" and so on print.
mkdir -p "$root/usr/share/bash-completion/completions" "$root/usr/share/zsh/vendor-completions" \
	"$root/usr/share/fish/vendor_completions.d"
node --input-type=module - "$root/usr/share" <<-'END'
	import { writeFileSync } from 'node:fs';
	import { completionScript } from './dist/runtime/cli/completion.js';

	const [, , share] = process.argv;
	for (const program of ['pana-mip6', 'pana-aaa', 'pana-paa', 'pana-pac', 'pana-pre']) {
	  for (const [shell, file] of [
	    ['bash', `bash-completion/completions/${program}`],
	    ['zsh', `zsh/vendor-completions/_${program}`],
	    ['fish', `fish/vendor_completions.d/${program}.fish`],
	  ]) {
	    writeFileSync(`${share}/${file}`, `${completionScript(program, shell)}\n`);
	  }
	}
END

for page in docs/*; do render "$page" "$doc/$page"; done
# It compares both sets of paths.
cp docs/packages.md "$doc/docs/"
for page in README.md SECURITY.md "$here/pana-mip6/README.Debian"; do render "$page" "$doc/${page##*/}"; done
gzip -9nc CHANGELOG.md >"$doc/changelog.gz"
cat "$here/pana-mip6/copyright" LICENSE "$work/licences" >"$doc/copyright"

this="nodejs (>= 20.19~) | pana-mip6-nodejs (>= 20.19~)"
next="nodejs (<< $((major + 1))~) | pana-mip6-nodejs (<< $((major + 1))~)"
cat >"$root/DEBIAN/control" <<-END
	Package: pana-mip6
	Version: $version
	Architecture: $architecture
	Maintainer: $maintainer
	Section: net
	Priority: optional
	Depends: $this, $next, $(libraries "$addon"), systemd | systemd-sysusers, systemd | systemd-tmpfiles, debconf (>= 0.5) | debconf-2.0
	Recommends: iproute2, procps
	Suggests: bash-completion, chrony | time-daemon, iputils-ping, nftables, openssh-client, postgresql, radvd, strongswan-swanctl, charon-systemd
	Description: network access with PANA, EAP-TLS and Mobile IPv6 bootstrapping
	 Daemons that authenticate a mobile node by its certificate and hand it
	 a home agent and a home address:
	 .
	  * pana-pac, the PANA client of the mobile node (RFC 5191);
	  * pana-paa, the PANA agent and Diameter client of the access router;
	  * pana-aaa, the Diameter EAP server of the home network (RFC 4072, RFC 5447);
	  * pana-pre, a PANA relay of an access link (RFC 6345).
	 .
	 pana-mip6 issues certificates, decodes captures, and runs a demonstration.
	 No daemon is enabled or started before it is configured.
END
pack pana-mip6 "$version"

# -------------------------------------------------------------------------------------------------- pana-mip6-nodejs

[ "$with_nodejs" = yes ] || exit 0
# Debian's own node is a small program and a library in another package.
if ldd "$node" | grep -q libnode; then
	echo "pana-mip6-nodejs is not made: $node is Debian's; one of nodejs.org or NodeSource is needed" >&2
	exit 0
fi
licence=
for place in "$(dirname "$node")/../LICENSE" /usr/share/doc/nodejs/LICENSE; do
	if [ -z "$licence" ] && [ -f "$place" ] && grep -q 'Node\.js' "$place"; then licence=$place; fi
done
[ -n "$licence" ] || die "the licence of $node was not found; try --without-nodejs"
root=$work/pana-mip6-nodejs
carried=$root/usr/lib/pana-mip6-nodejs/node
mkdir -p "$root/DEBIAN" "$root/usr/lib/pana-mip6-nodejs" "$root/usr/share/doc/pana-mip6-nodejs"
cp "$node" "$carried"
strip --strip-unneeded --remove-section=.comment "$carried"
chmod 755 "$carried"
cat "$here/pana-mip6-nodejs/copyright" "$licence" >"$root/usr/share/doc/pana-mip6-nodejs/copyright"
cat >"$root/DEBIAN/control" <<-END
	Package: pana-mip6-nodejs
	Version: $node_version-0upstream1
	Architecture: $architecture
	Maintainer: $maintainer
	Section: net
	Priority: optional
	Depends: $(libraries "$carried")
	Enhances: pana-mip6
	Description: Node.js $major for pana-mip6 on systems with another version
	 The daemons of pana-mip6 need Node.js $major, which Debian 12 does not have. This
	 package has the program alone, at a place that no other package looks at. It is
	 not needed where nodejs (>= 20.19) of the same major version is installed.
END
pack pana-mip6-nodejs "$node_version-0upstream1"
