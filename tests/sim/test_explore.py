#!/usr/bin/python3
"""gameday explore: the same seeds give the same summary; a planted bug is found, made small, and
written as a scenario that shows it again; an interrupt leaves nothing behind."""

import glob
import os
import re
import signal
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from gameday import GAMEDAY, SOURCE, Checks, Place, plain_environment, run, skip  # noqa: E402

SCENARIO = os.path.join(SOURCE, "scenarios/postgres/primary-crash.yaml")
MET, MISSED, INTERRUPTED = 0, 1, 130
def settings(**values):
    return [word for path, value in values.items()
            for word in ("--set", f"{path.replace('__', '.')}={value}")]


# Little load: what is looked for needs none, and sanitizers are slow.
LIGHT = ["--set", "workloads=[{pg-ledger: {rate: 20/s, clients: 2, pinned_rate: 10/s}}]",
         "--set", "load.minimum=10"]
# The leader key lives longer than the objective allows a failover to take.
PLANTED = LIGHT + settings(
    explore__injectors="[host-crash]", explore__faults="2..3", explore__window="10s..4min",
    explore__for="30s..90s", objectives="{failover_time: <= 30s}",
    cluster__services__postgres__ttl="60s")
# What a cluster of three bears.
HARMLESS = LIGHT + settings(
    explore__injectors="[process-kill]", explore__faults="1", explore__for="1s..2s",
    objectives="{dual_primary: 0s}")


def explore(*args, cwd):
    return run(["explore", SCENARIO, "--out", "found", *args], cwd=cwd, timeout=600)


def scratch(pid):
    """Scratch directories of a process."""
    places = ("/dev/shm", "/tmp", os.environ.get("TMPDIR", "/tmp"))
    return [path for place in places for path in glob.glob(f"{place}/gameday-{pid}-*")]


def check_same_summary(checks, place):
    """Whatever the number of processes."""
    one, three = [explore(*PLANTED, "--seeds", "5", "--shrink", "2", "--jobs", jobs, cwd=place)
                  for jobs in ("1", "3")]
    checks.check(one.stdout == three.stdout, "the summaries differ",
                 one.stdout + "\n---\n" + three.stdout)
    checks.check("; simulated: Patroni 3.2\n" in one.stdout.split("  pass")[0],
                 "what is simulated is not said", one.stdout)
    checks.check(three.returncode == MISSED, f"exit {three.returncode}, not 1", three.stderr)
    return one.stdout


def check_planted(checks, place, summary):
    """Found, at most two faults, and the file shows the same violation when it is run."""
    found = re.search(r"violated: objective failover_time in \d+ schedules?, seeds? .*\n"
                      r"  smallest: seed (\d+), (\d) faults?, shrunk from \d+ in \d+ tries; "
                      r"with (\d+) of the 20 seeds after it too\n(?:    .*\n)*?"
                      r"    (found/explore-\S+\.yaml)\n", summary)
    if not checks.check(found, "failover_time is not among the violations", summary):
        return
    checks.check(int(found.group(2)) <= 2, "it was not shrunk to two faults", found.group(0))
    checks.check(int(found.group(3)) >= 10, "it does not show reliably", found.group(0))
    with open(os.path.join(place, found.group(4)), encoding="utf-8") as file:
        text = file.read()
    checks.check(re.search(r"^# Violates objective failover_time: .*, more than 30 s", text, re.M),
                 "the file does not say what is violated", text)
    checks.check("  provider: local\n" in text, "the file has another provider", text)
    checks.check(f"\nseed: {found.group(1)}\n" in text, "the file has another seed", text)
    valid = run(["validate", found.group(4)], cwd=place)
    checks.check(valid.returncode == MET, "the file is not valid", valid.stderr)
    again = run(["run", found.group(4), "--provider", "sim", "--out", "again"], cwd=place,
                timeout=300)
    checks.check(again.returncode == MISSED, f"the file's run: exit {again.returncode}, not 1",
                 again.stderr)
    checks.check(re.search(r"FAIL +failover_time", again.stderr), "another violation",
                 again.stderr)


def check_nothing_found(checks, place):
    result = explore(*HARMLESS, "--seeds", "4", "--seed", "100", cwd=place)
    checks.check(result.returncode == MET, f"exit {result.returncode}, not 0", result.stdout)
    checks.check(re.search(r"4 schedules on sim, seeds 100 to 103; .*\n  pass 4, violated 0, "
                           r"unknown 0\n", result.stdout), "not all passed", result.stdout)


def check_budget(checks, place):
    """Whichever ends first: the time, or the seeds."""
    result = explore(*HARMLESS, "--for", "1s", cwd=place)
    checks.check(result.returncode == MET, f"exit {result.returncode}, not 0", result.stderr)
    result = explore(*HARMLESS, "--for", "1h", "--seeds", "2", cwd=place)
    checks.check("2 schedules on sim" in result.stdout, "--seeds does not end it", result.stdout)


def check_interrupt(checks, place):
    with subprocess.Popen([GAMEDAY, "explore", SCENARIO, "--for", "1h", "--out", "found"],
                          cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, env=plain_environment(),
                          encoding="utf-8") as process:
        while not scratch(process.pid) and process.stderr.readline():
            pass  # a warning may come first
        checks.check(len(scratch(process.pid)) == 1, "there is no scratch directory")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    checks.check(process.returncode == INTERRUPTED, f"exit {process.returncode}, not 130", err)
    checks.check("schedules on sim" in out, "there is no summary", out)
    left = scratch(process.pid)
    checks.check(not left, "a scratch directory is left", str(left))


def main():
    if not os.access(GAMEDAY, os.X_OK):
        skip("the program is not built (GAMEDAY)")
    checks = Checks()
    with Place() as place:
        check_planted(checks, place, check_same_summary(checks, place))
        check_nothing_found(checks, place)
        check_budget(checks, place)
        check_interrupt(checks, place)
    checks.finish()


if __name__ == "__main__":
    main()
