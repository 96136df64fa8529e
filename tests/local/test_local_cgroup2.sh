#!/bin/sh
# The tests of local hosts once more as on a machine with control groups of version 2 alone: in a
# mount namespace that shows nothing else.
set -u
tests=$(dirname "$GAMEDAY")/../tests
version_2="umount -R /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup"

skip() {
  echo "skipped: $1"
  exit 77
}

[ "$(id -u)" = 0 ] || skip "root is missing: run with sudo"
[ "$(stat -f -c %T /sys/fs/cgroup)" != cgroup2fs ] || skip "the other tests had version 2 already"
unshare -m sh -c "$version_2" || skip "control groups of version 2 cannot be mounted here"

failed=0
for name in local_hosts local_faults; do
  unshare -m sh -c "$version_2 && exec '$tests/test-local-$name'" || failed=1
done
exit $failed
