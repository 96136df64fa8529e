"""The command line as a table: arguments, exit code, what is said. One row a case."""

import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from gameday import SOURCE, Checks, Place, plain_environment, run  # noqa: E402

GOOD = os.path.join(SOURCE, "scenarios/postgres/switchover.yaml")
CRASH = os.path.join(SOURCE, "scenarios/postgres/primary-crash.yaml")
SENTINEL = os.path.join(SOURCE, "scenarios/redis/sentinel-loss.yaml")
SINGLE = os.path.join(SOURCE, "scenarios/redis/aof-everysec-restart.yaml")
CUT = os.path.join(SOURCE, "scenarios/network/primary-isolated.yaml")
TEN = os.path.join(SOURCE, "tests/cli/ten-mistakes.yaml")
MET, MISSED, USAGE, ENVIRONMENT, UNTRUSTED = 0, 1, 2, 3, 4

# (arguments, exit code, patterns on stdout, patterns on stderr). {name} stands for a path. A row
# without a pattern for a stream expects silence there.
ROWS = [
    # No command, unknown ones, help.
    ("", USAGE, [], ["usage: gameday COMMAND", "Exit codes:\n\n  0 +objectives met"]),
    ("--help", MET, ["usage: gameday COMMAND", "validate +Check scenario files"], []),
    ("-h", MET, ["usage: gameday COMMAND"], []),
    ("help", MET, ["usage: gameday COMMAND"], []),
    ("help run", MET, ["^usage: gameday run SCENARIO", "\n  --repeat N"], []),
    ("help rnu", USAGE, [], ["unknown command 'rnu'; did you mean 'run'\\?"]),
    ("--man", MET, ["^\\.TH GAMEDAY 1 ", "\n\\.SS gameday run ", "fB\\\\-\\\\-seed"], []),
    ("rnu", USAGE, [], ["unknown command 'rnu'; did you mean 'run'\\?"]),
    ("validat x", USAGE, [], ["did you mean 'validate'\\?"]),
    ("frobnicate", USAGE, [], ["unknown command 'frobnicate'; gameday --help lists them"]),
    ("--frobnicate", USAGE, [], ["unknown command '--frobnicate'"]),
    ("version", MET, [r"^gameday \d+\.\d+\.\d+\n$"], []),
    ("--version", MET, [r"^gameday \d+\.\d+\.\d+\n$"], []),
    ("version x", USAGE, [], ["usage: gameday version"]),
    # Options.
    ("run --sed 3 x.yaml", USAGE, [], ["unknown option --sed; did you mean --seed\\?", "usage:"]),
    ("run --zzz x.yaml", USAGE, [], ["unknown option --zzz\n"]),
    ("run -s x.yaml", USAGE, [], ["unknown option -s; options are long"]),
    ("run --seed 1 --seed 2 x.yaml", USAGE, [], ["--seed is given twice", "usage:"]),
    ("run --out a --out=b x.yaml", USAGE, [], ["--out is given twice", "usage:"]),
    ("run x.yaml --seed", USAGE, [], [r"--seed needs a value \(N\)"]),
    ("run --seed x x.yaml", USAGE, [], ['--seed: "x" is not a whole number']),
    ("run --seed=-1 x.yaml", USAGE, [], ['--seed: "-1" is not a whole number from 0 on; expected']),
    ("heal --force=1 x", USAGE, [], ["--force takes no value"]),
    ("schema --print", USAGE, [], ["unknown option --print"]),
    ("{good} run", USAGE, [], ["unknown command"]),
    # Words: too few, too many.
    ("run", USAGE, [], ["usage: gameday run SCENARIO.yaml"]),
    ("validate", USAGE, [], ["usage: gameday validate SCENARIO.yaml"]),
    ("report", USAGE, [], ["usage: gameday report RUN_DIR"]),
    ("report a b", USAGE, [], ["usage: gameday report RUN_DIR"]),
    ("export", USAGE, [], ["usage: gameday export RUN_DIR"]),
    ("heal", USAGE, [], ["usage: gameday heal RUN_DIR"]),
    ("list a b c", USAGE, [], ["usage: gameday list"]),
    ("schema x", USAGE, [], ["usage: gameday schema"]),
    ("doctor x", USAGE, [], ["usage: gameday doctor"]),
    ("cluster", USAGE, [], ["usage: gameday cluster up SCENARIO.yaml"]),
    ("cluster frob", USAGE, [], ["there are up, list, exec and down, not 'frob'"]),
    ("cluster up", USAGE, [], ["usage: gameday cluster"]),
    ("cluster list x", USAGE, [], ["usage: gameday cluster"]),
    ("cluster exec x", USAGE, [], ["usage: gameday cluster"]),
    ("cluster down", USAGE, [], ["usage: gameday cluster"]),
    # Tables.
    ("list", MET, ["providers:\n  local ", "services:\n  postgres ", "injectors:\n"], []),
    ("list injectors", MET, ["^injectors:\n", "host-crash +A host loses power"], []),
    ("list injectors process-kill", MET, ["^process-kill: ", "signal +choice +SIGKILL"], []),
    ("list injector", USAGE, [], ["unknown family 'injector'; there are providers, "]),
    ("list injectors nope", USAGE, [], ["there is no 'nope' among the injectors"]),
    ("schema", MET, [r'"\$schema"', '"host-crash"'], []),
    # Scenario files that are none.
    ("validate nope.yaml", USAGE, [], ["cannot open nope.yaml: No such file"]),
    ("run nope.yaml", USAGE, [], ["cannot open nope.yaml: No such file"]),
    ("cluster up nope.yaml", USAGE, [], ["cannot open nope.yaml: No such file"]),
    ("validate {place}", USAGE, [], ["cannot read {place}: Is a directory"]),
    ("validate /dev/null", USAGE, [], ["/dev/null:1:1: the file is empty"]),
    ("validate {place}/binary", USAGE, [], ["{place}/binary:"]),
    ("validate {place}/large", USAGE, [], ["{place}/large"]),
    ("validate {place}/deep", USAGE, [], ["{place}/deep:1:"]),
    ("validate {good} nope.yaml", USAGE, [], ["switchover.yaml: valid", "cannot open nope.yaml"]),
    ("run {good} nope.yaml", USAGE, [], ["^error: cannot open nope.yaml: No such file[^\n]*\n$"]),
    # Scenario files that are some.
    ("validate {good}", MET, [], ["{good}: valid"]),
    ("validate --print {good}", MET, ["^name: switchover\n", "      ttl: 30s\n"], []),
    ("validate {good} --provider nope", USAGE, [], ['error: --provider: unknown provider "nope"; expected']),
    ("validate {good} --provider local", MET, [], ["valid"]),
    ("run {good} --provider locl", USAGE, [], ["--provider: unknown [^\n]*; did you mean 'local'"]),
    ("run {good} --repeat 0", USAGE, [], ['--repeat: "0" is too small; expected 1 to 1000']),
    ("run {good} --repeat 1001", USAGE, [], ['--repeat: "1001" is too large; expected 1 to 1000']),
    ("run {good} --seed 9223372036854775807", USAGE, [], ["--seed: [^\n]*is too large; expected at most 9223372036"]),
    ("run {good} --set repeat=-1", USAGE, [], ['--set repeat=-1: [^\n]*small; expected 1 to 1000']),
    # --set.
    ("validate {good} --set x", USAGE, [], ['--set "x": expected path=value such as']),
    ("validate {good} --set =x", USAGE, [], ['--set "=x": expected path=value such as']),
    ("validate {good} --set nope..b=1", USAGE, [], ["not a path; [^\\n]*timeline\\[0\\].for\\n\\Z"]),
    ("validate {good} --set objectives.failover_time=[<=5s,>=6s]", USAGE, [], ["in quotes: >=6s\\n"]),
    ("validate {good} --set " + "x" * 300 + "=1", USAGE, [], ["path of 'x{40}...' is too long"]),
    ("validate {good} --set nope=1", USAGE, [], ['--set nope=1: unknown key "nope"']),
    ("validate {good} --set cluster.services.postgres.tt=20s", USAGE, [], ["did you mean 'ttl'"]),
    ("validate {good} --set cluster.services.postgres.ttl=20", USAGE, [], ["has no unit"]),
    ("validate {good} --set timeline[7].at=1s", USAGE, [], ["--set timeline\\[7\\].at=1s: "]),
    ("validate {good} --set timeline[x].at=1s", USAGE, [], ["--set timeline\\[x\\].at=1s: "]),
    # Objectives that no run can meet, or measure.
    ("validate {good} --set timeline=[]", USAGE, [],
     ["switchover.yaml:\\d+:\\d+: failover_time: no run can measure it: the timeline has no fault"]),
    ("validate {good} --set objectives.slots_unserved=0s", USAGE, [],
     ["slots_unserved: no run can measure it: no service has shards"]),
    ("validate {good} --set objectives.cache_recovery_time=1s", USAGE, [],
     ["cache_recovery_time: no run can measure it: no workload reads one service through another"]),
    ("validate {good} --set objectives.sessions_lost=0", USAGE, [],
     ["sessions_lost: no run can measure it: no workload keeps sessions and a cache"]),
    ("validate {crash} --set cluster.services.postgres.instances=1", USAGE, [],
     ["replication_lag.p99: no run can measure it: no service has a replica"]),
    ("validate {crash} --set cluster.services.postgres.topology=single "
     "--set objectives={{\"staleness.max\":1s}}", USAGE, [],
     ["staleness.max: no run can measure it: no service has a replica"]),
    ("validate {crash} --set cluster.services.postgres.instances=2", MET, [], ["valid"]),
    ("validate {sentinel} --set objectives.staleness.p99=1s", MET, [], ["valid"]),
    ("validate {single} --set objectives.replica_read_latency.p99=1s", USAGE, [],
     ["replica_read_latency.p99: no run can measure it: no service has a replica"]),
    ("validate {good} --set objectives.oom_errors=0", USAGE, [], ["oom_errors: no run can measure it: no workload"]),
    ("validate {good} --set objectives.failover_time=['<=10s','>=20s']", USAGE, [],
     ['failover_time: no run meets "<=10s" and ">=20s" together']),
    ("validate {good} --set objectives.failover_time=['p99<=10s','median>=20s']", USAGE, [],
     ['failover_time: no run meets "p99<=10s" and "median>=20s" together']),
    ("validate {good} --set objectives.failover_time=['median<=10s','p99>=20s']", MET, [], ["valid"]),
    ("validate {good} --set objectives.failover_time=['mean<=10s','p99>=20s']", MET, [], ["valid"]),
    ("validate {good} --set objectives.failover_time=['>=5s','<=20s']", MET, [], ["valid"]),
    ("validate {good} --set seed=7 --print", MET, ["\nseed: 7\n"], []),
    ("validate {good} --set=seed=7 --print", MET, ["\nseed: 7\n"], []),
    # Who is to become primary is not the one who is.
    ("validate {good} --set timeline[0].switchover.target=postgres.primary", USAGE, [],
     ["target: postgres.primary is the primary; expected who becomes it"]),
    ("validate {good} --set timeline[0].switchover.target=postgres.any", USAGE, [], ["postgres.any may be the primary"]),
    ("validate {good} --set timeline[0].switchover.target=host/pg2", MET, [], ["valid"]),
    # Faults that this cluster is too small for.
    ("validate {cut} --set timeline[0].net-partition.hosts=3", USAGE, [],
     ["hosts: postgres has 3 hosts, and somebody must be on the other side; expected 1 to 2"]),
    ("validate {cut} --set timeline[0].net-partition.shape=ring", USAGE, [],
     ["shape: ring needs 4 hosts of postgres or more, which has 3"]),
    ("validate {cut} --set timeline[0].net-partition.clients=2", USAGE, [],
     ["clients: there are 1 client hosts; expected 0 to 1"]),
    ("validate {cut} --set timeline[0].net-partition.shape=from-store", MET, [], ["valid"]),
    # Searches.
    ("explore", USAGE, [], ["usage: gameday explore SCENARIO.yaml"]),
    ("explore {good} {good}", USAGE, [], ["usage: gameday explore SCENARIO.yaml"]),
    ("explore --help", MET, ["same seeds give\n?the same summary", "4 nothing was, but"], []),
    ("explore nope.yaml", USAGE, [], ["^error: cannot open nope.yaml: No such file[^\n]*\n$"]),
    ("explore {good} --seeds 0", USAGE, [], ["--seeds must be from 1 to 9223372036854774807"]),
    ("explore {good} --jobs 0", USAGE, [], ["--jobs must be from 1 to 256"]),
    ("explore {good} --shrink 11", USAGE, [], ["--shrink must be from 0 to 10"]),
    ("explore {good} --seed 9223372036854775807", USAGE, [], ["--seed must be from 0 to 92233"]),
    ("explore {good} --for 10", USAGE, [], ['--for: "10" has no unit; expected a duration']),
    ("explore {good} --for 0s", USAGE, [], ["--for must be more than 0s"]),
    ("explore {good} --provider local", USAGE, [], ["'local' runs in real time; expected one in"]),
    ("explore {good} --set explore.faults=9..1", USAGE, [], ['"9..1" runs backwards']),
    ("explore {good} --set explore.injectors=[switchover]", USAGE, [], ["is a planned step"]),
    ("explore {good} --set explore.faults=9 --set explore.for=9s", USAGE, [],
     ["explore: there is no room for 9 faults"]),
    ("explore {good} --seeds 2 --jobs 1 --seed 1 --set explore.injectors=[process-kill] "
     "--set explore.faults=1 --set explore.for=1s --set objectives={{\"dual_primary\":0s}}", MET,
     [r"^switchover: 2 schedules on sim, seeds 1 to 2; simulated: Patroni 3.2\n  pass 2, violated 0, unknown 0\n"], []),
    # Predictions.
    ("predict", USAGE, [], ["usage: gameday predict SCENARIO.yaml"]),
    ("predict {good} {good}", USAGE, [], ["usage: gameday predict SCENARIO.yaml"]),
    ("predict nope.yaml", USAGE, [], ["cannot open nope.yaml: No such file"]),
    ("predict nope.yaml --sweep a=1,2", USAGE, [], ["cannot open nope.yaml: No such file"]),
    ("predict {good} --seeds 0", USAGE, [], ["--seeds must be from 1 to 100000"]),
    ("predict {good} --jobs 257", USAGE, [], ["--jobs must be from 1 to 256"]),
    ("predict {good} --seed 9223372036854775807", USAGE, [], ["--seed must be from 0 to 92233"]),
    ("predict {good} --seed 9223372036854774807", USAGE, [], ["the last seed must be at most"]),
    ("predict {good} --provider local", USAGE, [], ["'local' runs in real time; expected one in"]),
    ("predict {good} --set x", USAGE, [], ["--set"]),
    ("predict {good} --set x --sweep load.settle=5s,6s", USAGE, [], ["--set"]),
    ("predict {good} --sweep ttl", USAGE, [], ['--sweep: "ttl": expected PATH=FROM..TO/STEP or']),
    ("predict {good} --sweep a=1s..9s", USAGE, [], ["1s..9s\" is no range; expected FROM..TO/STEP"]),
    ("predict {good} --sweep nope=1,2", USAGE, [],
     ['refused with every value; nope=1: unknown key "nope"']),
    ("predict {good} --seeds 100000 --sweep cluster.services.postgres.ttl=30s..40s/1s", USAGE, [],
     ["11 values of 100000 runs each are more than 1000000 runs"]),
    ("predict {good} --seeds 3", MET, ["^PASS +switchover: predicted to pass: .* all of 3 simul"], []),
    ("predict {good} --seeds 3 --json", MET, ['"schema": "gameday/predict/v1"'], []),
    ("predict {good} --seeds 3 --set objectives.failover_time=<=1ms", MISSED,
     ["^FAIL +switchover: predicted to miss in 100 % of 3", "--set 'objectives.failover_time=<=1ms' --seed 1\n"],
     []),
    # Run directories that are none.
    ("report nope", USAGE, [], ["nope/scenario.yaml is not there: .*nope is no run directory"]),
    ("report {place}", USAGE, [], ["is no run directory"]),
    ("report {place}/", USAGE, [], ["{place} is no run directory"]),
    ("report {good}", USAGE, [], ["is no run directory"]),
    ("report " + "x/" * 2100, USAGE, [], ["is longer than 4095 bytes"]),
    ("export nope", USAGE, [], ["nope is no run directory"]),
    ("export {place}", USAGE, [], ["{place} is no run directory"]),
    ("export --format xml {place}", USAGE, [], ["--format is jsonl, csv or edn, not 'xml'"]),
    ("heal nope", USAGE, [], ["nope is no run directory"]),
    ("heal {place}", USAGE, [], ["{place} is no run directory"]),
    ("heal {place}/damaged", USAGE, [], ["damaged is no run directory"]),
    ("heal {place}/foreign", USAGE, [], ["names no known provider and cluster"]),
    ("heal {place}/evil", USAGE, [], ["."]),
    ("report {place}/damaged", USAGE, [], ["damaged"]),
    ("export {place}/damaged", USAGE, [], ["damaged"]),
]


