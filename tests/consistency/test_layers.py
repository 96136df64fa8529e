"""A forbidden include does not compile: each layer sees the headers of the layers below it only."""

import json
import os
import shlex
import subprocess
import sys

SOURCE = os.environ["GAMEDAY_SOURCE"]
BUILD = os.path.dirname(os.path.dirname(os.environ["GAMEDAY"]))

# Folder -> prefixes of includes that it may use.
PLUG_IN = {"base", "version", "plugin", "gameday"}
ALLOWED = {
    "core/base": {"base", "version"},
    "core/plugin": PLUG_IN,
    "core/scenario": PLUG_IN | {"scenario"},
    "core/engine": PLUG_IN | {"scenario", "engine"},
    # The table of providers names the simulator's, which knows the services.
    "clusters": PLUG_IN | {"clusters", "sim", "services"},
    "clusters/sim": PLUG_IN | {"sim", "services"},
    "services": PLUG_IN | {"services"},
    "injectors": PLUG_IN | {"injectors"},
    "workload": PLUG_IN | {"workload"},
    "checkers": PLUG_IN | {"checkers"},
    "report": PLUG_IN | {"report"},
}
FORBIDDEN = [
    ("core/base", "gameday/plugin.h"),
    ("core/scenario", "engine/record.h"),
    ("checkers", "engine/record.h"),
    ("injectors", "scenario/scenario.h"),
    ("report", "engine/record.h"),
]


def roots_of(arguments):
    """Names of the include roots of this project in a compiler's command line."""
    found = set()
    for argument in arguments:
        path = os.path.normpath(argument[2:]) if argument.startswith("-I") else ""
        if path.startswith(os.path.join(BUILD, "inc") + os.sep):
            found.add(os.path.basename(path))
        elif path == os.path.join(SOURCE, "include"):
            found.add("gameday")
    return found


def main():
    with open(os.path.join(BUILD, "compile_commands.json"), encoding="utf-8") as file:
        commands = json.load(file)
    failures = []
    example = {}
    for entry in commands:
        folder = os.path.dirname(os.path.relpath(entry["file"], SOURCE))
        while folder and folder not in ALLOWED:
            folder = os.path.dirname(folder)
        if not folder:
            continue
        arguments = shlex.split(entry["command"])
        example.setdefault(folder, (arguments[0], arguments))
        for name in roots_of(arguments) - ALLOWED[folder]:
            failures.append(f"{entry['file']} may include \"{name}/...\"")
    for folder in ALLOWED:
        if folder not in example:
            failures.append(f"{folder}: no source was found")
    for folder, header in FORBIDDEN:
        compiler, arguments = example[folder]
        includes = [a for a in arguments if a.startswith("-I")]
        for text, expected in ((f'#include "{header}"\n', False), ('#include "base/error.h"\n', True)):
            result = subprocess.run(
                [compiler, "-D_GNU_SOURCE", *includes, "-fsyntax-only", "-x", "c", "-"],
                input=text, capture_output=True, text=True, check=False)
            if (result.returncode == 0) != expected:
                failures.append(f"{folder}: {text.strip()}: compiles: {not expected}")
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
