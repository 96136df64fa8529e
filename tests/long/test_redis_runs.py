#!/usr/bin/python3
"""Shipped scenarios of Redis and of caches, shortened, on real servers: what is known of them is what
is measured. Those that tests/local leaves out, to be short."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from gameday import need_local_hosts, run_checks  # noqa: E402
from outcome import Outcome  # noqa: E402

MET, MISSED = 0, 1


def check_empty(checks, place):
    """A primary that comes back with nothing takes it to its replicas."""
    one = Outcome(place, "sentinel-empty-restart", {})
    if one.ended(checks, MISSED):
        lost, ok = one.value("data_loss"), one.result["writes"]["ok"]
        checks.check(lost is not None and lost > ok / 4, f"empty: {lost} of {ok} lost", one.said)
        checks.check(one.value("lost_everywhere") == lost, "empty: they are on no host", one.said)


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
    run_checks(check_empty, check_tls, check_eviction, check_fill_and_failover, check_kernel,
               check_stampede)
