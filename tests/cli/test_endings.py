"""How a run ends that does not come to its end: servers that refuse, a terminal that is closed, a
limit on the size of files."""

import fcntl
import glob
import json
import os
import resource
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from gameday import (  # noqa: E402
    GAMEDAY, SOURCE, end, plain_environment, run, run_checks, start, wait_for_file)

SWITCHOVER = os.path.join(SOURCE, "scenarios/postgres/switchover.yaml")
MET, USAGE, ENVIRONMENT, UNTRUSTED, HANGUP = 0, 2, 3, 4, 129
SIMULATED = ["run", SWITCHOVER, "--provider", "sim", "--seed", "1"]


def check_refused_step(checks, place):
    """A step that the servers refuse had the exit code of a machine on which something is missing."""
    refused = []
    for host in ("pg1", "pg2", "pg3"):
        out = os.path.join(place, host)
        done = run([*SIMULATED, "--out", out, "--set", f"timeline[0].switchover.target=host/{host}"])
        words = f"switchover: {host} is the primary already"
        if words not in done.stderr:
            checks.check(done.returncode == MET, f"to {host}: exit {done.returncode}", done.stderr)
            continue
        refused.append(host)
        checks.check(done.returncode == UNTRUSTED, f"refused: exit {done.returncode}", done.stderr)
        with open(os.path.join(out, "result.json"), encoding="utf-8") as file:
            result = json.load(file)
        checks.check(result["verdict"] == "unknown" and words in result["why"],
                     "refused: the servers' words are in the result", result["why"])
    checks.check(len(refused) == 1, f"one of three is the primary, not {refused}")


def hang_up(out, repeats, disposition):
    """A series that gets SIGHUP in its second run."""
    child = start([*SIMULATED, "--repeat", str(repeats), "--out", out],
                  preexec_fn=lambda: signal.signal(signal.SIGHUP, disposition))
    wait_for_file(child, out, "repeat-2")
    return end(child, signal.SIGHUP)


def check_taken_directory(checks, place):
    """Two runs that found the same directory empty wrote over each other."""
    out = os.path.join(place, "taken")
    os.mkdir(out)
    lock = os.open(out, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    done = run([*SIMULATED, "--out", out])
    checks.check(done.returncode == USAGE and "is being used by another run" in done.stderr,
                 f"taken: exit {done.returncode}", done.stderr)
    checks.check(os.listdir(out) == [], f"taken: {os.listdir(out)}")
    os.close(lock)
    done = run([*SIMULATED, "--out", out])
    checks.check(done.returncode == MET, f"free again: exit {done.returncode}", done.stderr)


def check_hangup(checks, place):
    out = os.path.join(place, "closed")
    code, told = hang_up(out, 900, signal.SIG_DFL)
    checks.check(code == HANGUP, f"a closed terminal: exit {code}", told)
    checks.check(" of 900 repeats" in told, "a closed terminal: what there is is judged", told)
    out = os.path.join(place, "nohup")
    code, told = hang_up(out, 5, signal.SIG_IGN)
    checks.check(code == MET, f"nohup: exit {code}", told)
    code = predict_hung_up()
    checks.check(code == HANGUP, f"predict in a closed terminal: exit {code}")


def predict_hung_up():
    child = start(["predict", SWITCHOVER, "--seeds", "100000"],
                  preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))
    while "runs simulated" not in child.stderr.readline() and child.poll() is None:
        continue
    return end(child, signal.SIGHUP)[0]


def check_file_size_limit(checks, place):
    """`ulimit -f` killed the run with SIGXFSZ, without a word."""
    for kilobytes in (1, 100):
        limit = (kilobytes << 10, kilobytes << 10)
        done = run([*SIMULATED, "--out", os.path.join(place, f"limit-{kilobytes}")],
                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
        checks.check(done.returncode == ENVIRONMENT and "File too large" in done.stderr,
                     f"{kilobytes} KiB a file: exit {done.returncode}", done.stderr)


def descendants(pid):
    """All processes below it that are still there."""
    found = []
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        try:
            with open(path, encoding="ascii") as file:
                children = file.read().split()
        except OSError:
            continue
        for child in children:
            found += [child, *descendants(child)]
    return found


def files_of(out):
    """Every name in it, with the bytes of those that are files."""
    found = dict.fromkeys(os.listdir(out))
    for name in os.listdir(out):
        path = os.path.join(out, name)
        if os.path.isfile(path):
            with open(path, "rb") as file:
                found[name] = file.read()
    return found


def interrupted_while_drawing(place, words, number):
    """Runs gameday with a gnuplot that does not end, until that is there; then sends the signal.
    Returns exit code, what was said, and which of its children outlived it."""
    slow = os.path.join(place, "slow")
    os.makedirs(slow, exist_ok=True)
    with open(os.path.join(slow, "gnuplot"), "w", encoding="ascii") as file:
        file.write("#!/bin/sh\ncase \"$*\" in *pngcairo*) exit 0;; esac\n"
                   f"echo $$ > {place}/drawing\nexec sleep 600\n")
    os.chmod(os.path.join(slow, "gnuplot"), 0o755)
    drawing = os.path.join(place, "drawing")
    if os.path.exists(drawing):
        os.unlink(drawing)
    child = subprocess.Popen(
        [GAMEDAY, *words], env=plain_environment(PATH=slow + ":" + os.environ["PATH"]),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while child.poll() is None and not (os.path.exists(drawing) and os.path.getsize(drawing)):
        time.sleep(0.01)
    below = descendants(child.pid)
    child.send_signal(number)
    told = child.communicate(timeout=120)[0]
    return child.returncode, told, [pid for pid in below if os.path.exists(f"/proc/{pid}")]


def check_interrupted_reports(checks, place):
    """A signal while pictures were drawn ended it without a word, and left a hidden directory, and
    old pages beside pictures that were gone."""
    out = os.path.join(place, "drawn")
    code, told, left = interrupted_while_drawing(
        place, [*SIMULATED, "--out", out], signal.SIGINT)
    names = sorted(os.listdir(out))
    checks.check(code == 130 and "interrupted: the reports are as they were" in told,
                 f"run: exit {code}", told)
    checks.check(not left, f"run: processes outlive it: {left}")
    checks.check("report.html" not in names and "result.json" not in names
                 and not [name for name in names if name.startswith(".") or name.endswith(".tmp")],
                 f"run: reports are left: {names}")
    done = run(["report", out])
    checks.check(done.returncode == MET, f"report after it: exit {done.returncode}", done.stderr)
    before = files_of(out)
    for number, expected in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        code, told, left = interrupted_while_drawing(place, ["report", out], number)
        checks.check(code == expected and "interrupted: the reports are as they were" in told,
                     f"report: exit {code}", told)
        checks.check(not left, f"report: processes outlive it: {left}")
        checks.check(files_of(out) == before, f"report: not as it was: {sorted(os.listdir(out))}")


run_checks(check_refused_step, check_taken_directory, check_hangup, check_file_size_limit,
           check_interrupted_reports)
