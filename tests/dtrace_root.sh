#!/usr/bin/env bash
# Runs a command where there is a real DTrace: in a Debian sid root, which has the package and the release below has not.
#
#     tests/dtrace_root.sh COMMAND [ARGUMENT...]
#
# The root is made by debootstrap (three minutes), kept as a tarball in the user's cache directory for a month, and
# unpacked for each run. This source tree is installed in it by pip, and is its /src, where the command starts; nothing of
# it outlives the run. Exits with 77 and says why where this machine does not allow any of that.
#
# PTREETIME_CACHE      another cache directory
# PTREETIME_RECORDER   a ptreetime-recorder with eBPF, built outside: the root has no compiler for BPF
set -euo pipefail

suite=sid
# The archive that this machine's own apt uses.
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
  grep -v security | head -n 1 || true)}
packages=(dtrace gcc libc6-dev libbpf1 make python3 python3-pip python3-pytest python3-pytest-xdist python3-msgspec
  python3-numpy python3-filelock python3-platformdirs python3-jinja2 python3-tabulate python3-scikit-build-core cmake
  ninja-build)
cache=${PTREETIME_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pytest-ptreetime}
repository=$(cd "$(dirname "$0")/.." && pwd)

skip() {
  echo "tests/dtrace_root.sh: skipped: $*" >&2
  exit 77
}

[ "$(uname -s)" = Linux ] || skip 'this is not Linux'
[ "$(id -u)" = 0 ] || skip 'dtrace, chroot and mount need root'
unshare --mount true 2>/dev/null || skip 'this machine does not let root mount anything (unshare --mount)'
for tool in debootstrap zstd; do
  command -v "$tool" >/dev/null || skip "$tool is not installed"
done
[ -n "$mirror" ] || skip 'apt names no Debian archive: set DEBIAN_MIRROR'
[ -e /sys/kernel/btf/vmlinux ] || skip 'the kernel has no BTF, which dtrace needs'

work=$(mktemp -d "${TMPDIR:-/tmp}/ptreetime-dtrace.XXXXXX")
trap 'rm -rf --one-file-system "$work"' EXIT
root=$work/root

# DTrace's io.d reads major_names, a variable that kernels without CONFIG_KALLSYMS_ALL do not tell; nothing here needs it.
patch_io() {
  local library
  for library in "$root"/usr/lib/*/dtrace/*/io.d; do
    sed -i -z 's/stringof(((struct blk_major_name[^;]*->name);/"unknown";/' "$library"
  done
}

make_root() {
  echo "tests/dtrace_root.sh: making the root (cached in $cache)" >&2
  debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" "$mirror" >"$work/log" 2>&1 || return 1
  echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/unsafe-io"
  chroot "$root" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends \
    "${packages[@]}" >>"$work/log" 2>&1 || return 1
  chroot "$root" apt-get clean
  rm -rf "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale}
  patch_io
  mkdir -p "$cache"
  tar --directory "$root" --create --one-file-system . | zstd --quiet -3 -T0 -o "$tarball.$$" && mv "$tarball.$$" "$tarball"
}

# Another recipe, another tarball.
recipe=$({ declare -f make_root patch_io; echo "$suite ${packages[*]}"; } | sha256sum | cut -c1-12)
tarball=$cache/dtrace-root-$recipe.tar.zst
find "$cache" -maxdepth 1 -name 'dtrace-root-*' -mtime +30 -delete 2>/dev/null || true
mkdir "$root"
if [ -e "$tarball" ]; then
  zstd --quiet --decompress --stdout "$tarball" | tar --directory "$root" --extract
elif ! make_root; then
  tail -5 "$work/log" >&2
  skip "the root can't be made: is $mirror reachable?"
fi

# A copy of what git knows: nothing is built into this tree.
mkdir "$root/src"
(cd "$repository" && git -c 'safe.directory=*' ls-files -z --cached --others --exclude-standard) >"$work/files"
(cd "$repository" && while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done <"$work/files" |
  tar --create --null --files-from=-) | tar --extract --no-same-owner --directory "$root/src"

mkdir "$root/recorder"
[ ! -x "${PTREETIME_RECORDER:-}" ] || cp "$PTREETIME_RECORDER" "$root/recorder/"

cat >"$work/inside" <<'INSIDE'
set -euo pipefail
root=$1; shift
mount --bind "$root" "$root" # to be a mount of its own: what is mounted inside can be private
mount -t proc proc "$root/proc"
mount --rbind /sys "$root/sys"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mountpoint -q "$root/sys/kernel/tracing" || mount -t tracefs tracefs "$root/sys/kernel/tracing"
mountpoint -q "$root/sys/kernel/debug" || mount -t debugfs debugfs "$root/sys/kernel/debug"
mountpoint -q "$root/sys/kernel/debug/tracing" || mount --bind "$root/sys/kernel/tracing" "$root/sys/kernel/debug/tracing"
exec chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 PTREETIME_WITHOUT_BPF=1 \
  sh -c 'cd /src && pip install --quiet --root-user-action=ignore --break-system-packages --no-index --no-deps \
    --no-build-isolation --no-warn-script-location . && rm -rf build &&
    cp -r /recorder/. "$(cd / && python3 -c "import pytest_ptreetime.native as n; print(n.helper(\"ptreetime-gate\").parent)")" &&
    exec "$@"' sh "$@"
INSIDE
status=0
unshare --mount --propagation private bash "$work/inside" "$root" "$@" || status=$?
exit "$status"
