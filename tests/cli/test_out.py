"""--out: what cannot be written to is refused before the work, and what is full is said so."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from gameday import GAMEDAY, SOURCE, plain_environment, run, run_checks  # noqa: E402

SWITCHOVER = os.path.join(SOURCE, "scenarios/postgres/switchover.yaml")
CRASH = os.path.join(SOURCE, "scenarios/postgres/primary-crash.yaml")
MET, USAGE, ENVIRONMENT = 0, 2, 3
# Within a namespace of its own: a file system that is too small for a whole record.
FULL = """mount -t tmpfs -o size={size}k none "$1" || exit 77
"$2" run "$3" --provider sim --seed 1 --out "$1/out"; code=$?
exit $code"""


def check_unwritable(checks, place):
    file = os.path.join(place, "file")
    with open(file, "w", encoding="utf-8"):
        pass
    for words in (["predict", SWITCHOVER, "--seeds", "50000"],
                  ["explore", SWITCHOVER, "--seeds", "50000"]):
        begin = time.monotonic()
        done = run([*words, "--out", file + "/below/it"], cwd=place, timeout=120)
        checks.check(done.returncode == ENVIRONMENT and "cannot write to" in done.stderr,
                     f"{words[0]}: exit {done.returncode}", done.stderr)
        checks.check(time.monotonic() - begin < 20 and not done.stdout,
                     f"{words[0]}: refused only after the work")
    for words in (["predict", SWITCHOVER], ["explore", SWITCHOVER],
                  ["run", SWITCHOVER, "--provider", "sim"]):
        done = run([*words, "--out", ""], cwd=place)
        checks.check(done.returncode == USAGE and "--out" in done.stderr,
                     f"{words[0]}: an empty --out: exit {done.returncode}", done.stderr)


def check_empty_words(checks, place):
    """`gameday heal "$RUN"` in a run directory healed that; a cluster went into the current one."""
    for words in (["report", ""], ["heal", ""],
                  ["cluster", "up", SWITCHOVER, "--provider", "sim", "--out", ""]):
        done = run(words, cwd=place)
        checks.check(done.returncode == USAGE and "is no path" in done.stderr,
                     f"{words[0]}: an empty word: exit {done.returncode}", done.stderr)


def check_same_scenario_twice(checks, place):
    out = os.path.join(place, "twice")
    done = run(["run", SWITCHOVER, CRASH, SWITCHOVER, "--provider", "sim", "--out", out])
    checks.check(done.returncode == USAGE and "--repeat" in done.stderr,
                 f"one scenario twice: exit {done.returncode}", done.stderr)
    checks.check(not os.path.exists(out), "something ran before the refusal")


def check_without_out(checks, place):
    """Both within one second: the second was refused for the directory of the first."""
    where = os.path.join(place, "without")
    os.mkdir(where)
    done = run(["run", SWITCHOVER, SWITCHOVER, "--provider", "sim", "--seed", "1"], cwd=where,
               env=plain_environment(PATH="/nowhere"))
    made = os.listdir(os.path.join(where, "gameday-runs"))
    checks.check(done.returncode == MET and len(made) == 2, f"twice without --out: {made}",
                 done.stderr)


def check_left_over_pictures(checks, place):
    if not shutil.which("gnuplot"):
        return
    out = os.path.join(place, "killed")
    done = run(["run", SWITCHOVER, "--provider", "sim", "--seed", "1", "--out", out])
    checks.check(done.returncode == MET, "a run passes", done.stderr)
    os.mkdir(os.path.join(out, ".reports-killed"))
    with open(os.path.join(out, ".reports-killed", "data"), "w", encoding="utf-8") as file:
        file.write("1 2\n")
    run(["report", out])
    left = [name for name in os.listdir(out) if name.startswith(".")]
    checks.check(left == [], f"a killed report's files stay: {left}")


def forbid_large_files():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300 << 10, 300 << 10))


def check_unwritten_record(checks, place):
    """A record that something is missing from ends its run: it went on through all its phases."""
    out = os.path.join(place, "unwritten")
    done = subprocess.run(
        [GAMEDAY, "run", SWITCHOVER, "--provider", "sim", "--seed", "1", "--out", out],
        capture_output=True, text=True, timeout=300, env=plain_environment(), check=False,
        restore_signals=False, preexec_fn=forbid_large_files)
    checks.check(done.returncode == ENVIRONMENT, f"unwritten: exit {done.returncode}", done.stderr)
    with open(os.path.join(out, "run.json"), encoding="utf-8") as file:
        because = json.load(file)["stopped_because"]
    checks.check("the record is incomplete: cannot write" in because, f"unwritten: {because}")
    with open(os.path.join(out, "events.jsonl"), encoding="utf-8") as file:
        events = [json.loads(line) for line in file]
    phases = [event["text"] for event in events if event.get("kind") == "run"]
    checks.check("warmup" in phases and "drain" not in phases, f"unwritten: phases {phases}")


def check_full(checks, place):
    """Wherever in the run the disk becomes full, that is the reason, and no wrong usage."""
    if not shutil.which("unshare"):
        print("not checked: a full disk (no unshare here)")
        return
    where = os.path.join(place, "full")
    os.mkdir(where)
    for size in (64, 300, 600, 800, 1000):
        command = ["unshare", "-rm", "sh", "-c", FULL.format(size=size), "sh", where, GAMEDAY,
                   SWITCHOVER]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300,
                              env=plain_environment(), check=False)
        if done.returncode == 77 or "unshare" in done.stderr:
            print("not checked: a full disk (no namespaces here)")
            return
        full = "No space left" in done.stderr
        checks.check(done.returncode == (ENVIRONMENT if full else MET),
                     f"{size} KiB: exit {done.returncode}", done.stderr)


run_checks(check_unwritable, check_empty_words, check_same_scenario_twice, check_without_out,
           check_left_over_pictures, check_unwritten_record, check_full)
