#!/bin/sh
# Installs pana-mip6 from its npm tarball as services of this host, or uninstalls it.
set -eu
# Services run as another user and must be able to read the installed files, whatever the umask of root.
umask 022

usage() {
	cat <<-'END'
		install.sh [--prefix DIR] [--root DIR] [--dry-run] TARBALL
		install.sh [--prefix DIR] [--root DIR] [--dry-run] --uninstall [--purge]

		  --prefix DIR   where programs go (/usr/local)
		  --root DIR     put in front of every path: an image or a test; nothing of the running system is touched
		  --dry-run      print what would be done
		  --uninstall    remove exactly what was installed; configuration, state and drop-ins stay
		  --purge        those, too: certificates, subscribers, leases; and the user

		Linux: units in /etc/systemd/system, configuration in /etc/pana-mip6.
		FreeBSD: scripts in PREFIX/etc/rc.d, configuration in PREFIX/etc/pana-mip6.
		No service is enabled or started. A configuration that is there is never written to.
	END
}

die() {
	echo "install.sh: $*" >&2
	exit 2
}

prefix=/usr/local
root=
dry=no
uninstall=no
purge=no
tarball=
# For tests, and for images of the other system.
system=${PANA_SYSTEM:-$(uname -s)}

while [ $# -gt 0 ]; do
	case $1 in
	--prefix | --root)
		[ $# -ge 2 ] || die "$1 needs a folder"
		case $2 in /*) ;; *) die "$1 needs an absolute path, not $2" ;; esac
		case $2 in *[!A-Za-z0-9/._+-]*) die "$1 $2: only letters, digits and / . _ + - are allowed" ;; esac
		if [ "$1" = --prefix ]; then prefix=${2%/}; else root=${2%/}; fi
		shift
		;;
	--prefix=* | --root=*)
		option=${1%%=*}
		value=${1#*=}
		shift
		set -- "$option" "$value" "$@"
		continue
		;;
	--dry-run) dry=yes ;;
	--uninstall) uninstall=yes ;;
	--purge) purge=yes ;;
	-h | --help)
		usage
		exit 0
		;;
	-*) die "unknown option $1; try --help" ;;
	*)
		[ -z "$tarball" ] || die "give one tarball, not $tarball and $1"
		tarball=$1
		;;
	esac
	shift
done
[ -n "$prefix" ] || die "--prefix must not be /"
[ "$purge" = no ] || [ "$uninstall" = yes ] || die "--purge needs --uninstall"

case $system in
Linux) etc=/etc/pana-mip6 ;;
FreeBSD) etc=$prefix/etc/pana-mip6 ;;
*) die "$system is not supported: only Linux and FreeBSD are" ;;
esac
share=$prefix/share/pana-mip6
package=$prefix/lib/node_modules/pana-mip6
manifest=$share/manifest
programs='pana-pac pana-paa pana-aaa pana-pre pana-mip6'
states='/var/db/pana-aaa /var/db/pana-paa /var/db/pana-pac'
dropins=
if [ "$system" = Linux ]; then
	states="/var/lib/pana-aaa /var/lib/pana-paa /var/lib/pana-pac $states"
	for daemon in aaa paa pac pre; do dropins="$dropins /etc/systemd/system/pana-$daemon.service.d"; done
fi

# Runs a command; in a dry run only prints it.
run() {
	if [ "$dry" = yes ]; then
		echo "would run: $*"
	else
		"$@"
	fi
}

# Reports progress; a dry run prints the commands instead.
say() {
	if [ "$dry" = no ]; then echo "install.sh: $*"; fi
}

# Whether the target is the running system, and has this program.
here() {
	[ -z "$root" ] && command -v "$1" >/dev/null 2>&1
}

# ---------------------------------------------------------------------------------------------------------- install

# Records an installed item: its kind, and its path without the root. Items are removed in reverse order.
record() {
	[ "$dry" = yes ] || printf '%s %s\n' "$1" "$2" >>"$work/manifest"
}

# Write the manifest also after a failure, so that --uninstall removes the new and the earlier files.
finish() {
	if [ -s "$work/manifest" ] && [ -d "$root$share" ]; then
		sort_out "$work/before" "$work/manifest" >"$root$manifest"
	fi
	rm -rf "$work"
}

# Merges both manifests without duplicates.
sort_out() {
	cat "$@" | awk '!($0 in seen) { seen[$0]; print }'
}

# Creates a folder and its missing parents.
folder() {
	[ -n "$1" ] || return 0
	[ ! -d "$root$1" ] || return 0
	folder "${1%/*}"
	run mkdir -m 755 "$root$1"
	record folder "$1"
}

# Installs a file with the paths of this installation filled in; $3: its mode.
render() {
	folder "${2%/*}"
	if [ "$dry" = yes ]; then
		echo "would write: $root$2"
		return 0
	fi
	sed -f "$work/paths.sed" "$1" >"$root$2.new"
	chmod "$3" "$root$2.new"
	mv "$root$2.new" "$root$2"
	record file "$2"
}

# Prints a sed script that replaces the paths in a file of the package with those of this installation.
paths() {
	cat <<-END
		/PATH=/!s|/usr/local/|$prefix/|g
	END
	if [ "$system" = FreeBSD ]; then
		cat <<-END
			s|\([" ]\)/etc/pana-mip6|\1$etc|g
			s|ha-linux\.sh|ha-freebsd.sh|g
			s|mn-linux\.sh|mn-freebsd.sh|g
		END
		return
	fi
	# node may not be in the PATH of systemd.
	case $(dirname "$(command -v node)") in
	/usr/local/sbin | /usr/local/bin | /usr/sbin | /usr/bin | /sbin | /bin) ;;
	*)
		cat <<-END
			s|^Environment=NODE_ENV=production|&\\
			Environment=PATH=$(dirname "$(command -v node)"):/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin|
		END
		;;
	esac
}

# The option that lets npm run install scripts, if npm has it.
approval() {
	if npm install --help 2>/dev/null | grep -q -- '--allow-scripts'; then
		echo --allow-scripts=better-sqlite3
	fi
}

# The global npm settings of the host (proxy, registry, CA): with --prefix, npm would read them from another place.
global_config() {
	npm config get globalconfig 2>/dev/null || :
}

install_all() {
	[ -n "$tarball" ] || die "name the tarball (\"npm pack\" creates it); try --help"
	[ -f "$tarball" ] || die "file not found: $tarball"
	command -v node >/dev/null || die "node is not installed: version 20.19 or later is needed"
	command -v npm >/dev/null || die "npm is not installed"
	node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' ||
		die "node $(node --version) is too old: 20.19 or later is needed"
	case $(command -v node) in
	/root/* | /home/*) echo "install.sh: warning: services cannot use $(command -v node), which is in a home folder" >&2 ;;
	esac
	case $tarball in /*) ;; *) tarball=$PWD/$tarball ;; esac
	work=$(mktemp -d)
	trap finish EXIT
	trap 'exit 1' HUP INT TERM
	paths >"$work/paths.sed"

	: >"$work/before"
	if [ -f "$root$manifest" ]; then
		cp "$root$manifest" "$work/before"
		check_manifest "$work/before"
		cp "$work/before" "$work/earlier"
		# Keep the entries of folders that the earlier installation created.
		sed -n 's/^folder //p' "$work/before" | while read -r path; do
			if [ -d "$root$path" ]; then record folder "$path"; fi
		done
	fi
	say "using Node.js $(node --version) of $(command -v node), which the services need, too"
	[ -z "$root" ] || run mkdir -p "$root"
	for above in "$share" "$prefix/lib/node_modules" "$prefix/bin"; do folder "$above"; done
	record file "$manifest"
	settings=$(global_config)
	say "installing $(basename "$tarball") and its modules into $root$package with npm, which may take a minute"
	# shellcheck disable=SC2046 # one word or none
	run npm install --global --prefix "$root$prefix" ${settings:+--globalconfig "$settings"} \
		--omit=dev --no-audit --no-fund $(approval) "$tarball"
	record tree "$package"
	say "compiling the programs for this Node.js"
	run node "$root$package/dist/bundle/make-cache.cjs" ||
		echo "install.sh: warning: the programs were not compiled, so they start slower" >&2
	for program in $programs; do record file "$prefix/bin/$program"; done

	if [ "$dry" = yes ]; then
		tar -xzf "$tarball" -C "$work"
		from=$work/package/scripts
	else
		from=$root$package/scripts
	fi
	say "installing hooks, schemas, dashboards and examples into $root$share"
	for folder in hooks schema grafana examples; do
		for file in "$from/$folder"/*; do
			if [ -f "$file" ]; then place "$file" "$share/$folder/${file##*/}" "$(mode_of "$file")"; fi
		done
	done
	for rules in "$from"/prometheus/*.yml; do render "$rules" "$share/prometheus/${rules##*/}" 644; done
	say "installing example configurations into $root$etc, and the files for the service manager"
	for config in "$from"/config/*.yaml; do render "$config" "$etc/${config##*/}" 644; done
	if [ "$system" = Linux ]; then
		for unit in "$from"/systemd/*.service; do render "$unit" "/etc/systemd/system/${unit##*/}" 644; done
		for dropin in "$from"/systemd/drop-ins/*.conf; do render "$dropin" "$share/systemd/${dropin##*/}" 644; done
		# The example configuration of the PAA needs it. A file of this name in /etc/systemd/system takes precedence.
		render "$from/systemd/drop-ins/packet-filter.conf" \
			/usr/local/lib/systemd/system/pana-paa.service.d/packet-filter.conf 644
		place "$from/systemd/sysusers.conf" /etc/sysusers.d/pana-mip6.conf 644
		place "$from/systemd/tmpfiles.conf" /etc/tmpfiles.d/pana-mip6.conf 644
	else
		for script in "$from"/rc.d/*; do render "$script" "$prefix/etc/rc.d/${script##*/}" 755; done
	fi
	say "installing the manual, and completion for bash, zsh and fish, into $root$prefix/share"
	install_manual
	install_completion
	remove_former
	activate
	[ "$dry" = yes ] || try_store
	[ "$dry" = yes ] || say_next
}

