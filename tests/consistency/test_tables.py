#!/usr/bin/python3
"""Tables, file names, pages, scenarios and exit codes tell the same story.

A unit is a file, a descriptor, a row in its family's table and a page; every parameter is on its
page with its default; every injector has a shipped scenario that uses it; every example of the
pages is valid; every link leads somewhere.
"""

import os
import re
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from gameday import SOURCE, Checks, run  # noqa: E402

try:
    import yaml
except ImportError:
    yaml = None

# Family: folder of the sources, prefix of the descriptor, folder of the pages (None: one page for
# the whole family).
FAMILIES = {
    "injectors": ("injectors", "injector", "docs/injectors"),
    "checkers": ("checkers", "checker", "docs/checkers"),
    "reports": ("report", "report", None),
    "workloads": ("workload", "workload", "docs/workloads"),
    "services": ("services", "service", "docs/services"),
    "providers": ("clusters", "provider", "docs/providers"),
}


def read(*parts):
    with open(os.path.join(SOURCE, *parts), encoding="utf-8") as file:
        return file.read()


def files(folder, suffix):
    """Names of all files below a folder, without the suffix, hidden and built ones left out."""
    for base, folders, names in os.walk(os.path.join(SOURCE, folder)):
        folders[:] = [name for name in folders if not name.startswith((".", "build"))]
        for name in sorted(names):
            if name.endswith(suffix):
                yield os.path.relpath(os.path.join(base, name), SOURCE)


def listed(family):
    text = run(["list", family]).stdout
    return re.findall(r"^  (\S+) +\S", text, re.MULTILINE)


def parameters(family, name):
    """(key, default) of each; the default None when there is none."""
    text = run(["list", family, name]).stdout
    # A text may have spaces, and has no bounds behind it.
    rows = re.findall(
        r"^  (\S+) +(?:true or false|(?!text)[a-z]+) +(\S+)(?: |$)", text, re.MULTILINE)
    rows += re.findall(r"^  (\S+) +text +(\S.*?) *$", text, re.MULTILINE)
    return [
        (key, None if default in ("-", "required") else default)
        for key, default in rows
        if key != "parameter"
    ]


def check_units(checks, family, names):
    """name-like-this <-> name_like_this.c <-> PREFIX_name_like_this."""
    folder, prefix, _ = FAMILIES[family]
    descriptors = {}
    for path in files(folder, ".c"):
        pattern = rf"^const struct {prefix} ({prefix}_\w+) = \{{"
        for descriptor in re.findall(pattern, read(path), re.MULTILINE):
            descriptors[descriptor] = path
    for name in names:
        plain = name.replace("-", "_")
        path = descriptors.pop(f"{prefix}_{plain}", None)
        if checks.check(path, f"{family}: {name} is {prefix}_{plain}"):
            checks.check(
                os.path.basename(path) == plain + ".c", f"{prefix}_{plain} is in {path}, "
                f"not in {plain}.c")
    checks.check(not descriptors, f"{family}: not in the table: {descriptors}")


def check_pages(checks, family, names):
    folder = FAMILIES[family][2]
    if not folder:
        page = read("docs/reports.md")
        for name in names:
            checks.check(f"`{name}`" in page, f"docs/reports.md tells of `{name}`")
        return
    pages = {os.path.basename(path)[:-3]: read(path) for path in files(folder, ".md")}
    for name in names:
        page = pages.pop(name, None)
        if not checks.check(page, f"{folder}/{name}.md is missing"):
            continue
        checks.check(page.startswith(f"# {name}\n"), f"{folder}/{name}.md begins with its name")
        for key, default in parameters(family, name):
            rows = [line for line in page.splitlines() if f"`{key}`" in line]
            checks.check(rows, f"{folder}/{name}.md tells of `{key}`")
            if default:
                checks.check(
                    any(f"`{default}`" in line or f"| {default} |" in line for line in rows),
                    f"{folder}/{name}.md: default `{default}` of `{key}`", "\n".join(rows))
    checks.check(not pages, f"{folder}: pages of nothing: {list(pages)}")


def scenarios():
    return list(files("scenarios", ".yaml"))


def check_scenarios(checks):
    paths = scenarios()
    checks.check(len(paths) >= 8, "there are shipped scenarios")
    used = set()
    for path in paths:
        text = read(path)
        result = run(["validate", path], cwd=SOURCE)
        checks.check(result.returncode == 0, f"{path} is valid", result.stderr)
        comment = re.match(r"(#[^\n]*\n)+", text)
        checks.check(
            comment and len(comment.group(0)) > 100, f"{path} begins with what is expected and why")
        name = os.path.basename(path)[:-5]
        checks.check(f"\nname: {name}\n" in text, f"{path} is named as its file")
        checks.check(re.search(r"^description: \S", text, re.MULTILINE), f"{path}: description")
        checks.check("\nobjectives:\n" in text, f"{path} has objectives")
        used.update(re.findall(r"^    ([a-z-]+):", text.partition("\ntimeline:")[2], re.MULTILINE))
    for injector in listed("injectors"):
        checks.check(injector in used, f"no shipped scenario uses {injector}")


