"""The command line in odd surroundings: full and closed outputs, terminals, no rights."""

import os
import pty
import select
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import gameday  # noqa: E402
from gameday import SOURCE, Checks, Place, plain_environment, run  # noqa: E402

GOOD = os.path.join(SOURCE, "scenarios/postgres/switchover.yaml")
TO_STDOUT = [["--help"], ["version"], ["list"], ["schema"], ["validate", "--print", GOOD]]
MET, USAGE, ENVIRONMENT = 0, 2, 3
NOBODY = 65534


def check_full_output(checks):
    with open("/dev/full", "w", encoding="utf-8") as full:
        for args in TO_STDOUT:
            result = run(args, stdout=full)
            checks.check(result.returncode == ENVIRONMENT, f"{args}: full stdout: exit code")
            checks.check("cannot write to standard output" in result.stderr, f"{args}: full stdout")
        result = run(["frobnicate"], stderr=full)
        checks.check(result.returncode == USAGE, "full stderr: exit code")


def check_closed_output(checks):
    """What is opened later must not get the number of what was closed."""
    for args in TO_STDOUT:
        result = run(args, preexec_fn=lambda: os.close(1), stdout=None)
        checks.check(result.returncode == ENVIRONMENT, f"{args}: closed stdout: exit code")
    result = run(["list"], preexec_fn=lambda: os.close(0), stdin=None)
    checks.check(result.returncode == MET and "providers" in result.stdout, "closed stdin")
    result = run(["frobnicate"], preexec_fn=lambda: os.close(2), stderr=None)
    checks.check(result.returncode == USAGE, "closed stderr: exit code")

    def close_all():
        for fd in range(3):
            os.close(fd)

    result = run(["frobnicate"], preexec_fn=close_all, stdin=None, stdout=None, stderr=None)
    checks.check(result.returncode == USAGE, "nothing open: exit code")


def check_broken_pipe(checks):
    """As in `gameday schema | head -1`: the reader has what it wanted, and nobody complains."""
    for args in TO_STDOUT:
        reader, writer = os.pipe()
        os.close(reader)
        result = run(args, stdout=writer)
        os.close(writer)
        checks.check(result.returncode == MET, f"{args}: broken pipe: exit {result.returncode}")
        checks.check(result.stderr == "", f"{args}: broken pipe: quiet", result.stderr)


def on_terminal(args, **environment):
    """What is written to stderr when that is a terminal."""
    master, slave = pty.openpty()
    env = plain_environment(TERM="xterm", **environment)
    process = subprocess.Popen(
        [gameday.GAMEDAY, *args], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=slave, env=env)
    os.close(slave)
    text = b""
    while select.select([master], [], [], 30)[0]:
        try:
            got = os.read(master, 4096)
        except OSError:  # EIO: the other end is closed
            break
        if not got:
            break
        text += got
    process.wait(timeout=30)
    os.close(master)
    return text


def check_colors(checks):
    checks.check(b"\033[1;31merror:" in on_terminal(["frobnicate"]), "a terminal gets colours")
    checks.check(b"\033" not in on_terminal(["frobnicate"], NO_COLOR="1"), "NO_COLOR is obeyed")
    empty = on_terminal(["frobnicate"], NO_COLOR="")
    checks.check(b"\033[1;31m" in empty, "an empty NO_COLOR is none")
    checks.check("\033" not in run(["frobnicate"]).stderr, "a file gets no colours")


def check_hostile_words(checks):
    """Words of the user that are repeated in a message must not reach the terminal as they are."""
    for word in ["\033[2Jx", "a\rb", "\x9b31m"]:
        text = on_terminal([word], NO_COLOR="1").replace(b"\r\n", b"\n")
        checks.check(
            b"\033" not in text and b"\r" not in text and b"\xc2\x9b" not in text,
            f"{word!r} is made harmless", repr(text))


def check_odd_paths(checks, place):
    """Directories that cannot take a run. As root only: another user is refused before."""
    occupied = os.path.join(place, "occupied")
    os.mkdir(occupied)
    with open(os.path.join(occupied, "file"), "w", encoding="utf-8"):
        pass
    cases = [
        (occupied, USAGE, "is not empty; a run is never written over another"),
        (os.path.join(occupied, "file"), USAGE, "is a file; a run needs a directory"),
        (os.path.join(occupied, "file", "x"), ENVIRONMENT, "Not a directory"),
        ("/proc/nowhere/x", ENVIRONMENT, "cannot make"),
    ]
    for out, code, message in cases:
        for command in [["run"], ["cluster", "up"]]:
            result = run([*command, GOOD, "--out", out], cwd=place)
            checks.check(
                result.returncode == code and message in result.stderr,
                f"{command} --out {out}: {code}, '{message}'", result.stderr)
    checks.check(os.listdir(occupied) == ["file"], "--out is left as it was")


def check_without_rights(checks, place):
    """Who may not make hosts is told what is missing, and finds nothing made."""
    home = os.path.join(place, "home")
    os.mkdir(home)
    program = gameday.GAMEDAY
    options = {"cwd": home}
    if os.geteuid() == 0:
        # The build may lie where only root can read.
        gameday.GAMEDAY = shutil.copy(program, os.path.join(place, "gameday"))
        scenario = shutil.copy(GOOD, os.path.join(place, "scenario.yaml"))
        os.chmod(scenario, 0o644)
        os.chown(home, NOBODY, NOBODY)
        options.update(user=NOBODY, group=NOBODY, extra_groups=[])
    else:
        scenario = GOOD
    for args in [["run", scenario], ["cluster", "up", scenario], ["cluster", "list"]]:
        result = run(args, **options)
        checks.check(result.returncode == ENVIRONMENT, f"{args} without rights: exit code")
        checks.check("root is missing" in result.stderr, f"{args}: says why", result.stderr)
        checks.check("sudo" in result.stderr, f"{args}: says how to get it", result.stderr)
    result = run(["doctor"], **options)
    checks.check(result.returncode == ENVIRONMENT, "doctor without rights: exit code")
    checks.check("root is missing" in result.stdout, "doctor says why", result.stdout)
    bare = run(["doctor"], env={"PATH": place}, **options)
    checks.check(
        "openssl      missing" in bare.stdout and "apt-get install openssl" in bare.stdout,
        "doctor names the programs of services too", bare.stdout)
    for args in [["list"], ["schema"], ["validate", scenario]]:
        checks.check(run(args, **options).returncode == MET, f"{args} needs no rights")
    checks.check(os.listdir(home) == [], "nothing is left", str(os.listdir(home)))
    gameday.GAMEDAY = program


def main():
    checks = Checks()
    check_full_output(checks)
    check_closed_output(checks)
    check_broken_pipe(checks)
    check_colors(checks)
    check_hostile_words(checks)
    with Place() as place:
        check_without_rights(checks, place)
        if os.geteuid() != 0 or run(["doctor"]).returncode != MET:
            print("not checked: --out where local hosts work (this machine or user cannot)")
        else:
            check_odd_paths(checks, place)
    checks.finish()


if __name__ == "__main__":
    main()