# Installs the pages of the manual, which the programs print.
install_manual() {
	for page in pana-mip6.1 pana-pac.8 pana-paa.8 pana-aaa.8 pana-pre.8 pana-pac.yaml.5 pana-paa.yaml.5 \
		pana-aaa.yaml.5 pana-pre.yaml.5; do
		program=${page%.*}
		if [ "$dry" = no ]; then
			"$root$prefix/bin/${program%.yaml}" --manual "${page##*.}" >"$work/$page"
		fi
		render "$work/$page" "$prefix/share/man/man${page##*.}/$page" 644
	done
}

# Installs the scripts that complete command lines, which the programs print.
install_completion() {
	for program in $programs; do
		for shell in bash zsh fish; do
			case $shell in
			bash) path=bash-completion/completions/$program ;;
			zsh) path=zsh/site-functions/_$program ;;
			fish) path=fish/vendor_completions.d/$program.fish ;;
			esac
			if [ "$dry" = no ]; then "$root$prefix/bin/$program" completion "$shell" >"$work/completion"; fi
			render "$work/completion" "$prefix/share/$path" 644
		done
	done
}

# Removes files that only the earlier version had. This comes last: npm may fail, and daemons may be running.
remove_former() {
	if [ "$dry" = yes ] || [ ! -s "$work/before" ]; then return 0; fi
	awk 'NR == FNR { new[$0]; next } !($0 in new)' "$work/manifest" "$work/before" >"$work/former"
	remove_listed "$work/former"
	: >"$work/before"
}

