#!/usr/bin/python3
"""A cluster of more than 256 hosts on the simulator: hosts whose number does not fit into a byte go
through record, export, report and result; and what is beyond the limits is refused, with its place,
before anything is simulated."""

import json
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from gameday import SOURCE, run, run_checks  # noqa: E402

CRASH = os.path.join(SOURCE, "scenarios/redis/cluster-master-crash.yaml")
LEDGER = "workloads[0].redis-ledger"
MET, USAGE = 0, 2
MASTERS = 129
# The last master; its replica, which takes over, is the last server.
SHARD, OLD, NEW = MASTERS, MASTERS - 1, 2 * MASTERS - 1
SETTINGS = {
    "cluster.services.redis.masters": MASTERS,
    "cluster.services.redis.node_timeout": "2s",
    "cluster.services.redis.require_full_coverage": "false",
    f"{LEDGER}.rate": "900/s",
    f"{LEDGER}.clients": 3,
    f"{LEDGER}.pinned_rate": "0/s",
    f"{LEDGER}.heartbeat": "1s",
    f"{LEDGER}.read_ratio": "0%",
    "load.warmup": "1s",
    "load.minimum": 5,
    "load.settle": "4s",
    "timeline[0].at": "3s",
    "timeline[0].jitter": "0s",
    "timeline[0].for": "8s",
    "timeline[0].host-crash.target": f"redis.primary[{OLD}]",
}


def set_all(settings):
    return [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]


def read_json(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return json.load(file)


def read_operations(record):
    """host, shard, kind and outcome of each, as docs/record.md has them."""
    with open(os.path.join(record, "operations.bin"), "rb") as file:
        data = file.read()
    for at in range(64, len(data) - 63, 64):
        word, host, last = struct.unpack_from("<IHH", data, at + 56)
        yield host, last & 2047, last >> 11, word >> 26 & 7


def check_record(checks, record):
    hosts = read_json(record, "run.json")["hosts"]
    names = [host["name"] if isinstance(host, dict) else host for host in hosts]
    checks.check(names[NEW] == f"redis{NEW + 1}", f"host {NEW} is {names[NEW]}")
    with open(os.path.join(record, "events.jsonl"), encoding="utf-8") as file:
        events = [json.loads(line) for line in file][1:]
    promoted = [e for e in events if e["kind"] == "promoted" and e.get("host") == NEW]
    checks.check([e["number2"] for e in promoted] == [SHARD], f"promoted: {promoted}")
    written = [o for o in read_operations(record) if o == (NEW, SHARD, 0, 0)]
    checks.check(len(written) > 5, f"{len(written)} writes acknowledged by host {NEW}")
    beyond = {host for host, _, _, _ in read_operations(record)} - {65535}
    checks.check(max(beyond) == NEW, f"the last host that answered is {max(beyond)}")
    return names, len(written)


def check_export(checks, record, names, written):
    done = run(["export", record])
    checks.check(done.returncode == MET, f"export: exit {done.returncode}", done.stderr)
    operations = [json.loads(line) for line in done.stdout.splitlines()]
    got = sum(o["host"] == names[NEW] and o["shard"] == SHARD and o["kind"] == "write" and
              o["outcome"] == "ok" for o in operations)
    checks.check(got == written, f"export: {got} writes of {names[NEW]}, not {written}")


def check_result(checks, record, names):
    judged = read_json(record, "result.json")
    checks.check(judged["verdict"] == "pass" and judged["trusted"], "verdict", judged["why"])
    checks.check(judged["faults"][0]["host"] == names[OLD], f"fault: {judged['faults'][0]}")
    outages = {outage["of"] for outage in judged["outages"]["write"]}
    checks.check(f"shard {SHARD}" in outages and len(outages) < 5, f"outages of {outages}")
    lags = {m.get("host") for m in judged["measures"] if m["name"] == "replication_lag.max"}
    checks.check(names[NEW - 1] in lags, f"no lag of {names[NEW - 1]}")
    return judged


def check_report(checks, record, judged):
    done = run(["report", record], timeout=300)
    checks.check(done.returncode == MET, f"report: exit {done.returncode}", done.stderr)
    checks.check(read_json(record, "result.json") == judged, "judged again, it is the same")
    with open(os.path.join(record, "report.html"), encoding="utf-8") as file:
        page = file.read()
    checks.check(f"shard {SHARD}" in page, f"report.html does not speak of shard {SHARD}")


def check_large(checks, place):
    record = os.path.join(place, "large")
    done = run(["run", CRASH, "--provider", "sim", "--seed", "1", "--out", record,
                *set_all(SETTINGS)], timeout=600)
    if not checks.check(done.returncode == MET, f"run: exit {done.returncode}", done.stderr):
        return
    names, written = check_record(checks, record)
    judged = check_result(checks, record, names)
    check_export(checks, record, names, written)
    check_report(checks, record, judged)


def check_limits(checks, place):
    cases = [
        ("sim", {"cluster.services.redis.masters": 501}, "1002 data servers, 1000 is the most"),
        ("sim", {"cluster.services.redis.masters": 1001}, "3 to 1000"),
        ("sim", {f"{LEDGER}.clients": 100001}, "1 to 100000"),
        ("sim", {f"{LEDGER}.clients": 100000}, "connections to one host, of which redis takes"),
        ("local", {f"{LEDGER}.clients": 70000, "cluster.services.redis.maxclients": 100000},
         "client hosts; expected at most"),
        ("local", {"cluster.services.redis.masters": 40}, "expected at most"),
    ]
    for provider, settings, words in cases:
        done = run(["validate", CRASH, "--provider", provider, *set_all(settings)], cwd=place)
        checks.check(done.returncode == USAGE and words in done.stderr,
                     f"{provider} {settings}: exit {done.returncode}", done.stderr)
        checks.check("cluster-master-crash.yaml:" in done.stderr or "--set" in done.stderr,
                     f"{settings}: without a place", done.stderr)
    done = run(["validate", CRASH, "--provider", "sim",
                *set_all({f"{LEDGER}.clients": 100000,
                          "cluster.services.redis.masters": 500,
                          "cluster.services.redis.maxclients": 110000})], cwd=place)
    checks.check(done.returncode == MET, f"1,000 hosts, 100,000 clients: exit {done.returncode}",
                 done.stderr)


run_checks(check_large, check_limits)
