#!/usr/bin/python3
"""The JSON Schema and the parser say the same of every scenario file.

An independent validator (python3-jsonschema) takes every shipped scenario by `gameday schema`; then
each of them is damaged in every place, in every way below, and both are asked again: what the
parser takes, the schema takes; and what the parser calls an unknown key, a wrong kind of value, a
missing unit or an unknown plug-in, the schema refuses.
"""
import copy
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

SKIPPED = 77


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(SKIPPED)


try:
    import jsonschema
    import yaml
except ImportError as missing:
    skip(f"{missing}; install python3-jsonschema and python3-yaml")

# libyaml's own when Python has them: ten times faster.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
GAMEDAY = os.environ.get("GAMEDAY", "")
SOURCE = Path(os.environ.get("GAMEDAY_SOURCE", "."))
# What the schema must refuse too. Bounds of quantities and cross checks are the parser's alone.
SHAPE = re.compile(r"unknown (key|service|workload|measure|provider)|: found |has no unit"
                   r"|has the unknown unit|is missing in|names no fault"
                   r"|is not a (choice|truth value|whole number|duration|size|rate|ratio|number)"
                   r"|is no bound|is no statistic|has no '<='"
                   r"|is no time|unknown injector|is no target; expected SERVICE|none is given")
# Kinds that the schema cannot tell apart: a text in quotes may hold a number, and the units of an
# objective's bound are as free as its statistic.
EXCUSED = re.compile(r"found a text in quotes")


# What each value is replaced by.
OTHERS = ([1], {}, {"a": {}}, "30", 30, 1.5, True, None, "text", "5s", "5%", "1MiB", "1/s", "1..2", "1s..2s")


def load(path):
    with open(path, encoding="utf-8") as file:
        return yaml.load(file, Loader=LOADER)


def places(node, path=()):
    """Every (path, value) of a document."""
    yield path, node
    if isinstance(node, dict):
        for key, value in node.items():
            yield from places(value, path + (key,))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from places(value, path + (index,))


def parent_of(document, path):
    for step in path[:-1]:
        document = document[step]
    return document


def with_value(document, path, value):
    changed = copy.deepcopy(document)
    if not path:
        return value
    parent_of(changed, path)[path[-1]] = value
    return changed


def without(document, path):
    changed = copy.deepcopy(document)
    del parent_of(changed, path)[path[-1]]
    return changed


def renamed(document, path):
    changed = copy.deepcopy(document)
    parent = parent_of(changed, path)
    parent[f"{path[-1]}x"] = parent.pop(path[-1])
    return changed


def damaged(document):
    """Every damaged copy, with what was done to it."""
    for path, value in places(document):
        where = ".".join(str(step) for step in path) or "the document"
        for other in OTHERS:
            if other != value or type(other) is not type(value):
                yield f"{where} = {other!r}", with_value(document, path, other)
        if isinstance(value, dict):
            yield f"{where} + no_such_key", with_value(document, path, {**value, "no_such_key": 1})
        if path:
            yield f"{where} removed", without(document, path)
        if path and isinstance(path[-1], str):
            yield f"{where} renamed", renamed(document, path)


def validate_all(files):
    """What the parser says of each file: its messages, [] when it is valid."""
    messages = {str(file): [] for file in files}
    run = subprocess.run([GAMEDAY, "validate", *map(str, files)], capture_output=True, text=True,
                         check=False)
    if run.returncode not in (0, 2):
        sys.exit(f"gameday validate: exit {run.returncode}\n{run.stderr}")
    for line in (run.stdout + run.stderr).splitlines():
        found = re.search(r"(\S+\.yaml):(\d+:.*|\d+:\d+:.*| valid)$", line)
        if found and found.group(1) in messages and found.group(2) != " valid":
            messages[found.group(1)].append(line)
    return messages


def main():
    if not os.access(GAMEDAY, os.X_OK):
        skip("the program is not built (GAMEDAY)")
    schema = json.loads(subprocess.run([GAMEDAY, "schema"], capture_output=True, text=True,
                                       check=True).stdout)
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    failures = []
    shipped = sorted((SOURCE / "scenarios").glob("**/*.yaml"))
    if not shipped:
        sys.exit("no scenario is shipped")
    for path in shipped:
        failures += [f"{path}: {error.json_path}: {error.message}"
                     for error in validator.iter_errors(load(path))]
    failures += [line for lines in validate_all(shipped).values() for line in lines]

    cases = []
    with tempfile.TemporaryDirectory() as folder:
        for path in shipped:
            for what, document in damaged(load(path)):
                file = Path(folder) / f"{len(cases)}.yaml"
                file.write_text(yaml.dump(document, Dumper=DUMPER, sort_keys=False), encoding="utf-8")
                cases.append((f"{path.name}: {what}", file))
        messages = {}
        for start in range(0, len(cases), 500):
            messages.update(validate_all([file for _, file in cases[start:start + 500]]))
        for what, file in cases:
            said = messages[str(file)]
            # As the validator reads it from the file: an empty text is nothing to YAML.
            accepted = validator.is_valid(load(file))
            shape = [line for line in said if SHAPE.search(line) and not EXCUSED.search(line)]
            if not said and not accepted:
                failures.append(f"{what}: the parser takes it, the schema does not")
            if shape and accepted:
                failures.append(f"{what}: the schema takes it, the parser says {shape[0]}")
    for failure in failures[:40]:
        print(failure)
    print(f"{len(shipped)} scenarios, {len(cases)} damaged copies, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
