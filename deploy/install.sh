# Sourced by deploy/run and deploy/test: installs the Debian packages of deploy/packages that are missing.

say() { printf '%s\n' "$*" >&2; }
die() { say "$0: $*"; exit 1; }

# packages_of GROUP: the names under [GROUP]
packages_of() {
	awk -v group="[$1]" '/^\[/ { on = ($0 == group); next } on && NF && !/^#/ { print }' "$root/deploy/packages"
}

# install_missing GROUP...: quiet when there is nothing to do
install_missing() {
	local group missing=() name
	for group in "$@"; do
		while read -r name; do
			dpkg-query -W -f '${db:Status-Status}\n' "$name" 2>/dev/null | grep -qx installed || missing+=("$name")
		done < <(packages_of "$group")
	done
	[ ${#missing[@]} -eq 0 ] && return 0
	command -v apt-get >/dev/null || die "needs the Debian 12 packages: ${missing[*]}"
	[ "$(id -u)" = 0 ] || die "run as root once, or: sudo apt-get install ${missing[*]}"
	case " ${missing[*]} " in	# of servers that tests start by themselves: not a service of this machine
	*" coturn "*) [ -e /etc/systemd/system/coturn.service ] || ln -s /dev/null /etc/systemd/system/coturn.service || true ;;
	esac
	say "Installing ${#missing[@]} Debian packages ..."
	local log
	log=$(mktemp)
	if ! { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
		tail -n 15 "$log" >&2
		die "the packages could not be installed; the lines above say why (whole log: $log)"
	fi
	rm -f "$log"
}

# build DIR [meson options]: configure once, then build what changed
build() {
	local dir=$1 log
	shift
	log=$(mktemp)
	if [ ! -f "$dir/build.ninja" ]; then
		meson setup "$dir" "$root" "$@" >"$log" 2>&1 || { tail -n 20 "$log" >&2; die "meson could not configure $dir"; }
	elif [ $# -gt 0 ]; then
		meson configure "$dir" "$@" >"$log" 2>&1 || { tail -n 20 "$log" >&2; die "meson could not configure $dir"; }
	fi
	say "Building in ${dir#"$root"/} ..."
	if ! ninja -C "$dir" >"$log" 2>&1; then
		{ grep -E 'error|FAILED|undefined|cannot find' -A 5 "$log" || tail -n 20 "$log"; } | awk 'NR <= 60' >&2
		die "the build failed (whole log: $log)"
	fi
	rm -f "$log"
}
