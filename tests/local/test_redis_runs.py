#!/usr/bin/python3
"""Shipped scenarios of Redis, shortened, on real servers: what is known of them is what is measured.
The others are in tests/long."""

import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from gameday import need_local_hosts, run_checks  # noqa: E402
from outcome import Outcome  # noqa: E402

MET, MISSED = 0, 1


def check_kill(checks, place):
    """What reached the kernel before the answer survives the death of the process."""
    one = Outcome(place, "aof-everysec-restart", {
        "timeline": "[{at: 3s, for: 1s, process-kill: {target: host/redis1, process: redis}}]"})
    if one.ended(checks, MET):
        checks.check(one.value("data_loss") == 0, "kill: nothing is lost", one.said)
        checks.check(one.result["writes"]["ok"] > 0, "kill: there were writes")


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


if __name__ == "__main__":
    need_local_hosts()
    run_checks(check_kill, check_split, check_minority)
