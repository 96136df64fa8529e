#!/usr/bin/python3
"""Shipped scenarios of Redis and of caches, shortened, on real servers: what is known of them is what
is measured."""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from gameday import SOURCE, need_local_hosts, run, run_checks  # noqa: E402

MET, MISSED, UNTRUSTED = 0, 1, 4
SHORT = {"load.warmup": "2s", "load.settle": "4s"}


class Outcome:
    """A run that has ended, and what it measured."""

    def __init__(self, place, name, sets, folder="redis"):
        self.name = name
        out = os.path.join(place, name)
        options = [word for path, value in {**SHORT, **sets}.items()
                   for word in ("--set", f"{path}={value}")]
        ended = run(["run", os.path.join(SOURCE, "scenarios", folder, name + ".yaml"), "--out", out,
                     *options], timeout=400)
        self.code, self.said = ended.returncode, ended.stderr
        self.result = {}
        if os.path.exists(os.path.join(out, "result.json")):
            with open(os.path.join(out, "result.json"), encoding="utf-8") as file:
                self.result = json.load(file)

    def value(self, measure, fault=None):
        """Of the whole run, or of a fault; None: not known."""
        return next((m["value"] for m in self.result.get("measures", [])
                     if m["name"] == measure and m["fault"] == fault), None)

    def ended(self, checks, code):
        """Whether there is something to look at. A starved harness says so and proves nothing."""
        if self.code == UNTRUSTED and "starved" in self.said:
            print(f"not checked: {self.name}: the harness was starved")
            return False
        return checks.check(self.code == code, f"{self.name}: exit {self.code}", self.said)


def check_kill(checks, place):
    """What reached the kernel before the answer survives the death of the process."""
    one = Outcome(place, "aof-everysec-restart", {
        "timeline": "[{at: 3s, for: 1s, process-kill: {target: host/redis1, process: redis}}]"})
    if one.ended(checks, MET):
        checks.check(one.value("data_loss") == 0, "kill: nothing is lost", one.said)
        checks.check(one.result["writes"]["ok"] > 0, "kill: there were writes")


def check_empty(checks, place):
    """A primary that comes back with nothing takes it to its replicas."""
    one = Outcome(place, "sentinel-empty-restart", {})
    if one.ended(checks, MISSED):
        lost, ok = one.value("data_loss"), one.result["writes"]["ok"]
        checks.check(lost is not None and lost > ok / 4, f"empty: {lost} of {ok} lost", one.said)
        checks.check(one.value("lost_everywhere") == lost, "empty: they are on no host", one.said)


def check_split(checks, place):
    """Who is bound to the old primary loses more than who follows Sentinel."""
    one = Outcome(place, "sentinel-split", {
        "cluster.services.redis.down_after": "2s", "cluster.services.redis.failover_timeout": "6s",
        "timeline": "[{at: 2s, for: 15s, net-partition: {target: redis.primary, hosts: 2}}]"})
    if one.ended(checks, MISSED):
        pinned, followers = one.value("loss_ratio.pinned"), one.value("loss_ratio.primary")
        checks.check(one.value("data_loss"), "split: writes are lost", one.said)
        checks.check(one.value("dual_primary"), "split: there were two primaries", one.said)
        checks.check(pinned is not None and followers is not None and pinned > followers,
                     f"split: share lost of pinned {pinned}, of followers {followers}", one.said)


def check_minority(checks, place):
    """A master without a majority stops; what it acknowledged before is lost."""
    one = Outcome(place, "cluster-minority", {
        "cluster.services.redis.node_timeout": "2s",
        "timeline": "[{at: 3s, for: 10s, net-partition: {target: 'redis.primary[0]'}}]"})
    if one.ended(checks, MET):
        checks.check(one.value("data_loss"), "minority: writes are lost", one.said)
        checks.check(one.value("slots_unserved") is not None, "minority: coverage", one.said)
        checks.check(one.value("dual_primary") == 0, "minority: never two", one.said)