def prepare(place):
    """Files that rows name."""
    with open(os.path.join(place, "binary"), "wb") as file:
        file.write(bytes(range(256)))
    with open(os.path.join(place, "large"), "wb") as file:
        file.write(b"# large\n" * (1 << 18))
    with open(os.path.join(place, "deep"), "wb") as file:
        file.write(b"[" * 5000)
    # The Patroni of this machine, if any, is not to be warned of.
    os.mkdir(os.path.join(place, "programs"))
    with open(os.path.join(place, "programs", "patroni"), "w", encoding="ascii") as file:
        file.write("#!/bin/sh\nexit 1\n")
    os.chmod(os.path.join(place, "programs", "patroni"), 0o755)
    run_files = {
        "damaged": '{"schema": "gameday/run/v1", "id": "gd',
        "foreign": '{"schema": "gameday/run/v1", "id": "gd00000000", "provider": "nope"}',
        "evil": '{"schema": "gameday/run/v1", "id": "../../etc", "provider": "local"}',
    }
    for name, content in run_files.items():
        os.mkdir(os.path.join(place, name))
        with open(os.path.join(place, name, "run.json"), "w", encoding="utf-8") as file:
            file.write(content)
        with open(os.path.join(place, name, "scenario.yaml"), "w", encoding="utf-8") as file:
            file.write("name: damaged\n")


