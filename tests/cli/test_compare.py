"""gameday compare: runs and series side by side on a terminal, as a page, and as data."""

import json
import os
import resource
import signal
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from gameday import SOURCE, Checks, Place, run  # noqa: E402

SPLIT = os.path.join(SOURCE, "scenarios/redis/sentinel-split")
SWITCHOVER = os.path.join(SOURCE, "scenarios/postgres/switchover.yaml")
MET, USAGE, ENVIRONMENT, UNTRUSTED = 0, 2, 3, 4


def simulate(path, out, *args):
    run(["run", path, "--provider", "sim", "--seed", "1", "--out", out, *args], timeout=300)
    return out


def check_split(checks, place):
    """Three ways to lose writes in a partition, in one report."""
    outs = [simulate(f"{SPLIT}{end}.yaml", os.path.join(place, name))
            for name, end in (("plain", ""), ("bounded", "-min-replicas"), ("waited", "-wait"))]
    into = os.path.join(place, "compared")
    done = run(["compare", *outs, "--out", into])
    checks.check(done.returncode == MET, f"compare: exit {done.returncode}", done.stderr)
    for words in ("[3]", "plain", "bounded", "waited", "acknowledged writes lost",
                  "min-replicas-to-write", "One run tells little"):
        checks.check(words in done.stdout, f"compare tells '{words}'", done.stdout)
    with open(os.path.join(into, "compare.json"), encoding="utf-8") as file:
        data = json.load(file)
    rows = {row["name"]: row["runs"] for row in data["rows"]}
    for i, out in enumerate(outs):
        with open(os.path.join(out, "result.json"), encoding="utf-8") as file:
            result = json.load(file)
        for name in ("data_loss", "loss_ratio.pinned", "loss_ratio.primary"):
            of = [m["value"] for m in result["measures"]
                  if m["name"] == name and m["value"] is not None]
            value = rows[name][i]["value"]
            checks.check(value == max(of, default=None), f"run {i + 1}: {name} {value}, not {of}")
        checks.check(rows["writes.ok"][i]["value"] == result["writes"]["ok"], "writes.ok")
        checks.check(data["runs"][i]["verdict"] == result["verdict"], "verdict")
    for name in ("compare.html", "compare.md"):
        with open(os.path.join(into, name), encoding="utf-8") as file:
            checks.check("acknowledged writes lost" in file.read(), f"{name} tells the loss")


def check_series(checks, place):
    series = simulate(SWITCHOVER, os.path.join(place, "series"), "--repeat", "7")
    single = simulate(SWITCHOVER, os.path.join(place, "single"))
    done = run(["compare", series, single, "--json"])
    checks.check(done.returncode == MET, f"series: exit {done.returncode}", done.stderr)
    data = json.loads(done.stdout)
    checks.check([r["repeats"] for r in data["runs"]] == [7, 1], "repeats are counted")
    median = [row for row in data["rows"] if row["name"] == "failover_time.median"][0]["runs"]
    checks.check(median[0]["low95"] is not None and median[1]["low95"] is None,
                 "an interval of seven, none of one")


def check_refused(checks, place):
    good = simulate(SWITCHOVER, os.path.join(place, "good"))
    cases = [(["compare"], USAGE, "usage"), (["compare", good], USAGE, "usage"),
             (["compare", good, os.path.join(place, "none")], USAGE, "none"),
             (["compare", *[good] * 17], USAGE, "at most 16"),
             (["compare", good, good, "--out", ""], USAGE, "out")]
    for words, code, says in cases:
        done = run(words)
        checks.check(done.returncode == code, f"{words[1:3]}: exit {done.returncode}", done.stderr)
        checks.check(says in done.stderr, f"says '{says}'", done.stderr)
        checks.check(done.stdout == "", "nothing is printed", done.stdout)
    operations = os.path.join(good, "operations.bin")
    os.truncate(operations, os.path.getsize(operations) - 64)
    done = run(["compare", good, good])
    checks.check(done.returncode == UNTRUSTED, f"damaged: exit {done.returncode}", done.stderr)
    checks.check(os.path.exists(os.path.join(good, "result.json")), "reports are left alone")


def check_files_agree(checks, place):
    """All files are of one comparison: of one that cannot be written to its end none is there."""
    good = simulate(SWITCHOVER, os.path.join(place, "agree"))
    into = os.path.join(place, "together")
    run(["compare", good, good, "--out", into])
    files = {name: os.path.join(into, name)
             for name in ("compare.html", "compare.json", "compare.md")}
    most = os.path.getsize(files["compare.json"]) - 1
    checks.check(max(os.path.getsize(files["compare.html"]),
                     os.path.getsize(files["compare.md"])) <= most,
                 "compare.json, which is written last, is the largest of them")
    for path in files.values():
        with open(path, "w", encoding="ascii") as file:
            file.write("before")

    def without_room():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    done = run(["compare", good, good, "--out", into], preexec_fn=without_room)
    checks.check(done.returncode == ENVIRONMENT, f"no room: exit {done.returncode}", done.stderr)
    checks.check(sorted(os.listdir(into)) == sorted(files), f"no room: {os.listdir(into)}")
    for name, path in files.items():
        with open(path, encoding="utf-8") as file:
            checks.check(file.read() == "before", f"no room: {name} was replaced")


def main():
    checks = Checks()
    with Place() as place:
        check_split(checks, place)
        check_series(checks, place)
        check_refused(checks, place)
        check_files_agree(checks, place)
    checks.finish()


if __name__ == "__main__":
    main()
