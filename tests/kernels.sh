#!/usr/bin/env bash
# Runs a command on other kernels: Debian's, in emulated machines that have this one's files, read-only.
#
#     tests/kernels.sh SUITES COMMAND [ARGUMENT...]
#     tests/kernels.sh --fetch ARCHITECTURE SUITE [PACKAGE...]
#
# SUITES are Debian releases ("bullseye trixie-backports"). The newest kernel of each is taken from the archive that apt
# here uses, verified by apt, and kept in the user's cache directory for a month; nothing is installed. The command
# starts in this source tree as root of the emulated machine, which has no network and no terminal; /run and /tmp are
# what can be written to, and what was written is gone when it ends.
#
# With --fetch it gets that suite's kernel for another architecture (arm64), and prints the directory with its vmlinuz;
# and with root/, where the packages are unpacked, with all that they depend on.
#
# Exits with the status of the command, of the last one that failed; with 77 and the reason where this machine can't do it.
#
# PTREETIME_CACHE      another cache directory
# PTREETIME_QEMU       what runs the machine: "-accel kvm -cpu host -smp 2" is faster than the emulation where it works
# PTREETIME_TIMEOUT_S  seconds that one kernel may take
set -euo pipefail

repository=$(cd "$(dirname "$0")/.." && pwd)
cache=${PTREETIME_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/pytest-ptreetime}
qemu=${PTREETIME_QEMU:--accel tcg -cpu max -smp 1} # emulated, several CPUs trip over code that the kernel patches
timeout_s=${PTREETIME_TIMEOUT_S:-1200}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
# What brings the files, and lets them be written over: of these, those that a kernel has as modules.
modules='overlay 9p 9pnet 9pnet_virtio netfs fscache virtio virtio_ring virtio_pci virtio_pci_legacy_dev virtio_pci_modern_dev'

skip() {
  echo "tests/kernels.sh: skipped: $*" >&2
  exit 77
}

needs() {
  local tool
  for tool in "$@"; do
    command -v "$tool" >/dev/null || skip "$tool is not installed"
  done
}

[ $# -ge 2 ] || { echo "usage: $0 SUITES COMMAND [ARGUMENT...] | --fetch ARCHITECTURE SUITE [PACKAGE...]" >&2; exit 2; }
suites=$1
shift
architecture=amd64
needs apt-get dpkg-deb
if [ "$suites" = --fetch ]; then
  architecture=$1 suites=$2
  shift 2
else
  [ "$(uname -s) $(uname -m)" = 'Linux x86_64' ] || skip 'this is not Linux on x86-64'
  needs qemu-system-x86_64 cpio xz
  busybox=$(command -v busybox) && busybox --list | grep -x switch_root >/dev/null && ! ldd "$busybox" >/dev/null 2>&1 ||
    skip 'a static busybox is not installed (busybox-static)'
fi
[ -e "$keyring" ] || skip "$keyring is missing: the kernels can't be verified"
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
  grep debian | grep -v security | head -n 1 || true)}

work=$(mktemp -d "${TMPDIR:-/tmp}/ptreetime-kernels.XXXXXX")
machine=
trap '[ -z "$machine" ] || kill "$machine" 2>/dev/null || true; rm -rf "$work"' EXIT
trap 'exit 143' TERM INT

# apt as if this machine had only that suite, and no packages.
apt() {
  local tool=$1 directory=$2
  shift 2
  "$tool" -o Dir::Etc::SourceList="$directory/sources.list" -o Dir::Etc::SourceParts=/dev/null -o Dir::State="$directory" \
    -o Dir::State::Lists="$directory/lists" -o Dir::State::Status=/dev/null -o Dir::Cache="$directory" \
    -o APT::Architecture="$architecture" -o APT::Architectures="$architecture" -o APT::Sandbox::User=root -o Acquire::Languages=none "$@"
}

# The packages that these need, they themselves included.
needed() {
  local directory=$1
  shift
  apt apt-cache "$directory" depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
    --no-enhances "$@" | grep -E '^[a-z]'
}

# What suite $1 has, into $2.
list_packages() {
  local suite=$1 directory=$2
  mkdir -p "$directory"/{lists,archives}/partial "$directory/root"
  echo "deb [signed-by=$keyring] $mirror $suite main" >"$directory/sources.list"
  case $suite in
  *-backports | sid) ;;
  *) echo "deb [signed-by=$keyring] ${mirror%/}-security $suite-security main" >>"$directory/sources.list" ;;
  esac
  apt apt-get "$directory" -q=2 update
}

# The newest kernel of suite $1, unpacked into $2.
download() {
  local suite=$1 directory=$2 package
  list_packages "$suite" "$directory" || return 1
  # since Linux 7 the kernel is in several packages
  needed "$directory" "linux-image-$architecture" | grep -E '^linux-(image|binary|modules)-[0-9]' >"$directory/packages" ||
    return 1
  (cd "$directory" && apt apt-get "$directory" -q=2 download $(cat packages)) >/dev/null || return 1
  for package in "$directory"/*.deb; do
    dpkg-deb --extract "$package" "$directory/root" || return 1
  done
}

# What the machine starts with: it mounts the files of this machine, and leaves the rest to a script among them.
write_init() {
  cat <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
mkdir /proc /host
mount -t proc proc /proc
left=9
while [ $left -gt 0 ]; do # in the order in which they need each other, which is found out
  for module in /modules/*.ko; do insmod "$module" 2>/dev/null; done
  left=$((left - 1))
done
mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=262144 host /host ||
  { echo "the host's files can't be mounted"; poweroff -f; }
inside=$(sed 's/.*ptreetime.inside=\([^ ]*\).*/\1/' /proc/cmdline)
umount /proc
exec switch_root /host /bin/bash "$inside"
INIT
}