def check_stream(checks, row, stream, text, patterns, names):
    if not patterns:
        checks.check(text == "", f"gameday {row}: {stream} is not silent", text)
    for pattern in patterns:
        for key, value in names.items():
            pattern = pattern.replace("{" + key + "}", re.escape(value))
        checks.check(re.search(pattern, text), f"gameday {row}: no '{pattern}' on {stream}", text)


def check_row(checks, row, names):
    args, code, out, err = row
    words = [word.format(**names) for word in args.split()]
    path = os.path.join(names["place"], "programs") + ":" + os.environ["PATH"]
    result = run(words, cwd=names["place"], env=plain_environment(PATH=path))
    shown = " ".join(words)[:120]
    checks.check(
        result.returncode == code, f"gameday {shown}: exit {result.returncode}, not {code}",
        result.stderr)
    check_stream(checks, shown, "stdout", result.stdout, out, names)
    check_stream(checks, shown, "stderr", result.stderr, err, names)
    checks.check(
        not os.path.exists(os.path.join(names["place"], "gameday-runs")),
        f"gameday {shown}: left a run directory")


def check_help(checks):
    """Every command has a --help that names its options and goes to stdout."""
    overview = run(["--help"]).stdout
    commands = re.findall(r"^  ([a-z]+) +\S", overview, re.MULTILINE)
    checks.check(len(commands) >= 10, "the overview lists the commands", overview)
    for command in commands:
        result = run([command, "--help"])
        checks.check(result.returncode == MET, f"{command} --help: exit {result.returncode}")
        checks.check(result.stderr == "", f"{command} --help says something on stderr")
        checks.check(
            result.stdout.startswith(f"usage: gameday {command}"), f"{command} --help: usage")
        checks.check("  --help" in result.stdout, f"{command} --help lists --help")
        checks.check(run([command, "-h"]).stdout == result.stdout, f"{command} -h is --help")
        for option in re.findall(r"^  (--[a-z]+) [A-Z]", result.stdout, re.MULTILINE):
            missing = run([command, option])
            checks.check(
                missing.returncode == USAGE and "needs a value" in missing.stderr,
                f"{command} {option} without a value is refused", missing.stderr)


