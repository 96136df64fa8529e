#!/usr/bin/python3
"""The scenarios of scenarios/cache on the simulator: each meets its objectives (sim/truth: whatever
the seed); without its remedy each that has one is convicted, for the reason that it is about; and
the calls of the database come to what arithmetic says."""

import filecmp
import glob
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from gameday import GAMEDAY, SOURCE, Checks, Place, run, skip  # noqa: E402

MET, MISSED, UNKNOWN = 0, 1, 4
# Scenario: the measure that must be beyond its bound when nothing is done.
REMEDIES = {
    "stampede-single-flight": "origin_amplification",
    "stampede-lock": "origin_amplification",
    "stampede-jitter": "origin_concurrency.later",
    "stampede-stale": "origin_concurrency.later",
    "stampede-xfetch": "origin_concurrency.later",
}


def simulate(place, path, seed, name, *args):
    out = os.path.join(place, name)
    result = run(["run", path, "--provider", "sim", "--seed", seed, "--out", out, *args],
                 cwd=place, timeout=300)
    with open(os.path.join(out, "result.json"), encoding="utf-8") as file:
        return result, json.load(file), out


def value(judged, name):
    return [m["value"] for m in judged["measures"] if m["name"] == name and m["fault"] == 0][0]


def check_met(checks, place, path):
    name = os.path.basename(path)[:-5]
    result, judged, _ = simulate(place, path, "1", f"{name}-met")
    checks.check(result.returncode == MET, f"{name}: exit {result.returncode}", judged["why"])


def check_guilty(checks, place, path, measure):
    name = os.path.basename(path)[:-5]
    result, judged, _ = simulate(place, path, "1", f"{name}-guilty",
                                 "--set", "workloads[0].cache-aside.mitigation=none")
    checks.check(result.returncode == MISSED, f"{name} without: exit {result.returncode}")
    missed = [o["name"] for o in judged["objectives"] if o["verdict"] == "fail"]
    checks.check(measure in missed, f"{name} without: missed {missed}, not {measure}")


def check_arithmetic(checks, place):
    """100 reads a second of a key that is made in 0.2 s; two client hosts."""
    for name, low, high in (("stampede-none", 12, 30), ("stampede-single-flight", 2, 2.5),
                            ("stampede-lock", 1, 1.5)):
        path = os.path.join(SOURCE, f"scenarios/cache/{name}.yaml")
        result, judged, out = simulate(place, path, "7", f"{name}-arithmetic")
        each = value(judged, "origin_amplification")
        checks.check(low <= each <= high, f"{name}: {each} calls for each key")
        checks.check("    calls for each key       " in result.stderr, f"{name}: the summary tells",
                     result.stderr)
        with open(os.path.join(out, "report.html"), encoding="utf-8") as file:
            checks.check("calls for each key" in file.read(), f"{name}: the page tells")


def check_same(checks, place):
    path = os.path.join(SOURCE, "scenarios/cache/stampede-xfetch.yaml")
    outs = [simulate(place, path, "5", f"same-{i}")[2] for i in (1, 2)]
    same = filecmp.cmp(*(os.path.join(out, "operations.bin") for out in outs), shallow=False)
    checks.check(same, "the same seed gives the same operations")


def check_polite_end(checks, place):
    """The service that was started last answered for all: PostgreSQL died of a SIGTERM at once, with
    clients connected, for which a smart shutdown waits."""
    path = os.path.join(SOURCE, "tests/sim/two-services.yaml")
    result, judged, _ = simulate(place, path, "1", "two-services")
    seen = [fault["confirmed_s"] is not None for fault in judged["faults"]]
    checks.check(result.returncode == UNKNOWN, f"two services: exit {result.returncode}")
    checks.check(seen == [True, False], f"two services: faults seen in effect: {seen}")


def main():
    if not os.access(GAMEDAY, os.X_OK):
        skip("the program is not built (GAMEDAY)")
    checks = Checks()
    paths = sorted(glob.glob(os.path.join(SOURCE, "scenarios/cache/*.yaml")))
    checks.check(len(paths) >= 8, "there are scenarios of caches")
    with Place() as place:
        for path in paths:
            check_met(checks, place, path)
            measure = REMEDIES.get(os.path.basename(path)[:-5])
            if measure:
                check_guilty(checks, place, path, measure)
        check_arithmetic(checks, place)
        check_same(checks, place)
        check_polite_end(checks, place)
    checks.finish()


if __name__ == "__main__":
    main()
