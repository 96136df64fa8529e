#!/usr/bin/env python3
"""Simulated against real distributions of what a scenario measures: how far to trust `predict`.

Runs each scenario on `local`, REPEATS times, and on `sim`, SEEDS times, with the same settings, and
prints a table for docs/simulator.md. A real run takes minutes: its result is kept below the directory
OUT, as a line of real.jsonl, and the next call runs only what is missing there (`--repeats 0`:
nothing, just the table).
"""
import argparse
import concurrent.futures
import glob
import hashlib
import json
import math
import os
import re
import shutil
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MEASURES = ["failover_time", "client_recovery_time", "time_to_full_redundancy", "dual_primary",
            "loss_window"]
LOSS = "data_loss"
TOLERANCE = 0.20  # beyond it the model is mended, or the difference explained


def say(text):
    print("fidelity: " + text, file=sys.stderr, flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(prog="./dev bench fidelity", description=__doc__.split("\n")[0])
    parser.add_argument("gameday", help=argparse.SUPPRESS)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO",
                        help="scenario files; default: all that are shipped for local hosts")
    parser.add_argument("--repeats", type=int, default=20, help="real runs of each (default 20)")
    parser.add_argument("--seeds", type=int, default=200, help="simulated runs of each (default 200)")
    parser.add_argument("--seed", type=int, default=1, help="the first seed of both (default 1)")
    parser.add_argument("--jobs", type=int, default=1,
                        help="real runs at once (default 1); they share the machine")
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE",
                        help="override a value on both sides")
    parser.add_argument("--keep", action="store_true", help="keep the records of the real runs")
    parser.add_argument("--out", default=os.path.join(ROOT, "build", "fidelity"), metavar="DIR",
                        help="where results are kept (default build/fidelity)")
    arguments = parser.parse_intermixed_args()
    if not arguments.scenarios:
        found = sorted(glob.glob(os.path.join(ROOT, "scenarios", "**", "*.yaml"), recursive=True))
        arguments.scenarios = [path for path in found
                               if re.search(r"^  provider: local$", open(path).read(), re.M)]
    return arguments


