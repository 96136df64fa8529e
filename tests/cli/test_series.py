"""Repeats: one that is gone or was never run, one that is of another series, refused records."""

import json
import os
import re
import shutil
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from gameday import SOURCE, Checks, Place, end, run, start, wait_for_file  # noqa: E402

SWITCHOVER = os.path.join(SOURCE, "scenarios/postgres/switchover.yaml")
CRASH = os.path.join(SOURCE, "scenarios/postgres/primary-crash.yaml")
MET, USAGE, UNKNOWN, INTERRUPTED = 0, 2, 4, 130
VERDICTS = ("result.json", "junit.xml", "report.html", "summary.md", "summary.txt")
PICTURES = shutil.which("gnuplot") is not None


def make(out, *words):
    return run(["run", SWITCHOVER, "--provider", "sim", "--seed", "1", "--out", out, *words],
               timeout=300)


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def check_told(checks, out, text, what):
    """The same words and the same verdict, wherever a verdict is."""
    result = json.loads(read(out, "result.json"))
    checks.check(result["verdict"] == "unknown" and text in result["why"], what, result["why"])
    junit = read(out, "junit.xml")
    checks.check("<error" in junit and text in junit, what + ": junit.xml", junit)


def left(out):
    return [name for name in VERDICTS if os.path.exists(os.path.join(out, name))]


def pictures(out):
    return [name for name in os.listdir(out) if name.endswith(".png")]


def check_missing(checks, out):
    checks.check(make(out, "--repeat", "3").returncode == MET, "three repeats pass")
    checks.check(json.loads(read(out, "series.json"))["repeats"] == 3, "series.json has the number")
    check_one_is_asked_for(checks, out)
    kept = out + "-kept"
    for name, text in (("repeat-2", "2 of 3 repeats: repeat-2 missing"),
                       ("repeat-3", "2 of 3 repeats: repeat-3 missing")):
        shutil.move(os.path.join(out, name), kept)
        done = run(["report", out])
        checks.check(done.returncode == UNKNOWN and text in done.stdout, text, done.stdout)
        check_told(checks, out, text, text)
        numbers = [one["repeat"] for one in json.loads(read(out, "result.json"))["repeats"]]
        checks.check(f"repeat-{6 - sum(numbers)}" == name,
                     f"without {name} the others keep their numbers: {numbers}")
        shutil.move(kept, os.path.join(out, name))
    checks.check(run(["report", out]).returncode == MET, "all are there again")
    os.unlink(os.path.join(out, "series.json"))
    shutil.move(os.path.join(out, "repeat-1"), kept)
    done = run(["report", out])
    checks.check(done.returncode == UNKNOWN and "repeat-1 missing" in done.stdout,
                 "a gap in an old series", done.stdout)
    shutil.move(kept, os.path.join(out, "repeat-1"))


def check_one_is_asked_for(checks, out):
    """Commands for a single run said of a series that it is no run directory."""
    for command in ("export", "heal"):
        done = run([command, out])
        checks.check(done.returncode == USAGE and f"such as {out}/repeat-1" in done.stderr,
                     f"{command} of a series: exit {done.returncode}", done.stderr)


def check_strangers(checks, out, place):
    """`out` has no series.json any more."""
    other = os.path.join(place, "other")
    run(["run", CRASH, "--provider", "sim", "--seed", "3", "--out", other])
    shutil.rmtree(os.path.join(out, "repeat-3"))
    shutil.move(other, os.path.join(out, "repeat-3"))
    done = run(["report", out])
    checks.check(done.returncode == UNKNOWN and "different scenarios" in done.stderr,
                 "repeats of two scenarios", done.stderr)
    checks.check(left(out) == [], f"old verdicts stay: {left(out)}")


def check_refused(checks, place):
    for name in ("events.jsonl", "run.json", "scenario.yaml"):
        out = os.path.join(place, "refused-" + name)
        checks.check(make(out).returncode == MET, "a run passes")
        checks.check(len(pictures(out)) > 2 or not PICTURES, "there are pictures")
        os.unlink(os.path.join(out, name))
        done = run(["report", out])
        checks.check(done.returncode not in (MET, 1), name + " is gone", done.stderr)
        checks.check(left(out) == [], f"without {name} old verdicts stay: {left(out)}")
        stay = pictures(out)
        checks.check(stay == [], f"without {name} pictures of the old verdict stay: {stay}")
        checks.check(done.stderr.count("is not there") == 1, "said once", done.stderr)
    out = os.path.join(place, "refused-fifo")
    make(out)
    os.unlink(os.path.join(out, "scenario.yaml"))
    os.mkfifo(os.path.join(out, "scenario.yaml"))
    done = run(["report", out])
    checks.check(done.returncode == USAGE and "is not a regular file" in done.stderr,
                 f"scenario.yaml is a FIFO: exit {done.returncode}", done.stderr)
    mine = os.path.join(place, "mine")
    os.mkdir(mine)
    with open(os.path.join(mine, "summary.md"), "w", encoding="utf-8") as file:
        file.write("not of gameday\n")
    run(["report", mine])
    checks.check(left(mine) == ["summary.md"], "a file of somebody else's is left alone")


def check_interrupted(checks, out):
    child = start(["run", SWITCHOVER, "--provider", "sim", "--repeat", "900", "--out", out])
    wait_for_file(child, out, "repeat-3")
    code, told = end(child, signal.SIGINT)
    checks.check(code == INTERRUPTED, f"exit {code}", told)
    checks.check(" of 900 repeats" in told and "PASS     switchover" not in told, "text", told)
    check_told(checks, out, " of 900 repeats", "an interrupted series")


def check_signals_wait(checks, out):
    """Between two runs a signal ended the process, and nothing of the series was judged."""
    child = start(["run", SWITCHOVER, "--provider", "sim", "--repeat", "40", "--out", out])
    wait_for_file(child, out, "repeat-1")
    blocked = []
    while child.poll() is None and not os.path.exists(os.path.join(out, "repeat-40")):
        mask = re.search(r"^SigBlk:\t(\w+)", read("/proc", str(child.pid), "status"), re.MULTILINE)
        blocked.append(int(mask.group(1), 16) >> (signal.SIGINT - 1) & 1)
    code, told = end(child)
    checks.check(code == MET, f"a series in peace: exit {code}", told)
    checks.check(blocked and all(blocked),
                 f"SIGINT would end it at {blocked.count(0)} of {len(blocked)} looks")


def check_no_room(checks, out):
    """The next repeat could not have its directory: those before it were not even judged."""
    child = start(["run", SWITCHOVER, "--provider", "sim", "--repeat", "20", "--out", out])
    wait_for_file(child, out, "series.json")
    os.makedirs(os.path.join(out, "repeat-20", "taken"))
    code, told = end(child)
    checks.check(code == USAGE and "not empty" in told, f"exit {code}", told)
    check_told(checks, out, "19 of 20 repeats: repeat-20 missing", "a series without its last")


def main():
    checks = Checks()
    with Place() as place:
        out = os.path.join(place, "series")
        check_missing(checks, out)
        check_strangers(checks, out, place)
        check_refused(checks, place)
        check_interrupted(checks, os.path.join(place, "interrupted"))
        check_signals_wait(checks, os.path.join(place, "in-peace"))
        check_no_room(checks, os.path.join(place, "no-room"))
    checks.finish()


main()