# Makes directory $2: the kernel of suite $1, and the packages.
fetch_kernel() {
  local suite=$1 target=$2 directory=$work/$1 package
  shift 2
  download "$suite" "$directory" || return 1
  mkdir -p "$target.$$/root"
  find "$directory/root" -name 'vmlinuz*' -type f -exec cp {} "$target.$$/vmlinuz" \;
  if [ $# -gt 0 ]; then
    directory=$work/packages
    list_packages "${suite%-backports}" "$directory" || return 1
    (cd "$directory" && apt apt-get "$directory" -q=2 download $(needed "$directory" "$@")) || return 1
    for package in "$directory"/*.deb; do
      dpkg-deb --extract "$package" "$target.$$/root" || return 1
    done
  fi
  [ -e "$target.$$/vmlinuz" ] && mv -T "$target.$$" "$target" && rm -rf "$work/$suite" "$directory"
}

# The same, with what it starts with.
make_kernel() {
  local suite=$1 target=$2 directory=$work/$1 initial=$work/$1/initial name file
  download "$suite" "$directory" || return 1
  mkdir -p "$initial"/{bin,modules,dev} "$target.$$"
  cp "$busybox" "$initial/bin/busybox"
  write_init >"$initial/init"
  chmod 755 "$initial/init"
  for name in $modules; do
    for file in $(find "$directory/root" -name "$name.ko*"); do
      case $file in
      *.xz) xz --decompress --stdout "$file" >"$initial/modules/$name.ko" ;;
      *) cp "$file" "$initial/modules/$name.ko" ;;
      esac
    done
  done
  (cd "$initial" && find . | cpio --quiet --create --format=newc) | gzip >"$target.$$/initial"
  find "$directory/root" -name 'vmlinuz*' -type f -exec cp {} "$target.$$/vmlinuz" \;
  [ -e "$target.$$/vmlinuz" ] && mv -T "$target.$$" "$target" && rm -rf "$directory"
}

# What runs in the machine, by the bash of this one's files.
write_inside() {
  cat <<'INSIDE'
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/run/home TMPDIR=/run/tmp LANG=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
for directory in /dev/shm /run; do mount -t tmpfs tmpfs "$directory"; done
mount -t tracefs tracefs /sys/kernel/tracing
ln -s /proc/self/fd /dev/fd
mkdir -m 1777 /run/tmp /run/upper
mkdir /run/home /run/scratch
mount -t overlay -o lowerdir=/tmp,upperdir=/run/upper,workdir=/run/scratch overlay /tmp
echo "== Linux $(uname -r)"
INSIDE
  # Its own session and, by job control, process group: one whose parent is in the session, as at a terminal, because
  # SIGTSTP does not stop others.
  printf 'cd %q && setsid --wait bash -c %q </dev/null\n' "$repository" "set -m; $(printf '%q ' "$@")"'; exit $?'
  printf 'echo "%s $?"\n' "$end_mark"
  echo 'echo o >/proc/sysrq-trigger; sleep 60'
}

# Runs the kernel in directory $1, as long as it takes, and gives the status that the command had in it.
run_kernel() {
  local kernel=$1 status
  : >"$work/output"
  # shellcheck disable=SC2086
  timeout --kill-after=10 "$timeout_s" qemu-system-x86_64 $qemu -m 2048 -nodefaults -display none -no-reboot \
    -serial "file:$work/output" -kernel "$kernel/vmlinuz" -initrd "$kernel/initial" \
    -append "console=ttyS0 quiet panic=-1 no_timer_check ptreetime.inside=$work/inside" \
    -fsdev local,id=host,path=/,security_model=none,readonly=on,multidevs=remap \
    -device virtio-9p-pci,fsdev=host,mount_tag=host </dev/null &
  machine=$!
  tail --quiet --follow --lines=+1 --sleep-interval=0.2 --pid="$machine" "$work/output" | stdbuf -oL tr -d '\r' |
    sed --unbuffered "/$end_mark/,\$d" &
  wait "$machine" || true
  wait
  machine=
  status=$(tr -d '\r' <"$work/output" | sed -n "s/.*$end_mark \([0-9]*\)$/\1/p")
  [ -n "$status" ] || echo "tests/kernels.sh: the machine has ended without a status" >&2
  return "${status:-1}"
}

mkdir -p "$cache"
find "$cache" -maxdepth 1 -name 'kernel-*' -mtime +30 -exec rm -rf {} + 2>/dev/null || true
if [ "$architecture" != amd64 ]; then
  kernel=$cache/kernel-$suites-$architecture-$({ declare -f fetch_kernel; echo "$@"; } | sha256sum | cut -c1-12)
  [ -e "$kernel" ] || fetch_kernel "$suites" "$kernel" "$@" >/dev/null ||
    skip "the kernel of $suites for $architecture can't be had from ${mirror:-any archive (set DEBIAN_MIRROR)}"
  echo "$kernel"
  exit 0
fi
end_mark="ptreetime-end-$$"
write_inside "$@" >"$work/inside"
recipe=$({ declare -f write_init make_kernel; echo "$modules"; } | sha256sum | cut -c1-12)
result=0 ran=
for suite in $suites; do
  kernel=$cache/kernel-$suite-$recipe
  if [ ! -e "$kernel" ] && ! make_kernel "$suite" "$kernel"; then
    echo "tests/kernels.sh: skipped: $suite: its kernel can't be had from ${mirror:-any archive (set DEBIAN_MIRROR)}" >&2
    continue
  fi
  ran=yes
  begin=$SECONDS
  run_kernel "$kernel" || result=$?
  echo "== $suite: $((SECONDS - begin)) s"
done
[ -n "$ran" ] || skip 'there is no kernel'
exit "$result"
