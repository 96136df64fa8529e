#!/usr/bin/env python3
"""The same scenario and seed give the same record, byte by byte; another seed gives another one."""
import glob
import os
import subprocess
import sys
import tempfile

GAMEDAY = os.environ["GAMEDAY"]
SOURCE = os.environ["GAMEDAY_SOURCE"]


def run(scenario, seed, directory):
    done = subprocess.run([GAMEDAY, "run", scenario, "--provider", "sim", "--seed", str(seed),
                           "--out", directory], capture_output=True, text=True)
    if done.returncode not in (0, 1):
        sys.exit("%s, seed %d: exit %d\n%s" % (scenario, seed, done.returncode, done.stderr))


def record(directory):
    """The files of the record; what reports make of it carries the directory's name."""
    names = ["run.json", "scenario.yaml", "events.jsonl", "operations.bin", "samples.bin"]
    names += [os.path.basename(p) for p in glob.glob(directory + "/final-*.bin")]
    return {name: open(os.path.join(directory, name), "rb").read() for name in sorted(names)}


def main():
    scenarios = sorted(glob.glob(SOURCE + "/scenarios/postgres/*.yaml"))
    with tempfile.TemporaryDirectory() as work:
        for number, scenario in enumerate(scenarios):
            once, again, other = ["%s/%d-%s" % (work, number, n) for n in ("a", "b", "c")]
            run(scenario, 7, once)
            run(scenario, 7, again)
            run(scenario, 8, other)
            first, second, third = record(once), record(again), record(other)
            assert first.keys() == second.keys(), (scenario, first.keys(), second.keys())
            for name, content in first.items():
                assert content == second[name], "%s: %s differs" % (scenario, name)
            assert first["operations.bin"] != third["operations.bin"], scenario
            print("%-60s %9d operations, the same twice" % (
                os.path.relpath(scenario, SOURCE), (len(first["operations.bin"]) - 64) // 64))


if __name__ == "__main__":
    main()
