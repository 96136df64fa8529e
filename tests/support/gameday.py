"""What the script tests share: the executable, a place for files, and how failures are told."""

import os
import shutil
import subprocess
import sys
import tempfile
import time

SOURCE = os.environ.get("GAMEDAY_SOURCE") or os.path.dirname(
    os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
)
GAMEDAY = os.environ.get("GAMEDAY", "gameday")
SKIPPED = 77


def skip(why):
    """A test that cannot run here is skipped, and says why."""
    print("skipped: " + why)
    sys.exit(SKIPPED)


def plain_environment(**more):
    env = dict(os.environ, LC_ALL="C.UTF-8")
    env.pop("NO_COLOR", None)
    env.update(more)
    return env


def run(args, timeout=60, **options):
    """Runs gameday; output as text, whatever bytes it has."""
    options.setdefault("stdin", subprocess.DEVNULL)
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    options.setdefault("env", plain_environment())
    return subprocess.run(
        [GAMEDAY, *args], timeout=timeout, errors="replace", encoding="utf-8", **options
    )


def start(args, **options):
    """Starts gameday, whose stderr is read by end()."""
    options.setdefault("stdout", subprocess.DEVNULL)
    return subprocess.Popen([GAMEDAY, *args], stderr=subprocess.PIPE, text=True,
                            env=plain_environment(), **options)


def wait_for_file(child, *path):
    """Until there is such a file, or the child is over."""
    while child.poll() is None and not os.path.exists(os.path.join(*path)):
        time.sleep(0.001)


def end(child, number=None):
    """Waits, after that signal: the exit code, and what was said on stderr."""
    if number:
        child.send_signal(number)
    told = child.communicate(timeout=300)[1]
    return child.returncode, told


def need_local_hosts():
    """Skips the test where this machine cannot have any."""
    if os.geteuid() != 0:
        skip("local hosts need root")
    doctor = run(["doctor"])
    if doctor.returncode != 0:
        skip("local hosts do not work here:\n" + doctor.stdout)


class Place:
    """A temporary directory that others may read, for the tests that are another user."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="gameday-test-")
        os.chmod(self.path, 0o755)
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


class Checks:
    """Counts what went wrong and goes on, so that one run of a test tells everything."""

    def __init__(self):
        self.done = 0
        self.failed = 0

    def check(self, good, what, detail=""):
        self.done += 1
        if not good:
            self.failed += 1
            print("FAILED: " + what + ("\n" + detail.rstrip() if detail else ""))
        return good

    def finish(self):
        print(f"{self.done} checks, {self.failed} failed")
        sys.exit(1 if self.failed else 0)


def run_checks(*functions):
    """Calls each with the checks and a place, and ends the test."""
    checks = Checks()
    with Place() as place:
        for function in functions:
            function(checks, place)
    checks.finish()