# npm does not report that scripts are disabled; without this check the server would fail at its start.
try_store() {
	(
		cd "$root$package"
		node -e 'new (require("better-sqlite3"))(":memory:").close()' >/dev/null 2>&1
	) || cat >&2 <<-END
		install.sh: warning: better-sqlite3 was not built, so pana-aaa cannot keep its store in a SQLite file. Look for
		"ignore-scripts" in npm's configuration, or for a C++ compiler, make and python3; then:
		  cd $root$package && npm rebuild better-sqlite3
	END
}

say_next() {
	if [ -s "$work/earlier" ]; then
		echo "pana-mip6 is updated. Running daemons still use the old version; restart them:"
		if [ "$system" = Linux ]; then
			echo "  systemctl try-restart pana-aaa pana-paa pana-pac pana-pre"
		else
			echo "  service pana_aaa restart      # and pana_paa, pana_pac, pana_pre"
		fi
		return
	fi
	enable='systemctl enable --now pana-aaa'
	page=deploy-linux.md
	dropins_hint="pana-paa may change the packet filter. Hooks that change IPsec need a drop-in of $share/systemd."
	if [ "$system" = FreeBSD ]; then
		enable='sysrc pana_aaa_enable=YES && service pana_aaa start'
		page=deploy-freebsd.md
		dropins_hint=
	fi
	cat <<-END

		pana-mip6 is installed; nothing is enabled or started. Next, in the home network (here pana-aaa):
		  pana-mip6 pki init --dir $etc/pki                                    # once: a CA
		  pana-mip6 pki issue aaa --server aaa.home.example --dir $etc/pki
		  cd $etc/pki && chgrp pana . aaa-key.pem && chmod 750 . && chmod 640 aaa-key.pem
		  cp $etc/pana-aaa.example.yaml $etc/pana-aaa.yaml     # and edit it
		  pana-aaa check-config -c $etc/pana-aaa.yaml
		  $enable
		The access router needs pana-paa.yaml, and a mobile node pana-pac.yaml and a certificate of the CA (pki issue --client).
	END
	if [ -n "$dropins_hint" ]; then echo "$dropins_hint"; fi
	echo "Manual: man pana-aaa, man pana-aaa.yaml, $package/docs/$page"
}

