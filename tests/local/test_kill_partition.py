#!/usr/bin/python3
"""A harness killed by SIGKILL while links are cut: half-cut, cut, and while they are mended. Within
5 seconds no rule is left in any network namespace, and none was ever in the machine's own."""

import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import gameday  # noqa: E402
from gameday import SOURCE, Checks, Place, need_local_hosts, plain_environment, skip  # noqa: E402
from leftovers import Machine, mark_of, output_lines, processes, read_bytes  # noqa: E402

SCENARIO = os.path.join(SOURCE, "tests/local/partition.yaml")
# Killed as soon as the event is in the record; the last one: just after it.
MOMENTS = ["fault_journaled", "fault_injected", "fault_confirmed", "fault_healed"]
TARGET_S = 5.0
LIMIT_S = 30.0
DEADLINE_S = 300


def start(out):
    with open(out + ".log", "w", encoding="utf-8") as log:
        return subprocess.Popen([gameday.GAMEDAY, "run", SCENARIO, "--out", out, "--seed", "7"],
                                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                env=plain_environment())


def await_event(process, out, name):
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline and process.poll() is None:
        if f'"{name}"'.encode() in read_bytes(os.path.join(out, "events.jsonl")):
            return True
        time.sleep(0.001)
    return False


def rules_of(cluster):
    """Tables of faults in the networks of a cluster's processes."""
    found, seen = set(), set()
    for pid in processes():
        if mark_of(pid) != cluster:
            continue
        try:
            network = os.readlink(f"/proc/{pid}/ns/net")
        except OSError:
            continue
        if network in seen:
            continue
        seen.add(network)
        lines = output_lines("nsenter", "--target", str(pid), "--net", "nft", "list", "tables")
        found |= {f"{network}: {line}" for line in lines if "gameday-" in line}
    return found


def own_rules():
    return {line for line in output_lines("nft", "list", "tables") if "gameday-" in line}


def kill_at(checks, machine, place, moment):
    out = os.path.join(place, moment)
    process = start(out)
    reached = await_event(process, out, moment)
    said = read_bytes(out + ".log").decode(errors="replace")
    if not checks.check(reached, f"{moment}: the run came that far", said):
        return
    with open(os.path.join(out, "run.json"), encoding="utf-8") as file:
        cluster = json.load(file)["id"]
    if moment == "fault_confirmed":
        checks.check(rules_of(cluster), "while links are cut, rules are in the hosts' networks")
        checks.check(not own_rules(), "and none is in the machine's own")
    process.kill()
    killed = time.monotonic()
    process.wait(timeout=60)
    left = machine.left(cluster, out)
    while left and time.monotonic() - killed < LIMIT_S:
        time.sleep(0.02)
        left = machine.left(cluster, out)
    took_s = time.monotonic() - killed
    checks.check(not left, f"{moment}: left after {took_s:.1f} s", "\n".join(left))
    checks.check(not own_rules(), f"{moment}: no rule is in the machine's network")
    late = "" if took_s <= TARGET_S else f", more than {TARGET_S:.0f} s: is the machine busy?"
    print(f"killed at {moment}: clean after {took_s:.2f} s{late}", flush=True)


def check_whole(checks, machine, place):
    """A run that nobody kills: confirmed, healed, and nothing is left."""
    out = os.path.join(place, "whole")
    process = start(out)
    process.wait(timeout=DEADLINE_S)
    events = read_bytes(os.path.join(out, "events.jsonl")).decode()
    for kind in ("fault_confirmed", "fault_heal_confirmed"):
        checks.check(f'"{kind}"' in events, f"a whole run has {kind}",
                     read_bytes(out + ".log").decode(errors="replace"))
    checks.check("fault_heal_failed" not in events, "its heal did not fail", events)
    with open(os.path.join(out, "run.json"), encoding="utf-8") as file:
        record = json.load(file)
    checks.check(not machine.left(record["id"], out), "it leaves nothing")


def main():
    need_local_hosts()
    if not output_lines("nft", "--version"):
        skip("nft, which looks at rules, is missing: apt-get install nftables")
    checks = Checks()
    machine = Machine()
    with Place() as place:
        check_whole(checks, machine, place)
        for moment in MOMENTS:
            kill_at(checks, machine, place, moment)
        deadline = time.monotonic() + LIMIT_S
        changed = machine.changed(set(), place)
        while changed and time.monotonic() < deadline:
            time.sleep(0.2)
            changed = machine.changed(set(), place)
        checks.check(not changed, "the machine is as it was", "\n".join(changed))
    checks.finish()


if __name__ == "__main__":
    main()
