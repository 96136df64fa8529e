#!/usr/bin/env python3
"""How long a cluster takes up and down, and a host crash from decision to effect.

usage: cluster.py GAMEDAY SCENARIO WORK_DIRECTORY [REPEATS]

SCENARIO crashes a replica several times; its events say when each was decided and seen in effect.
"""
import json
import os
import re
import subprocess
import sys
import time


def timed(command):
    begin = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True)
    if done.returncode != 0:
        raise SystemExit("cluster: %s exited with %d\n%s" % (" ".join(command), done.returncode,
                                                             done.stderr))
    return time.monotonic() - begin, done.stdout


def line(name, values, target, unit="s", scale=1):
    values = sorted(v * scale for v in values)
    print("cluster: %-34s median %7.2f %s, maximum %7.2f %s of %d (target <= %s)" % (
        name, values[len(values) // 2], unit, values[-1], unit, len(values), target))


def main():
    gameday, scenario, work = sys.argv[1:4]
    repeats = int(sys.argv[4]) if len(sys.argv) > 4 else 5
    os.makedirs(work, exist_ok=True)
    ups, downs = [], []
    for number in range(repeats):
        out = "%s/kept-%d" % (work, number)
        took, text = timed([gameday, "cluster", "up", scenario, "--out", out])
        ups.append(took)
        cluster = re.search(r"^cluster (\S+) is up", text, re.M).group(1)
        downs.append(timed([gameday, "cluster", "down", cluster])[0])
    run = work + "/crashes"
    subprocess.run([gameday, "run", scenario, "--seed", "1", "--out", run], stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, check=False)
    events = [json.loads(text) for text in open(run + "/events.jsonl")]
    effect = [e["number"] / 1e9 for e in events if e.get("kind") == "fault_confirmed"]
    line("up: writable, replicas streaming", ups, "8 s")
    line("down: nothing left", downs, "2 s")
    line("host-crash: decision to effect", effect, "50 ms", "ms", 1000)


if __name__ == "__main__":
    main()
