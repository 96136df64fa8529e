"""Shipped scenarios, shortened, on real servers."""

import json
import os

from gameday import SOURCE, run

UNTRUSTED = 4
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