# Installs a file unchanged; $3: its mode.
place() {
	folder "${2%/*}"
	run cp "$1" "$root$2"
	run chmod "$3" "$root$2"
	record file "$2"
}

# Keeps the executable bit.
mode_of() {
	if [ -x "$1" ]; then echo 755; else echo 644; fi
}

activate() {
	if [ "$system" = Linux ]; then
		if here systemd-sysusers; then run systemd-sysusers /etc/sysusers.d/pana-mip6.conf; fi
		if here systemd-tmpfiles; then run systemd-tmpfiles --create /etc/tmpfiles.d/pana-mip6.conf; fi
		if here systemctl && [ -d /run/systemd/system ]; then run systemctl daemon-reload; fi
	elif here pw; then
		pw usershow pana >/dev/null 2>&1 ||
			run pw useradd pana -c 'PANA and Mobile IPv6 bootstrapping' -d /var/db/pana-aaa -s /usr/sbin/nologin
		# Files that root's commands create before the first start then belong to the server.
		run install -d -o pana -g pana -m 700 /var/db/pana-aaa
	fi
}

# -------------------------------------------------------------------------------------------------------- uninstall

# The manifest may have been changed by another user.
check_manifest() {
	while read -r kind path; do
		case $path in
		/*..* | [!/]* | '' | *[!A-Za-z0-9/._@+-]* | /) die "$root$manifest: $path was not installed by this script" ;;
		esac
		case $kind in
		tree) case $path in */lib/node_modules/pana-mip6) ;; *) die "$root$manifest: $path was not installed by this script" ;; esac ;;
		file | folder) ;;
		*) die "$root$manifest: \"$kind\" is not a valid entry" ;;
		esac
	done <"$1"
}

# Removes the items of a manifest in reverse order; a folder only if it is empty.
remove_listed() {
	sed -n '1!G;h;$p' "$1" | while read -r kind path; do
		case $kind in
		tree)
			run rm -rf "$root$path"
			# npm's list of installed packages, which is no longer needed.
			if [ -f "$root${path%/*}/.package-lock.json" ]; then run rm -f "$root${path%/*}/.package-lock.json"; fi
			;;
		file) run rm -f "$root$path" ;;
		folder)
			if [ "$dry" = yes ]; then
				echo "would remove, if empty: $root$path"
			else
				rmdir "$root$path" 2>/dev/null || :
			fi
			;;
		esac
	done
}

uninstall_all() {
	[ -z "$tarball" ] || die "--uninstall does not take a tarball"
	if [ -f "$root$manifest" ]; then
		check_manifest "$root$manifest"
	elif [ "$purge" = no ]; then
		die "no $root$manifest: nothing is installed with this prefix and root"
	fi
	for daemon in pac paa aaa; do
		if [ "$system" = Linux ]; then
			if here systemctl && [ -d /run/systemd/system ]; then run systemctl disable --now --quiet "pana-$daemon" || :; fi
		elif here service; then
			run service "pana_$daemon" onestop || :
		fi
	done
	# The link stays closed until the next boot.
	for closed in "$root"/etc/systemd/system/*.wants/pana-closed@*.service; do
		[ ! -L "$closed" ] || run rm -f "$closed"
	done
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	: >"$work/manifest"
	if [ -f "$root$manifest" ]; then cp "$root$manifest" "$work/manifest"; fi
	if [ "$purge" = yes ]; then
		for theirs in $states $etc $dropins; do run rm -rf "$root$theirs"; done
	fi
	remove_listed "$work/manifest"
	if [ "$system" = Linux ]; then
		if here systemctl && [ -d /run/systemd/system ]; then run systemctl daemon-reload; fi
		# Created by tmpfiles.d.
		for daemon in aaa paa pac; do
			if [ -L "$root/var/db/pana-$daemon" ]; then run rm -f "$root/var/db/pana-$daemon"; fi
		done
	fi
	if [ "$purge" = yes ]; then
		if [ "$system" = Linux ] && here userdel && id pana >/dev/null 2>&1; then run userdel pana; fi
		if [ "$system" = FreeBSD ] && here pw && pw usershow pana >/dev/null 2>&1; then run pw userdel pana; fi
		return 0
	fi
	for kept in $etc $states $dropins; do
		[ -d "$root$kept" ] || continue
		# An unused state folder.
		if [ "$dry" = no ] && rmdir "$root$kept" 2>/dev/null; then continue; fi
		echo "kept: $root$kept"
	done
}

if [ "$uninstall" = yes ]; then
	uninstall_all
else
	install_all
fi
