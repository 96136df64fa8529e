"""gameday export of a record that is not what the run wrote: what can be read, and never silently."""

import os
import shutil
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from gameday import SOURCE, Checks, Place, run  # noqa: E402

SWITCHOVER = os.path.join(SOURCE, "scenarios/postgres/switchover.yaml")
MET, UNTRUSTED = 0, 4
OPERATION = 64


def cut(record):
    path = os.path.join(record, "operations.bin")
    os.truncate(path, os.path.getsize(path) - 10 * OPERATION - 1)


def flip(record):
    """The lowest bit of a time: every field is in range."""
    with open(os.path.join(record, "operations.bin"), "r+b") as file:
        file.seek(OPERATION + 16)
        byte = file.read(1)[0]
        file.seek(OPERATION + 16)
        file.write(bytes([byte ^ 1]))


def break_kind(record):
    with open(os.path.join(record, "operations.bin"), "r+b") as file:
        file.seek(OPERATION + 63)  # the upper five bits of the last two bytes
        file.write(b"\xf8")


def unseal(record):
    os.unlink(os.path.join(record, "seal.json"))


def check_damage(checks, whole, all_lines):
    cases = [
        (cut, all_lines - 11, "operations.bin has"),
        (flip, all_lines, "operations.bin is not what was written"),
        (break_kind, 0, "kind 31 is not known"),
        (unseal, all_lines, "has no seal"),
    ]
    for damage, lines, words in cases:
        record = f"{whole}-{damage.__name__}"
        shutil.copytree(whole, record)
        damage(record)
        done = run(["export", record])
        checks.check(done.returncode == UNTRUSTED, f"{damage.__name__}: exit {done.returncode}",
                     done.stderr)
        checks.check(words in done.stderr, f"{damage.__name__}: says '{words}'", done.stderr)
        got = done.stdout.count("\n")
        checks.check(got == lines, f"{damage.__name__}: {got} lines of {lines}")


def check_unfinished(checks, place):
    """A run that was broken off is no damage, but its export is not all there was to be."""
    record = os.path.join(place, "refused")
    for host in ("pg1", "pg2", "pg3"):
        shutil.rmtree(record, ignore_errors=True)
        done = run(["run", SWITCHOVER, "--provider", "sim", "--seed", "1", "--out", record, "--set",
                    f"timeline[0].switchover.target=host/{host}"])
        if done.returncode == UNTRUSTED:
            break
    done = run(["export", record])
    checks.check(done.returncode == MET and "the run did not come to its end" in done.stderr,
                 f"an unfinished run: exit {done.returncode}", done.stderr)


def main():
    checks = Checks()
    with Place() as place:
        whole = os.path.join(place, "whole")
        done = run(["run", SWITCHOVER, "--provider", "sim", "--seed", "1", "--out", whole])
        checks.check(done.returncode == MET, "a run passes", done.stderr)
        done = run(["export", whole])
        checks.check(done.returncode == MET and done.stderr == "", "a whole record", done.stderr)
        check_damage(checks, whole, done.stdout.count("\n"))
        check_unfinished(checks, place)
    checks.finish()


main()
