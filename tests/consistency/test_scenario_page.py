#!/usr/bin/python3
"""docs/scenario.md says what the tables say: every key of every section with its default, and its
examples are scenarios that the program takes."""
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

GAMEDAY = os.environ.get("GAMEDAY", "")
PAGE = Path(os.environ.get("GAMEDAY_SOURCE", ".")) / "docs" / "scenario.md"


def sections_of(page):
    """The rows of each section's table: {section: {key: last cell}}."""
    sections, name = {}, ""
    for line in page.splitlines():
        if line.startswith("#"):
            name = line.lstrip("#").strip()
        row = re.match(r"\| `(\w+)` \|.*\|\s*([^|]*?)\s*\|$", line)
        if row:
            sections.setdefault(name, {})[row.group(1)] = row.group(2)
    return sections


def compare(where, rows, properties, plugins):
    """A default that the schema has is in the last cell; the keys are the same."""
    for key in properties.keys() - plugins - rows.keys():
        yield f"{where}: {key} is not on the page"
    for key in rows.keys() - properties.keys():
        yield f"{where}: {key} is on the page and in no table"
    for key in rows.keys() & properties.keys():
        default = properties[key].get("default")
        if isinstance(default, bool):
            default = str(default).lower()
        if default is not None and rows[key] != f"`{default}`":
            yield f"{where}: the default of {key} is {default}, the page says {rows[key]}"


def examples_of(page):
    return [block for block in re.findall(r"```yaml\n(.*?)```", page, re.S)
            if block.startswith("name:")]


def main():
    if not os.access(GAMEDAY, os.X_OK):
        print("skipped: the program is not built (GAMEDAY)")
        return 77
    schema = json.loads(subprocess.run([GAMEDAY, "schema"], capture_output=True, text=True,
                                       check=True).stdout)["properties"]
    page = PAGE.read_text(encoding="utf-8")
    sections = sections_of(page)
    top = {key: value for key, value in schema.items()
           if value.get("type") not in ("object", "array", ["object", "null"], ["array", "null"])}
    cluster = schema["cluster"]["properties"]
    providers = set(cluster["provider"]["enum"])
    entry = schema["timeline"]["items"]["properties"]
    injectors = {alternative["required"][0] for alternative in schema["timeline"]["items"]["oneOf"]}
    failures = list(compare("top", sections["Sections"], top, set()))
    failures += compare("cluster", sections["cluster"], cluster, providers)
    failures += compare("load", sections["load"], schema["load"]["properties"], set())
    failures += compare("timeline", sections["timeline"], entry, injectors)
    failures += compare("explore", sections["explore"], schema["explore"]["properties"], set())
    failures += compare("measure", sections["measure"], schema["measure"]["properties"], set())
    examples = examples_of(page)
    for example in examples:
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
            file.write(example)
            file.flush()
            run = subprocess.run([GAMEDAY, "validate", file.name], capture_output=True, text=True,
                                 check=False)
            if run.returncode != 0:
                failures.append(run.stderr)
    if not examples:
        failures.append("the page has no example")
    for failure in failures:
        print(failure)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