class Scenario:
    """One scenario with its settings, and what is known of it on both sides."""

    def __init__(self, path, arguments):
        self.path, self.arguments = path, arguments
        with open(path, encoding="utf-8") as file:
            text = file.read()
        self.name = re.search(r"^name: *(\S+)", text, re.M).group(1)
        # Results of other settings, or of another timeline, are not mixed up with these.
        key = hashlib.sha256("\0".join([text, *sorted(arguments.set)]).encode()).hexdigest()[:8]
        self.directory = os.path.join(arguments.out, "%s-%s" % (self.name, key))
        os.makedirs(self.directory, exist_ok=True)
        self.sets = [word for value in arguments.set for word in ("--set", value)]

    def kept(self):
        """What real.jsonl has, by seed."""
        path = os.path.join(self.directory, "real.jsonl")
        if not os.path.exists(path):
            return {}
        kept = {}
        with open(path, encoding="utf-8") as file:
            for text in file:
                try:
                    line = json.loads(text)
                except ValueError:
                    continue  # torn when the machine went down: run again
                kept[line["seed"]] = line
        return kept

    def keep(self, line):
        """One write, so that a line is whole or not there."""
        with open(os.path.join(self.directory, "real.jsonl"), "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def missing(self):
        first, kept = self.arguments.seed, self.kept()
        return [seed for seed in range(first, first + self.arguments.repeats) if seed not in kept]

    def run_real(self, seed):
        """One run on local hosts."""
        record = os.path.join(self.directory, "run-%d" % seed)
        shutil.rmtree(record, ignore_errors=True)
        done = subprocess.run(
            [self.arguments.gameday, "run", self.path, "--provider", "local", "--seed", str(seed),
             "--out", record, *self.sets], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, check=False)
        result = os.path.join(record, "result.json")
        if done.returncode not in (0, 1, 4) or not os.path.exists(result):
            raise RuntimeError("%s, seed %d: gameday exited with %d\n%s" % (
                self.name, seed, done.returncode, done.stderr[-2000:]))
        with open(result, encoding="utf-8") as file:
            result = json.load(file)
        if not result["trusted"]:  # the machine was too busy to measure: no reason to stop
            say("%s, seed %d: the run cannot be trusted, and is not counted; its record is %s" % (
                self.name, seed, record))
            return
        versions = [service.get("settings", {}).get("versions", {}).get("patroni")
                    for service in result["settings"].values()]
        self.keep({"seed": seed, "load": os.getloadavg()[0],
                   "patroni": next(filter(None, versions), None), "measures": [
            {key: measure.get(key) for key in ("name", "fault", "applies", "value")}
            for measure in result["measures"] if measure["name"] in [*MEASURES, LOSS]]})
        if not self.arguments.keep:
            shutil.rmtree(record)

    def real(self):
        """{measure: the worst value of each run, None where it is not known}, and the load averages."""
        values = {name: [] for name in [*MEASURES, LOSS]}
        lines = self.kept().values()
        for line in lines:
            for name, column in values.items():
                found = [m["value"] for m in line["measures"] if m["name"] == name and m["applies"]]
                if found:
                    column.append(None if None in found else max(found))
        return values, sorted(line["load"] for line in lines)

    def version_sets(self):
        """The simulator is told which Patroni the real runs had; before 3.2 one behaves otherwise."""
        found = {line["patroni"] for line in self.kept().values() if line["patroni"]}
        old = any(tuple(map(int, version.split(".")[:2])) < (3, 2) for version in found)
        return ["--set", "cluster.sim.patroni_version=3.0"] if old else []

    def simulated(self):
        done = subprocess.run(
            [self.arguments.gameday, "predict", self.path, "--seeds", str(self.arguments.seeds),
             "--seed", str(self.arguments.seed), "--json", *self.version_sets(), *self.sets],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
        if done.returncode not in (0, 1, 4):
            sys.exit("fidelity: %s: gameday predict exited with %d" % (self.name, done.returncode))
        point = json.loads(done.stdout)["points"][0]["values"]
        return {name: [None] * point[name]["unknown"] +
                      [value for value in point[name]["by_seed"] if value is not None]
                for name in [*MEASURES, LOSS]}


def run_all_missing(scenarios, jobs):
    """One repeat of each scenario after the other, so that a break leaves all equally far."""
    plan = [(index, scenario, seed) for scenario in scenarios
            for index, seed in enumerate(scenario.missing())]
    plan.sort(key=lambda step: step[0])
    began, lock, started = time.monotonic(), threading.Lock(), [0]

    def step(scenario, seed):
        with lock:
            done = max(0, started[0] - jobs)  # about
            started[0] += 1
            minutes = (time.monotonic() - began) / max(done, 1) * (len(plan) - done) / 60
            left = ", about %.0f min left" % minutes if done > 0 else ""
            say("real run %d of %d: %s, seed %d%s" % (
                started[0], len(plan), scenario.name, seed, left))
        scenario.run_real(seed)

    with concurrent.futures.ThreadPoolExecutor(max_workers=jobs) as pool:
        futures = [pool.submit(step, scenario, seed) for _, scenario, seed in plan]
        try:
            for future in concurrent.futures.as_completed(futures):
                future.result()
        except BaseException:  # those that run have had the signal too, and clean up; they are awaited
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def quantile(values, share):
    """By nearest rank, as `predict` does it."""
    return values[max(0, math.ceil(share * len(values) - 1e-9) - 1)]


def median(values):
    middle = len(values) // 2
    return values[middle] if len(values) % 2 else (values[middle - 1] + values[middle]) / 2


def median_interval(values):
    """95 %, by order statistics; None of fewer than six values."""
    count, below, rank = len(values), 0.0, 0
    while rank < count:
        below += math.comb(count, rank) / 2 ** count
        if below > 0.025:
            break
        rank += 1
    return (values[rank - 1], values[count - rank]) if rank > 0 else None


def seconds(value):
    return "%.2f s" % value if abs(value) < 10 else "%.1f s" % value


def difference(real, simulated):
    """Relative, in bold beyond the tolerance; times below 0.1 s differ by noise alone."""
    if abs(simulated - real) < 0.1 and max(abs(real), abs(simulated)) < 1:
        return "%+.2f s" % (simulated - real)
    relative = (simulated - real) / real if real else math.inf
    text = "%+.0f %%" % (relative * 100)
    return "**%s**" % text if abs(relative) > TOLERANCE else text


def row_of(scenario, name, real, simulated):
    known = [sorted(v for v in side if v is not None) for side in (real, simulated)]
    unknown = [len(side) - len(values) for side, values in zip((real, simulated), known)]
    if not known[0] or not known[1] or not (any(known[0]) or any(known[1])):
        return None
    middle, far = [median(v) for v in known], [quantile(v, 0.95) for v in known]
    interval = median_interval(known[0])
    cells = [
        scenario.name, "`%s`" % name,
        "%d%s / %d%s" % (len(known[0]), " (+%d unknown)" % unknown[0] if unknown[0] else "",
                         len(known[1]), " (+%d unknown)" % unknown[1] if unknown[1] else ""),
        seconds(middle[0]), "%s to %s" % tuple(map(seconds, interval)) if interval else "-",
        seconds(middle[1]), difference(*middle), seconds(far[0]), seconds(far[1]), difference(*far)]
    return "| " + " | ".join(cells) + " |"


def loss_row(scenario, real, simulated, load):
    cells = [scenario.name]
    for side in (real, simulated):
        known = [value for value in side if value is not None]
        lost = sum(value > 0 for value in known)
        share = " (%.0f %%)" % (100 * lost / len(known)) if known else ""
        cells.append("%d of %d%s" % (lost, len(known), share))
    cells.append("%.1f, %.1f to %.1f" % (median(load), load[0], load[-1]))
    return "| " + " | ".join(cells) + " |"


def table(scenarios):
    times = [
        "| scenario | measure | runs, real / simulated | median, real | its 95 % interval | "
        "median, simulated | difference | p95, real | p95, simulated | difference |",
        "| --- | --- | --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |"]
    losses = ["| scenario | real runs that lost writes | simulated runs that lost writes | "
              "load average of the machine, median and range |",
              "| --- | --- | --- | --- |"]
    for scenario in scenarios:
        real, load = scenario.real()
        if not load:
            say("%s: no real run yet" % scenario.name)
            continue
        say("%s: simulating %d runs" % (scenario.name, scenario.arguments.seeds))
        simulated = scenario.simulated()
        rows = [row_of(scenario, name, real[name], simulated[name]) for name in MEASURES]
        times += [row for row in rows if row]
        losses.append(loss_row(scenario, real[LOSS], simulated[LOSS], load))
    settings = scenarios[0].arguments.set
    head = ["With `--set %s` on both sides." % "`, `--set ".join(settings), ""] if settings else []
    return "\n".join([*head, *times, "", *losses]) + "\n"


def main():
    arguments = parse_arguments()
    scenarios = [Scenario(path, arguments) for path in arguments.scenarios]
    say("results are kept in " + arguments.out)
    try:
        run_all_missing(scenarios, arguments.jobs)
    except KeyboardInterrupt:  # gameday had it too, and has cleaned up
        say("interrupted; the same command goes on from here")
        sys.exit(130)
    except RuntimeError as error:
        sys.exit("fidelity: %s" % error)
    text = table(scenarios)
    with open(os.path.join(arguments.out, "fidelity.md"), "w", encoding="utf-8") as file:
        file.write(text)
    print(text, end="")


if __name__ == "__main__":
    main()
