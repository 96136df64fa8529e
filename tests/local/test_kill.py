#!/usr/bin/python3
"""A harness killed by SIGKILL, at random moments from the first of a run to its last: the guard
removes everything within 5 seconds, and the record can be read as far as it got."""

import json
import os
import random
import re
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import gameday  # noqa: E402
from gameday import (  # noqa: E402
    SOURCE, Checks, Place, need_local_hosts, plain_environment, run)
from leftovers import Machine  # noqa: E402

SCENARIO = os.path.join(SOURCE, "tests/local/short.yaml")
MOMENTS = 20
TARGET_S = 5.0
LIMIT_S = 30.0
TEARDOWN_S = 1.5
PASS, MISSED, UNTRUSTED = 0, 1, 4


def start(out):
    log = open(out + ".log", "w", encoding="utf-8")
    with log:
        return subprocess.Popen(
            [gameday.GAMEDAY, "run", SCENARIO, "--out", out, "--seed", "7"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=plain_environment())


def said(out):
    with open(out + ".log", encoding="utf-8", errors="replace") as file:
        return file.read()


def cluster_of(out):
    """The cluster's id; None when the harness died before it had written it."""
    try:
        with open(os.path.join(out, "run.json"), encoding="utf-8") as file:
            return json.load(file)["id"]
    except (OSError, ValueError):
        return None


def phases(out):
    """(seconds, name) of each phase that was entered."""
    return re.findall(r"^ +(\d+\.\d) s  ([a-z-]+)$", said(out), re.MULTILINE)


def whole_run(checks, machine, place):
    """How long a run takes that nobody kills, teardown included; and what it leaves: nothing."""
    out = os.path.join(place, "whole")
    process = start(out)
    process.wait(timeout=300)
    checks.check(process.returncode in (PASS, UNTRUSTED), "a run that nobody kills", said(out))
    cluster = cluster_of(out)
    if checks.check(cluster, "it has a record", said(out)):
        checks.check(not machine.left(cluster, out), "it leaves nothing")
    return float(phases(out)[-1][0]) + TEARDOWN_S


def kill_at(checks, machine, out, moment_s):
    process = start(out)
    try:
        process.wait(timeout=moment_s)
    except subprocess.TimeoutExpired:
        pass
    process.kill()
    killed = time.monotonic()
    process.wait(timeout=60)
    cluster = cluster_of(out)
    phase = ([("0", "begin")] + phases(out))[-1][1]
    left = machine.left(cluster or "none", out)
    while left and time.monotonic() - killed < LIMIT_S:
        time.sleep(0.05)
        left = machine.left(cluster or "none", out)
    took_s = time.monotonic() - killed
    where = f"killed after {moment_s:.2f} s ({phase})"
    checks.check(not left, f"{where}: left after {took_s:.1f} s", "\n".join(left))
    late = "" if took_s <= TARGET_S else f", more than {TARGET_S:.0f} s: is the machine busy?"
    print(f"{where}: clean after {took_s:.2f} s{late}", flush=True)
    return cluster, phase != "end"


def check_record(checks, out):
    result = run(["export", out])
    checks.check(result.returncode == 0, f"export of {out}", result.stderr)
    result = run(["report", out])
    # Never met; missed only by what was seen before.
    checks.check(
        result.returncode in (UNTRUSTED, MISSED), f"report of {out}: exit {result.returncode}",
        result.stderr)


def main():
    need_local_hosts()
    seed = int(os.environ.get("GAMEDAY_TEST_SEED", time.time_ns() % 1000000))
    print(f"GAMEDAY_TEST_SEED={seed} gives the same moments again", flush=True)
    chance = random.Random(seed)
    checks = Checks()
    machine = Machine()
    with Place() as place:
        length_s = whole_run(checks, machine, place)
        print(f"a whole run takes {length_s:.1f} s", flush=True)
        readable, clusters = [], set()
        for i in range(MOMENTS):
            # One in each twentieth of a run, so that no part of it is left out.
            moment_s = (i + chance.random()) * length_s / MOMENTS
            out = os.path.join(place, f"killed-{i}")
            cluster, broken_off = kill_at(checks, machine, out, moment_s)
            if cluster:
                clusters.add(cluster)
            if cluster and broken_off:
                readable.append(out)
        for out in readable[:: max(1, len(readable) // 3)]:
            check_record(checks, out)
        deadline = time.monotonic() + LIMIT_S
        changed = machine.changed(clusters, place)
        while changed and time.monotonic() < deadline:
            time.sleep(0.2)
            changed = machine.changed(clusters, place)
        checks.check(not changed, "the machine is as it was", "\n".join(changed))
    checks.finish()


if __name__ == "__main__":
    main()
