#!/usr/bin/env python3
"""Failover times of the record against an independent witness, over twenty faults.

usage: truth.py GAMEDAY WITNESS SCENARIO WORK_DIRECTORY [FAULTS]

Runs the scenario with a timeline of FAULTS faults (four of five a SIGKILL of PostgreSQL, the fifth a
crash of the host), starts the witness on a client's network while it goes on, and compares for each
fault when the cluster was back: the record's failover_time against the end of the witness's gap. Of
both a recovery is one that lasts (docs/measurement.md): where the witness sees another outage begin
within a second, of the length that counts as one, it is the end of that one.
"""
import json
import os
import subprocess
import sys
import time

SUSTAINED_S = 1.0

def write_scenario(source, target, faults):
    kill = ("  - {at: recovery + 2s, name: kill-%d, process-kill: "
            "{target: postgres.primary, process: postmaster}}\n")
    crash = ("  - {at: recovery + 2s, for: 30s, name: crash-%d, host-crash: "
             "{target: postgres.primary}}\n")
    text = open(source).read()
    for number in range(2, faults + 1):
        line = (crash if number % 5 == 0 else kill) % number
        text = text.replace("objectives:", line + "objectives:")
    open(target, "w").write(text)


def wait_for_phase(run, events, phase):
    while run.poll() is None:
        if os.path.exists(events) and '"text":"%s"' % phase in open(events).read():
            return
        time.sleep(0.05)
    raise SystemExit("truth: the run ended with %d before it was %s" % (run.returncode, phase))


def start_witness(gameday, witness, directory):
    meta = json.load(open(directory + "/run.json"))
    secrets = json.load(open(directory + "/secrets/postgres.json"))
    password_file = directory + "/secrets/witness"
    with os.fdopen(os.open(password_file, os.O_WRONLY | os.O_CREAT, 0o600), "w") as out:
        out.write("*:*:*:gameday:%s\n" % secrets["client"])
    servers = ["%s=%s" % (h["name"], h["address"]) for h in meta["hosts"] if h["kind"] == "server"]
    enter = [gameday, "cluster", "exec", meta["id"], "client1", "--", "env",
             "PGPASSFILE=" + password_file]
    connect = "host=%s hostaddr=%s user=gameday dbname=gameday target_session_attrs=read-write " \
              "sslmode=verify-full sslrootcert=%s/secrets/tls/ca.crt" % (
                  ",".join(s.split("=")[0] for s in servers),
                  ",".join(s.split("=")[1] for s in servers), directory)
    subprocess.check_call(enter + ["psql", "-qc", "create table witness (id bigint generated always "
                                   "as identity primary key)", connect])
    return subprocess.Popen(enter + [witness, "3600", "gameday", "gameday",
                                     directory + "/secrets/tls/ca.crt"] + servers,
                            stdout=open(directory + "/witness.txt", "w"))


def recovery(gaps, at, outage_min):
    """When the cluster was back for good after what it had at `at`; None: it served all the time."""
    back = next((end for begin, end in gaps if begin - 0.2 <= at <= end), None)
    for begin, end in gaps:
        if back is not None and back <= begin < back + SUSTAINED_S and end - begin >= outage_min:
            back = end
    return back


def compare(directory):
    run = json.load(open(directory + "/run.json"))
    start, outage_min = run["monotonic_start_ns"], run["outage_min_ns"] / 1e9
    gaps = [[(int(n) - start) / 1e9 for n in line.split()]
            for line in open(directory + "/witness.txt")]
    differences, missed = [], 0
    for fault in json.load(open(directory + "/result.json"))["faults"]:
        at, took = fault["confirmed_s"], fault["failover_time_s"]
        back = recovery(gaps, at, outage_min)
        if took is None or back is None:
            missed += 1
            continue
        differences.append(at + took - back)
        print("  %-28s failover %7.3f s, witness %7.3f s, difference %+6.1f ms" % (
            fault.get("name", fault["injector"]), took, back - at, differences[-1] * 1000))
    return differences, missed


def main():
    gameday, witness, source, work = sys.argv[1:5]
    faults = int(sys.argv[5]) if len(sys.argv) > 5 else 20
    os.makedirs(work, exist_ok=True)
    scenario = work + "/truth.yaml"
    write_scenario(source, scenario, faults)
    directory = work + "/truth"
    run = subprocess.Popen([gameday, "run", scenario, "--seed", "1", "--out", directory])
    wait_for_phase(run, directory + "/events.jsonl", "warmup")
    observer = start_witness(gameday, witness, directory)
    code = run.wait()
    observer.terminate()
    observer.wait()
    differences, missed = compare(directory)
    if not differences:
        raise SystemExit("truth: nothing to compare (gameday exited with %d)" % code)
    within = sorted(abs(d) for d in differences)
    rank = max(0, -(-len(within) * 95 // 100) - 1)
    print("truth: %d faults compared, %d without a pair; |difference| median %.1f ms, p95 %.1f ms, "
          "maximum %.1f ms (target: p95 <= 20 ms)" % (
              len(within), missed, within[len(within) // 2] * 1000, within[rank] * 1000,
              within[-1] * 1000))


if __name__ == "__main__":
    main()
