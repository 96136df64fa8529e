"""gameday predict: the same words from the same seeds, sweeps, files, and what it leaves behind."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from gameday import (  # noqa: E402
    GAMEDAY, SOURCE, Checks, Place, end, plain_environment, run, wait_for_file)

SWITCHOVER = os.path.join(SOURCE, "scenarios/postgres/switchover.yaml")
CRASH = os.path.join(SOURCE, "scenarios/postgres/primary-crash.yaml")
TTL = "cluster.services.postgres.ttl"
MET, MISSED = 0, 1


def predict(place, *words, timeout=120):
    return run(["predict", *words], cwd=place, timeout=timeout)


def check_same_words(checks, place):
    """However many processes simulate, in whatever order they come to their ends."""
    words = [SWITCHOVER, "--seeds", "7", "--seed", "5"]
    one, three = (predict(place, *words, "--jobs", jobs) for jobs in ("1", "3"))
    checks.check(one.returncode == MET, "switchover is predicted to pass", one.stdout + one.stderr)
    checks.check(one.stdout == three.stdout, "text depends on --jobs", three.stdout)
    checks.check("seeds 5 to 11; simulated: Patroni 3.2" in one.stdout, "the head", one.stdout)
    one, three = (predict(place, *words, "--json", "--jobs", jobs) for jobs in ("1", "3"))
    checks.check(one.stdout == three.stdout, "JSON depends on --jobs", three.stdout)
    checks.check(os.listdir(place) == [], "a prediction without --out writes files")
    return json.loads(one.stdout)


def check_counts(checks, document, seeds):
    """Every run is in every count."""
    checks.check(document["seeds"] == seeds, "seeds")
    for point in document["points"]:
        if point["refused"]:
            continue
        runs = point["runs"]
        checks.check(
            runs["met"] + runs["missed"] + runs["unknown"] == seeds, f"runs are {runs}")
        for name, value in point["values"].items():
            total = value["known"] + value["unknown"] + value["not_applicable"]
            known = [number for number in value["by_seed"] if number is not None]
            checks.check(total == seeds and len(known) == value["known"], f"{name}: {value}")
            if known:
                checks.check(
                    (min(known), max(known)) == (value["min"], value["max"]), f"{name}: {value}")
        for objective in point["objectives"]:
            total = sum(objective[key] for key in ("met", "missed", "unknown", "not_applicable"))
            checks.check(total == seeds, f"objective {objective}")


def check_run_agrees(checks, place, document):
    """A run on the simulator measures what the prediction says of its seed, and both say what is
    simulated."""
    out = os.path.join(place, "run")
    done = run(["run", SWITCHOVER, "--provider", "sim", "--seed", "6", "--out", out])
    checks.check(done.returncode == MET, "the run passes", done.stderr)
    with open(os.path.join(out, "result.json"), encoding="utf-8") as file:
        result = json.load(file)
    with open(os.path.join(out, "run.json"), encoding="utf-8") as file:
        checks.check(json.load(file)["versions"] == {"patroni": "3.2 (simulated)"}, "run.json")
    checks.check("patroni 3.2 (simulated)" in done.stderr, "the run's summary", done.stderr)
    checks.check(document["versions"] == {"patroni": "3.2"}, "predict.json")
    measured = [measure["value"] for measure in result["measures"]
                if measure["name"] == "failover_time"]
    told = document["points"][0]["values"]["failover_time"]["by_seed"][1]
    checks.check(
        measured and abs(max(measured) - told) < 1e-9, f"run {measured}, prediction {told}")


def check_sweep(checks, place):
    out = os.path.join(place, "sweep")
    done = predict(place, CRASH, "--seeds", "4", "--sweep", TTL + "=25s..35s/5s", "--out", out)
    checks.check(done.returncode in (MET, MISSED), f"sweep: exit {done.returncode}", done.stderr)
    rows = re.findall(r"^  (\d+s) +(\S+)", done.stdout, re.MULTILINE)
    checks.check([row[0] for row in rows] == ["25s", "30s", "35s"], "rows", done.stdout)
    checks.check(rows and rows[0][1] == "refused:", "25s is refused by the cluster's own rule")
    checks.check("loop_wait" in done.stdout, "the reason for the refusal is shown", done.stdout)
    with open(os.path.join(out, "predict.json"), encoding="utf-8") as file:
        document = json.load(file)
    check_counts(checks, document, 4)
    medians = [point["values"]["failover_time"]["median"] for point in document["points"][1:]]
    checks.check(
        4 < medians[1] - medians[0] < 6, f"five seconds of ttl are five of failover: {medians}")
    with open(os.path.join(out, "predict.csv"), encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    told = {line["value"]: line["median"] for line in lines if line["measure"] == "failover_time"}
    checks.check(
        [float(told["30s"]), float(told["35s"])] == medians, f"predict.csv has {told}")
    checks.check(
        [line["value"] for line in lines if line["refused"]] == ["25s"], "refused in predict.csv")
    return document


def check_documented(checks, document):
    """Every key of predict.json is in docs/predict.md."""
    with open(os.path.join(SOURCE, "docs/predict.md"), encoding="utf-8") as file:
        page = file.read()

    def keys_of(node):
        if isinstance(node, list):
            for item in node:
                yield from keys_of(item)
        elif isinstance(node, dict):
            for key, value in node.items():
                yield key
                # Below `values` the keys are names of measures.
                yield from keys_of(list(value.values()) if key == "values" else value)

    for key in sorted(set(keys_of(document))):
        checks.check(f"`{key}`" in page, f"docs/predict.md tells of `{key}`")


def check_choices(checks, place):
    done = predict(place, SWITCHOVER, "--seeds", "2", "--sweep",
                   "cluster.services.postgres.synchronous_mode=false,true", "--out", "choices")
    checks.check(done.returncode == MET, "a sweep over choices", done.stdout + done.stderr)
    checks.check(
        re.search(r"^  false .*\n  true ", done.stdout, re.MULTILINE), "two rows", done.stdout)


def check_installed(checks, place):
    """What is simulated is said, and when this machine has another version that matters, how to
    simulate that one; the prediction itself does not depend on the machine."""
    programs = os.path.join(place, "programs")
    os.mkdir(programs)
    told = {}
    for version in ("3.0.9", "4.1.0", ""):
        with open(os.path.join(programs, "patroni"), "w", encoding="ascii") as file:
            file.write(f"#!/bin/sh\necho patroni {version}\n")
        os.chmod(os.path.join(programs, "patroni"), 0o755)
        env = plain_environment(PATH=programs + ":" + os.environ["PATH"])
        for choice in ("3.0", "3.2"):
            told[version, choice] = run(
                ["predict", CRASH, "--seeds", "1", "--json", "--set",
                 f'cluster.sim.patroni_version="{choice}"'], cwd=place, env=env, timeout=120)
    warned = {key for key, done in told.items() if "this machine has" in done.stderr}
    checks.check(warned == {("3.0.9", "3.2"), ("4.1.0", "3.0")}, f"warned of {warned}")
    said = told["3.0.9", "3.2"].stderr
    checks.check(
        "Patroni 3.2 is simulated, and this machine has 3.0.9: "
        "--set 'cluster.sim.patroni_version=\"3.0\"' simulates that one" in said, "warning", said)
    for choice in ("3.0", "3.2"):
        outputs = {told[version, choice].stdout for version in ("3.0.9", "4.1.0", "")}
        checks.check(len(outputs) == 1, "the prediction depends on the machine")
        checks.check(json.loads(outputs.pop())["versions"] == {"patroni": choice}, "versions")
    # A sweep of it is of all of them.
    done = predict(place, CRASH, "--seeds", "1", "--sweep", "cluster.sim.patroni_version=3.0,3.2")
    checks.check("simulated:" not in done.stdout and "this machine" not in done.stderr,
                 "a sweep of the version", done.stdout + done.stderr)


def check_interrupted(checks, place):
    """Ctrl-C ends it at once, without words that could be taken for a prediction."""
    process = subprocess.Popen(
        [GAMEDAY, "predict", CRASH, "--seeds", "20000"], cwd=place, stderr=subprocess.PIPE,
        stdout=subprocess.PIPE, env=plain_environment(), text=True)
    children = f"/proc/{process.pid}/task/{process.pid}/children"
    for _ in range(1000):
        with open(children, encoding="ascii") as file:
            if len(file.read().split()) > 1:
                break
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    checks.check(process.returncode == 130, f"interrupted: exit {process.returncode}", err)
    checks.check(out == "" and "interrupted" in err, "interrupted: what is said", out + err)


# Draws what looks like pictures, or, where it is asked to, nothing for a minute.
GNUPLOT = """#!/bin/sh
case "$*" in *.gp) ;; *) exit 0;; esac
if [ -n "$SLOW" ]; then : > "$SLOW"; exec sleep 60; fi
echo drawn > sweep.svg; echo drawn > sweep.png
"""


def read_all(directory):
    found = {}
    for name in os.listdir(directory):
        path = os.path.join(directory, name)
        found[name] = None
        if os.path.isfile(path):
            with open(path, "rb") as file:
                found[name] = file.read()
    return found


def check_files_agree(checks, place):
    """The files are of one prediction: those of an earlier one stay until the new ones are
    complete, and nothing of it stays then."""
    programs, out = os.path.join(place, "drawing"), os.path.join(place, "agree")
    os.mkdir(programs)
    with open(os.path.join(programs, "gnuplot"), "w", encoding="ascii") as file:
        file.write(GNUPLOT)
    os.chmod(os.path.join(programs, "gnuplot"), 0o755)
    path = programs + ":" + os.environ["PATH"]

    def sweep(values, **more):
        return subprocess.Popen(
            [GAMEDAY, "predict", CRASH, "--seeds", "1", "--sweep", f"{TTL}={values}", "--out", out],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env=plain_environment(**more))

    code, told = end(sweep("30s,35s", PATH=path))
    first = read_all(out)
    checks.check(code in (MET, MISSED) and sorted(first) == [
        "predict.csv", "predict.json", "sweep.png", "sweep.svg"], f"files: {sorted(first)}", told)
    marker = os.path.join(place, "drawing-now")
    child = sweep("40s,45s", PATH=path, SLOW=marker)
    wait_for_file(child, marker)
    code, told = end(child, signal.SIGINT)
    checks.check(code == 130 and "the files are as they were" in told,
                 f"interrupted while drawing: exit {code}", told)
    checks.check(read_all(out) == first, f"interrupted while drawing: {sorted(os.listdir(out))}")
    os.unlink(os.path.join(programs, "gnuplot"))
    code, told = end(sweep("40s,45s", PATH=programs))
    checks.check(code in (MET, MISSED) and "gnuplot is missing" in told, f"exit {code}", told)
    checks.check(sorted(os.listdir(out)) == ["predict.csv", "predict.json"],
                 f"without gnuplot: {sorted(os.listdir(out))}")


def main():
    checks = Checks()
    with Place() as place:
        document = check_same_words(checks, place)
        check_counts(checks, document, 7)
        check_run_agrees(checks, place, document)
        swept = check_sweep(checks, place)
        check_documented(checks, swept)
        check_documented(checks, document)
        check_choices(checks, place)
        check_installed(checks, place)
        check_interrupted(checks, place)
        check_files_agree(checks, place)
    checks.finish()


if __name__ == "__main__":
    main()
