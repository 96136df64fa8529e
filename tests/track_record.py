#!/usr/bin/python3
"""Runs the scenarios of docs/track-record.md again and prints its rows with the figures of today.

usage: tests/track_record.py [--provider P] [--out DIR] [SCENARIO...]

A scenario is named as in the table (redis/sentinel-split); all of them without names. Exit 1 when a
verdict is another than the table says, 4 when a run gave none."""
import argparse
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "track-record.md"
GAMEDAY = os.environ.get("GAMEDAY", str(ROOT / "build" / "release" / "cli" / "gameday"))
VERDICTS = {0: "pass", 1: "fail", 4: "unknown"}


def rows_of(page):
    """What is known, source, scenario, verdict, measures and versions of each row."""
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == 6 and cells[2].startswith("`"):
            yield {"known": cells[0], "source": cells[1], "scenario": cells[2].strip("`"),
                   "verdict": cells[3], "measures": re.findall(r"`([\w.]+)`", cells[4])}


def versions_of(settings):
    """Of every service what its settings, read back from the servers, call versions."""
    for service in settings.values():
        for name, version in service.get("settings", {}).get("versions", {}).items():
            yield name, str(version)


def text_of(measure):
    if measure.get("value") is None:
        return measure.get("why") or "not known"
    value = measure["value"]
    if measure["unit"] == "duration":
        return f"{value:.3g} s"
    return f"{100 * value:.3g} %" if measure["unit"] == "ratio" else f"{value:.0f}"


def figures_of(result, names):
    for name in names:
        found = [m for m in result["measures"] if m["name"] == name and m.get("value") is not None]
        whole = [m for m in found if m.get("fault") is None] or found
        yield f"`{name}` " + (text_of(max(whole, key=lambda m: m["value"])) if whole else "not known")


def run(row, arguments):
    file = ROOT / "scenarios" / (row["scenario"] + ".yaml")
    directory = Path(arguments.out) / row["scenario"].replace("/", "-")
    command = [GAMEDAY, "run", str(file), "--out", str(directory)]
    if arguments.provider:
        command += ["--provider", arguments.provider]
    code = subprocess.run(command, check=False).returncode
    verdict = VERDICTS.get(code, f"exit {code}")
    try:
        result = json.loads((directory / "result.json").read_text(encoding="utf-8"))
    except OSError as error:
        print(f"track-record: {row['scenario']}: {error}", file=sys.stderr)
        return verdict
    versions = sorted(set(versions_of(result["settings"])))
    print(f"| {row['known']} | {row['source']} | `{row['scenario']}` | {verdict} | "
          f"{', '.join(figures_of(result, row['measures']))} | "
          f"{', '.join(' '.join(pair) for pair in versions)} |", flush=True)
    return verdict


def main():
    parser = argparse.ArgumentParser(prog="track-record")
    parser.add_argument("--provider", help="instead of the scenario's")
    parser.add_argument("--out", default=str(ROOT / "build" / time.strftime("track-record-%H%M%S")),
                        help="where the records go")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO")
    arguments = parser.parse_args()
    rows = list(rows_of(PAGE.read_text(encoding="utf-8")))
    unknown = set(arguments.scenarios) - {row["scenario"] for row in rows}
    if unknown:
        parser.error(f"not in {PAGE.name}: {', '.join(sorted(unknown))}")
    Path(arguments.out).mkdir(parents=True, exist_ok=True)
    worst = 0
    for row in rows:
        if arguments.scenarios and row["scenario"] not in arguments.scenarios:
            continue
        verdict = run(row, arguments)
        if verdict != row["verdict"]:
            print(f"track-record: {row['scenario']}: {verdict}, the table says {row['verdict']}",
                  file=sys.stderr)
            worst = max(worst, 4 if verdict not in VERDICTS.values() else 1)
    return worst


if __name__ == "__main__":
    sys.exit(main())