def check_ten_mistakes(checks, place):
    """Ten located messages, exit 2, and no cluster is touched: not even a directory is made."""
    expected = [2, 3, 5, 9, 10, 14, 17, 22, 24, 25]
    before = sorted(os.listdir(place))
    for command in ["validate", "run"]:
        out = ["--out", os.path.join(place, "ten")] if command == "run" else []
        result = run([command, TEN, *out], cwd=place)
        found = re.findall(r"^error: \S+ten-mistakes\.yaml:(\d+):\d+: .", result.stderr, re.M)
        checks.check(result.returncode == USAGE, f"{command}: ten mistakes: exit code")
        checks.check(
            [int(line) for line in found] == expected,
            f"{command}: ten mistakes on the lines {expected}", result.stderr)
        checks.check(result.stdout == "", f"{command}: ten mistakes: stdout is silent")
    checks.check(sorted(os.listdir(place)) == before, "ten mistakes: nothing is made")


def main():
    checks = Checks()
    with Place() as place:
        prepare(place)
        for row in ROWS:
            check_row(checks, row, {"place": place, "good": GOOD, "cut": CUT, "crash": CRASH,
                                    "sentinel": SENTINEL, "single": SINGLE})
        check_help(checks)
        check_ten_mistakes(checks, place)
    checks.finish()


if __name__ == "__main__":
    main()
