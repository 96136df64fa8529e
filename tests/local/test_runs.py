#!/usr/bin/python3
"""Runs that do not go as planned: broken off by a signal, with servers that cannot start, two at
once, with everybody killed who could clean up. Each says what was, and leaves nothing."""

import json
import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import gameday  # noqa: E402
from gameday import (  # noqa: E402
    SOURCE, Checks, Place, need_local_hosts, plain_environment, run)
from leftovers import Machine, mark_of, processes, read_bytes  # noqa: E402

SCENARIO = os.path.join(SOURCE, "tests/local/short.yaml")
MET, MISSED, USAGE, ENVIRONMENT, UNTRUSTED = 0, 1, 2, 3, 4
DEADLINE_S = 300


class Run:
    """A run in the background, in a process group of its own, as a shell starts one."""

    def __init__(self, place, name, *options):
        self.out = os.path.join(place, name)
        self.log = self.out + ".log"
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [gameday.GAMEDAY, "run", SCENARIO, "--out", self.out, *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=plain_environment(),
                start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))

    def said(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def await_phase(self, phase):
        """Until a phase has begun; False when the run is over before."""
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline and self.process.poll() is None:
            if re.search(rf"^ +\d+\.\d s  {phase}$", self.said(), re.MULTILINE):
                return True
            time.sleep(0.02)
        return False

    def await_event(self, name):
        """Until an event of that name is in the record."""
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline and self.process.poll() is None:
            if f'"{name}"'.encode() in read_bytes(os.path.join(self.out, "events.jsonl")):
                return True
            time.sleep(0.02)
        return False

    def wait(self):
        return self.process.wait(timeout=DEADLINE_S)

    def record(self):
        with open(os.path.join(self.out, "run.json"), encoding="utf-8") as file:
            return json.load(file)


def check_left(checks, machine, what, one):
    """Nothing is left when the run has ended; at most its guard is still on its way out."""
    cluster = one.record()["id"]
    deadline = time.monotonic() + 5
    left = machine.left(cluster, one.out)
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = machine.left(cluster, one.out)
    checks.check(not left, f"{what}: left", "\n".join(left))


def check_interrupted(checks, machine, place, number, phase, code):
    """Ctrl-C reaches the whole process group; everything is removed and the record can be read."""
    name = f"{signal.Signals(number).name}-{phase}"
    one = Run(place, name)
    there = one.await_event(phase) if phase.startswith("fault_") else one.await_phase(phase)
    checks.check(there, f"{name}: gets there", one.said())
    os.killpg(one.process.pid, number)
    checks.check(one.wait() == code, f"{name}: exit {one.process.returncode}", one.said())
    checks.check("interrupted by" in one.said(), f"{name}: says so", one.said())
    check_left(checks, machine, name, one)
    record = one.record()
    checks.check(not record["finished"], f"{name}: is not finished")
    checks.check("interrupted" in (record["stopped_because"] or ""), f"{name}: its record says why")
    report = run(["report", one.out], timeout=120)
    checks.check(
        report.returncode == UNTRUSTED, f"{name}: report: exit {report.returncode}", report.stderr)


def check_bad_parameter(checks, machine, place, name, parameter, words):
    """Servers that do not start, or not as they should: exit 3, with their own words."""
    one = Run(place, name, "--set", f"cluster.services.postgres.parameters={{{parameter}}}")
    checks.check(one.wait() == ENVIRONMENT, f"{name}: exit {one.process.returncode}", one.said())
    checks.check(re.search(words, one.said()), f"{name}: the server's own log lines", one.said())
    checks.check("error: " in one.said(), f"{name}: is an error", one.said())
    check_left(checks, machine, name, one)
    logs = os.path.join(one.out, "logs")
    checks.check(os.path.isdir(logs) and os.listdir(logs), f"{name}: the servers' logs are kept")


def check_full_disk(checks, machine, place):
    """The hosts' disks are files on a full file system: their servers know of an I/O error only."""
    small = os.path.join(place, "small")
    os.mkdir(small)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=150m", "tmpfs", small]).returncode != 0:
        print("not checked: a full disk (no mount)")
        return
    try:
        one = Run(place, "small/full", "--set", "cluster.local.storage=loop")
        code = one.wait()
        if "loop devices" in one.said():
            print("not checked: a full disk (no loop devices)")
            return
        checks.check(code == ENVIRONMENT, f"full disk: exit {code}", one.said())
        told = re.findall(r"^warning: the file system of \S*/small/full is full", one.said(), re.M)
        checks.check(len(told) == 1, "full disk: says so, once", one.said())
        check_left(checks, machine, "full disk", one)
        os.unlink(one.log)
    finally:
        subprocess.run(["umount", small], check=True)


def check_two_at_once(checks, machine, place):
    """Two runs on one machine do not meet."""
    options = ["--set", "cluster.services.postgres.topology=single", "--set",
               "timeline=[{at: 1s, for: 2s, process-pause: {target: postgres.primary}}]"]
    both = [Run(place, f"two-{i}", *options) for i in range(2)]
    codes = [one.wait() for one in both]
    for one, code in zip(both, codes):
        # On a machine that is short of processors the harness may find itself starved.
        checks.check(code in (MET, UNTRUSTED), f"two at once: exit {code}", one.said())
        checks.check(one.record()["finished"], "two at once: finished", one.said())
        check_left(checks, machine, "two at once", one)
        result = json.loads(read_bytes(os.path.join(one.out, "result.json")))
        checks.check(result["writes"]["ok"] > 0, "two at once: writes succeeded")
        checks.check(result["writes"]["phantom"] == 0, "two at once: no row of the other")
        resolve = {measure["name"]: measure.get("value") for measure in result["measures"]
                   if measure["name"].startswith("probe_resolve.")}
        # Where every thread waits for a processor, a file is not read in a millisecond either.
        checks.check((resolve.get("probe_resolve.p50") or 0) > 0, "two at once: names are resolved",
                     str(resolve))
        checks.check((resolve.get("probe_resolve.p50") or 9) < 0.1, "two at once: and soon",
                     str(resolve))
    checks.check(both[0].record()["id"] != both[1].record()["id"], "two at once: two clusters")


def children_named(parent, comm):
    for pid in processes():
        stat = read_bytes(f"/proc/{pid}/stat").decode(errors="replace")
        fields = stat.rpartition(") ")[2].split()
        if fields and int(fields[1]) == parent and f"({comm})" in stat:
            yield pid


def check_everybody_killed(checks, machine, place):
    """Harness, guard and the hosts' own first process, all by SIGKILL: `gameday heal` is left."""
    name = "all-killed"
    one = Run(place, name)
    checks.check(one.await_event("fault_confirmed"), f"{name}: gets there", one.said())
    cluster = one.record()["id"]
    alive = run(["heal", one.out])
    checks.check(
        alive.returncode == USAGE and "seems to be alive" in alive.stderr,
        f"{name}: heal refuses while the run goes on", alive.stderr)
    down = run(["cluster", "down", cluster])
    checks.check(
        down.returncode == USAGE and f"process {one.process.pid}, record in {one.out}" in down.stderr,
        f"{name}: cluster down refuses while the run goes on", down.stderr)
    guards = list(children_named(one.process.pid, "gameday-guard"))
    anchors = [pid for pid in children_named(one.process.pid, "gameday-anchor")
               if mark_of(pid) == cluster]
    checks.check(len(guards) == 1, f"{name}: there is a guard")
    checks.check(len(anchors) == 1, f"{name}: there is an anchor")
    for pid in [*guards, one.process.pid, *anchors]:
        os.kill(pid, signal.SIGKILL)
    one.wait()
    checks.check(machine.left(cluster, one.out), f"{name}: something is left at first")
    healed = run(["heal", one.out], timeout=120)
    checks.check(healed.returncode == MET, f"{name}: heal: {healed.returncode}", healed.stderr)
    check_left(checks, machine, name, one)
    again = run(["heal", one.out], timeout=120)
    checks.check(again.returncode == MET, f"{name}: heal, again", again.stderr)


def check_kept_cluster(checks, machine, place):
    """up, list, exec, down: a cluster for a person, which outlives the command that made it."""
    out = os.path.join(place, "kept")
    up = run(["cluster", "up", SCENARIO, "--out", out, "--set",
              "cluster.services.postgres.topology=single", "--set",
              "timeline=[]"], timeout=DEADLINE_S)
    if not checks.check(up.returncode == MET, "cluster up", up.stderr):
        return
    cluster = re.search(r"^cluster (\S+) is up", up.stdout, re.MULTILINE).group(1)
    checks.check(cluster in run(["cluster", "list"]).stdout, "cluster list has it")
    inside = run(["cluster", "exec", cluster, "pg1", "--", "sh", "-c", "hostname; exit 7"])
    checks.check(inside.stdout == "pg1\n", "cluster exec is on the host", inside.stdout)
    checks.check(inside.returncode == 7, f"cluster exec passes {inside.returncode} on")
    client = run(["cluster", "exec", cluster, "client1", "--", "getent", "hosts", "pg1"])
    checks.check(client.stdout.split()[1:] == ["pg1"], "a program on a client finds pg1",
                 client.stdout + client.stderr)
    client = run(["cluster", "exec", cluster, "client1", "--", "getent", "hosts", "pg9"])
    checks.check(client.returncode == 2, "a program on a client does not find pg9", client.stdout)
    client = run(["cluster", "exec", cluster, "client1", "--", "pwd"])
    checks.check(client.stdout.strip() == os.getcwd(), "it is where the command was given",
                 client.stdout)
    with open(__file__, encoding="utf-8") as file:
        first = file.readline()
    with open(__file__, encoding="utf-8") as file:
        given = run(["cluster", "exec", cluster, "pg1", "--", "head", "-n", "1"], stdin=file)
    checks.check(given.stdout == first, "cluster exec passes its standard input on", given.stdout)
    nowhere = run(["cluster", "exec", cluster, "pg9", "--", "true"])
    checks.check(
        nowhere.returncode == USAGE and "has no host pg9" in nowhere.stderr, "cluster exec pg9",
        nowhere.stderr)
    secrets = os.path.join(out, "secrets")
    checks.check(os.stat(secrets).st_mode & 0o077 == 0, "secrets are for the owner alone")
    down = run(["cluster", "down", cluster], timeout=120)
    checks.check(down.returncode == MET, "cluster down", down.stderr)
    left = machine.left(cluster, out)
    checks.check(not left, "cluster down: left", "\n".join(left))
    checks.check(cluster not in run(["cluster", "list"]).stdout, "cluster list has it no more")
    checks.check(run(["cluster", "down", cluster]).returncode == USAGE, "cluster down, again")


def main():
    need_local_hosts()
    checks = Checks()
    machine = Machine()
    with Place() as place:
        check_interrupted(checks, machine, place, signal.SIGINT, "start", 130)
        check_interrupted(checks, machine, place, signal.SIGINT, "fault_confirmed", 130)
        check_interrupted(checks, machine, place, signal.SIGTERM, "warmup", 143)
        check_interrupted(checks, machine, place, signal.SIGHUP, "prepare", 129)
        check_bad_parameter(checks, machine, place, "cannot-start",
                            "shared_preload_libraries: nosuchlibrary",
                            'FATAL: +could not access file "nosuchlibrary"')
        # Patroni drops it, starts the server without it, and says so where nobody looks.
        check_bad_parameter(checks, machine, place, "dropped", "shared_buffers: lots",
                            "shared_buffers = lots is not in effect[^$]*invalid value=lots")
        check_full_disk(checks, machine, place)
        check_everybody_killed(checks, machine, place)
        check_two_at_once(checks, machine, place)
        check_kept_cluster(checks, machine, place)
    checks.finish()


if __name__ == "__main__":
    main()
