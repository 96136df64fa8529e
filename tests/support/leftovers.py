"""What a run may have left on this machine: looked for by the marks that the provider `local` puts
on what it makes, and as a difference to what was there before."""

import glob
import os
import subprocess

MARK = b"GAMEDAY_CLUSTER="


def read_bytes(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def processes():
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            yield int(name)


def mark_of(pid):
    """The cluster that a process belongs to, "" for none."""
    for entry in read_bytes(f"/proc/{pid}/environ").split(b"\0"):
        if entry.startswith(MARK):
            return entry[len(MARK):].decode()
    for line in read_bytes(f"/proc/{pid}/cgroup").decode(errors="replace").splitlines():
        for part in line.split("/"):
            if part.startswith("gameday-"):
                return part[len("gameday-"):]
    return ""


def command_of(pid):
    return read_bytes(f"/proc/{pid}/cmdline").replace(b"\0", b" ").decode(errors="replace")


def cluster_processes(cluster, run_directory):
    """Processes that carry the cluster's mark, or have its files open or in their arguments."""
    found = []
    for pid in processes():
        command = command_of(pid)
        if mark_of(pid) == cluster or run_directory in command:
            found.append(f"process {pid}: {command.strip() or read_bytes(f'/proc/{pid}/comm')}")
    return found


def namespaces():
    """The namespaces that processes are in, with one of these processes."""
    found = {}
    for pid in processes():
        for path in glob.glob(f"/proc/{pid}/ns/*"):
            try:
                found[os.readlink(path)] = pid
            except OSError:
                continue
    return found


def output_lines(*argv):
    try:
        result = subprocess.run(argv, capture_output=True, timeout=30, check=False)
    except FileNotFoundError:
        return set()
    return set(result.stdout.decode(errors="replace").splitlines())


def loop_devices():
    return {
        f"loop device {path.split('/')[3]}: {read_bytes(path).decode(errors='replace').strip()}"
        for path in glob.glob("/sys/block/loop*/loop/backing_file")
    }


def network():
    """Interfaces, named network namespaces and packet filter rules of this machine."""
    links = {line.split(": ")[1] for line in output_lines("ip", "-o", "link") if ": " in line}
    return (
        {f"interface {link}" for link in links}
        | {f"netns {line}" for line in output_lines("ip", "netns", "list")}
        | {f"rule {line.strip()}" for line in output_lines("nft", "-s", "list", "ruleset")}
        | {f"rule {line}" for line in output_lines("iptables-save") if line.startswith("-A")}
    )


def mounts():
    return set(read_bytes("/proc/self/mountinfo").decode(errors="replace").splitlines())


class Machine:
    """How the machine was before; what is too much afterwards."""

    def __init__(self):
        self.network = network()
        self.mounts = mounts()
        self.namespaces = namespaces()
        self.temporary = set(os.listdir("/run/gameday")) if os.path.isdir("/run/gameday") else set()

    def left(self, cluster, run_directory):
        """Everything that is left of a cluster, as sentences. Cheap enough to be asked often."""
        found = cluster_processes(cluster, run_directory)
        found += [f"cgroup {path}" for path in glob.glob(f"/sys/fs/cgroup/**/gameday-{cluster}",
                                                         recursive=True)]
        found += [line for line in loop_devices() if run_directory in line]
        found += [f"mount {line}" for line in mounts() - self.mounts
                  if run_directory in line or cluster in line]
        found += [f"file {path}" for path in glob.glob(f"/run/gameday/clusters/{cluster}*")]
        found += [f"file {path}" for name in ["disks", "secrets", "cluster.json*"]
                  for path in glob.glob(os.path.join(run_directory, name))]
        return found

    def changed(self, clusters, place):
        """What differs from before. Somebody else may use the machine meanwhile, so a namespace
        counts when a process is in it that belongs to `clusters` or has files below `place`."""
        found = sorted(network() - self.network)
        if "interface docker0" in found:
            print("not checked: a Docker daemon was started meanwhile, and changed the machine")
            return []
        found += [f"mount {line}" for line in mounts() - self.mounts if "gameday" in line
                  and "/run/gameday" not in line]
        for name, pid in namespaces().items():
            command = command_of(pid)
            if name not in self.namespaces and (mark_of(pid) in clusters or place in command):
                found.append(f"namespace {name} of process {pid}: {command[:200]}")
        return found