def check_exit_codes(checks):
    """exit.h is the contract; the README and the overview repeat it."""
    codes = set(re.findall(r"^  EXIT_\w+ = (\d+),", read("include/gameday/exit.h"), re.MULTILINE))
    checks.check(len(codes) >= 8, "include/gameday/exit.h has the exit codes")
    table = read("README.md").partition("| exit code |")[2].partition("\n\n")[0]
    told = set()
    for cell in re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE):
        told.update(re.findall(r"\d+", cell))
    checks.check(told == codes, f"README.md has the exit codes {told}, exit.h {codes}")
    overview = run(["--help"]).stdout.partition("Exit codes:")[2]
    told = set(re.findall(r"\b\d+\b", overview))
    checks.check(told == codes, f"gameday --help has the exit codes {told}, exit.h {codes}")


def check_defaults_of_sections(checks):
    """The tables of docs/scenario.md against a scenario that says nothing of them."""
    page = read("docs/scenario.md")
    least = (
        "name: least\ncluster:\n  provider: local\n  services:\n    postgres: {}\n"
        "workloads:\n  - pg-ledger: {}\nobjectives:\n  data_loss: 0\n")
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
        file.write(least)
        file.flush()
        text = run(["validate", "--print", file.name]).stdout
    for section in ["load", "measure"]:
        block = text.partition(f"\n{section}:\n")[2]
        rows = re.match(r"((?:  \S+: [^\n]+\n)+)", block)
        if not checks.check(rows, f"the resolved scenario has {section}", text):
            continue
        for key, value in re.findall(r"^  (\S+): (.+)$", rows.group(1), re.MULTILINE):
            told = re.search(rf"^\| `{key}` \|.*\| `([^`]+)` \|$", page, re.MULTILINE)
            same = told and seconds(told.group(1)) == seconds(value)
            checks.check(same, f"docs/scenario.md: default `{value}` of {section}.{key}")


def seconds(text):
    """2min is 120s; what is no duration stays."""
    match = re.fullmatch(r"(\d+)(ms|s|min)", text)
    scales = {"ms": 1, "s": 1000, "min": 60000}
    return int(match.group(1)) * scales[match.group(2)] if match else text


def example_scenario(block):
    """An example of a page, completed to a whole scenario."""
    text = yaml.dump(block)
    if "redis" in text:
        service, workload = "redis", "redis-ledger"
        topology = "cluster" if "redis.primary[" in text else "sentinel"
    else:
        service, workload = "postgres", "pg-ledger"
        topology = "streaming" if "promote" in text else "patroni"
    whole = {
        "name": "example",
        "cluster": {"provider": "local", "services": {service: {"topology": topology}}},
        "workloads": [{workload: {}}],
        "objectives": {"data_loss": 0},
    }
    for key, value in block.items():
        if key == "cluster":
            services = value.get("services", whole["cluster"]["services"])
            whole["cluster"] = {"provider": "local", **value, "services": services}
        else:
            whole[key] = value
    return whole


def check_examples(checks):
    """Every YAML block of the pages is valid, alone or as a part of a scenario."""
    if not yaml:
        print("not checked: examples of the pages; install python3-yaml")
        return
    pages = ["README.md", *files("docs", ".md")]
    for path in pages:
        for number, text in enumerate(re.findall(r"^```yaml\n(.*?)^```", read(path), re.M | re.S)):
            where = f"{path}: example {number + 1}"
            block = yaml.safe_load(text)
            if block is None:  # a comment only
                continue
            if not checks.check(isinstance(block, dict), f"{where} is a mapping"):
                continue
            whole = example_scenario(block)
            with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
                yaml.safe_dump(whole, file, sort_keys=False)
                file.flush()
                result = run(["validate", file.name])
            checks.check(result.returncode == 0, f"{where} is valid", result.stderr)


def check_links(checks):
    for path in [*files(".", ".md")]:
        base = os.path.join(SOURCE, os.path.dirname(path))
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", read(path)):
            if "://" in target or target.startswith("mailto:"):
                continue
            checks.check(os.path.exists(os.path.join(base, target)), f"{path}: link to {target}")


def check_table_files(checks):
    """Every source in the injectors' folder is a unit, or shared by units: none is forgotten."""
    names = {name.replace("-", "_") + ".c" for name in listed("injectors")}
    found = {os.path.basename(path) for path in files("injectors", ".c")}
    checks.check(found - names == {"injectors.c", "step.c"}, f"injectors/: {found - names}")


def check_what_local_leaves(checks):
    """The page said "nothing" and forgot the folder of the registry."""
    text = read("docs/providers/local.md")
    section = text[text.index("## What it leaves behind"):]
    folders = re.findall(r'^#define LOCAL_\w+ "(/run/[^"]+)"', read("clusters/local/local.h"), re.M)
    checks.check(len(folders) >= 2, f"local.h names the folders outside of worlds: {folders}")
    for folder in folders:
        checks.check(f"`{folder}`" in section, f"docs/providers/local.md: {folder} stays")


def main():
    checks = Checks()
    for family in FAMILIES:
        names = listed(family)
        checks.check(names, f"gameday list {family} names some")
        check_units(checks, family, names)
        check_pages(checks, family, names)
    check_table_files(checks)
    check_scenarios(checks)
    check_exit_codes(checks)
    check_defaults_of_sections(checks)
    check_examples(checks)
    check_links(checks)
    check_what_local_leaves(checks)
    checks.finish()


if __name__ == "__main__":
    main()