def check_tls(checks, place):
    """With TLS everybody finds the new primary, and everything is read back."""
    short = {"cluster.services.redis.down_after": "2s", "cluster.services.redis.failover_timeout":
             "6s", "timeline": "[{at: 2s, for: 8s, host-crash: {target: redis.primary}}]"}
    one = Outcome(place, "sentinel-primary-crash-tls", short)
    if one.ended(checks, MET):
        checks.check(one.result["writes"]["ok"] > 0, "tls: there were writes", one.said)
        checks.check(one.value("failover_time", 0), "tls: there was a failover", one.said)
    one = Outcome(place, "cluster-master-crash", {
        "cluster.services.redis.tls": "true", "cluster.services.redis.node_timeout": "2s",
        "timeline": "[{at: 2s, for: 8s, host-crash: {target: 'redis.primary[0]'}}]"})
    if one.ended(checks, MET):
        checks.check(one.value("failover_time", 0), "tls: there was one in the cluster", one.said)
        checks.check(one.value("slots_unserved") is not None, "tls: coverage", one.said)


def check_eviction(checks, place):
    """A policy that knows no sessions evicts them; without one nobody logs in any more."""
    sets = {"load.warmup": "8s", "timeline": "[{at: 1s, for: 4s, memory-fill: "
            "{target: redis.primary, beyond: '100%'}}]"}
    one = Outcome(place, "eviction-allkeys-lru", sets)
    if one.ended(checks, MISSED):
        lost, ratio = one.value("sessions_lost"), one.value("session_loss_ratio")
        checks.check(lost and ratio > 0.1, f"allkeys-lru: {lost} sessions lost", one.said)
        checks.check(one.value("evicted_keys") >= lost, "allkeys-lru: the server says so too")
        checks.check(one.value("oom_errors") == 0, "allkeys-lru: nothing is refused", one.said)
    one = Outcome(place, "eviction-noeviction", sets)
    if one.ended(checks, MISSED):
        checks.check(one.value("sessions_lost") == 0, "noeviction: nothing is lost", one.said)
        checks.check(one.value("evicted_keys") == 0, "noeviction: nothing is evicted", one.said)
        checks.check(one.value("oom_errors") > 0, "noeviction: writes are refused", one.said)


def check_fill_and_failover(checks, place):
    """A fill is healed where its keys are: at who is primary by then."""
    one = Outcome(place, "sentinel-primary-crash", {
        "cluster.services.redis.maxmemory": "32MiB", "cluster.services.redis.down_after": "1s",
        "cluster.services.redis.failover_timeout": "6s", "timeline":
        "[{at: 1s, for: 9s, memory-fill: {target: redis.primary}}, "
        "{at: 3s, for: 20s, process-kill: {target: redis.primary, process: redis}}]"})
    # Writes are refused meanwhile, so what the objectives say is no matter.
    if checks.check(one.result, "fill: a run", one.said):
        fill, kill = one.result["faults"]
        checks.check(fill["host"] == kill["host"] and kill["promotion_time_s"],
                     f"fill: another is primary {one.result['faults']}", one.said)
        checks.check(fill["heal_confirmed_s"], "fill: its heal was confirmed", one.said)


def check_kernel(checks, place):
    """The kernel kills the server, and its append-only file has everything."""
    one = Outcome(place, "out-of-memory", {
        "load.warmup": "6s",
        "timeline": "[{at: 1s, for: 2s, memory-fill: {target: redis.primary, until: oom, "
                    "size: 160MiB, process: redis}}]"})
    if one.ended(checks, MET):
        checks.check(one.value("sessions_lost") == 0, "kernel: nothing is lost", one.said)
        checks.check(one.result["writes"]["fail"] > 0, "kernel: it was down", one.said)


def check_stampede(checks, place):
    """Everybody who misses asks the database, unless one does it for all of a process."""
    calls = {}
    for name in ("stampede-none", "stampede-single-flight"):
        one = Outcome(place, name, {}, "cache")
        if one.ended(checks, MET):
            calls[name] = one.value("origin_amplification", 0)
            checks.check(calls[name] is not None, f"{name}: calls for each key", one.said)
    if len(calls) == 2 and None not in calls.values():
        none, single = calls["stampede-none"], calls["stampede-single-flight"]
        checks.check(none > 2 * single, f"stampede: {none} and {single} calls for each key")


if __name__ == "__main__":
    need_local_hosts()
    run_checks(check_kill, check_empty, check_split, check_minority, check_tls, check_eviction,
               check_fill_and_failover, check_kernel, check_stampede)
