#!/bin/bash
# The load of redis-ledger against redis-benchmark: the same SET of a new key, as many of them, on
# the same server, with the same connections and pipeline depth and one thread each, in turns. Prints
# throughput and client CPU an operation of both.
#
#   tests/bench/redis.sh BENCH_LOAD [SECONDS [ROUNDS [CONNECTIONS...]]]
#
# BENCH_LOAD is the program built from bench_load.c. The server is made for this and thrown away; it
# saves nothing, so that the clients and not the disk are what is measured.
#
# The key has the length that gameday's had in the run before. It matters: with up to 14 characters
# it takes 16 bytes of the server's allocator, with more 32, as the entry of the server's table does
# that points to it, and then both stand side by side. Measured with redis-benchmark alone, depth 16
# and 16 connections: the server spends 1.74 us of user time an operation on keys of 12 and of 14
# characters, 1.40 on those of 15, 1.29 on those of 17; and the server is what bounds the throughput.
set -euo pipefail

bench_load=$(realpath "$1")
seconds=${2:-3}
rounds=${3:-7}
shift $(($# < 3 ? $# : 3))
connections=("$@")
[ ${#connections[@]} -gt 0 ] || connections=(1 16 64)

for program in redis-server redis-benchmark redis-cli; do
  if ! command -v "$program" >/dev/null; then
    echo "skipped: no $program is installed" >&2
    exit 77
  fi
done

work=$(mktemp -d)
server=
clean_up() {
  if [ -n "$server" ]; then
    kill -KILL "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap clean_up EXIT

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
redis-server --port "$port" --bind 127.0.0.1 --dir "$work" --save '' --appendonly no \
  >"$work/log" 2>&1 &
server=$!
ask() { redis-cli -h 127.0.0.1 -p "$port" "$@"; }
for _ in $(seq 100); do
  ask PING >/dev/null 2>&1 && break
  sleep 0.1
done

# What redis-ledger sends: a checksum and 128 characters.
value=$(printf '4294967295:'; printf 'x%.0s' $(seq 128))
# What comes before redis-benchmark's number, of 12 digits, so that the key is as long as most of
# those that the server has now.
prefix=
set_prefix() {
  local length pattern=gd:w:::::::::::::::::::::::::::::
  length=$(ask -r 99 RANDOMKEY | awk '{print length}' | sort -n | sed -n 50p)
  prefix=${pattern:0:$((length > 12 ? length - 12 : 0))}
}

TIMEFORMAT='%U %S'

# Prints "operations seconds CPU-seconds" of one run.
run_gameday() {
  local cpu
  rm -rf "$work/run"
  mkdir "$work/run"
  cpu=$({ time "$bench_load" redis 127.0.0.1 "$port" "$1" 1 "$seconds" "$work/run" "$2" \
    >"$work/out" 2>"$work/err"; } 2>&1) || cat "$work/err" >&2
  grep -q 'fail=0 unknown=0 dropped=0' "$work/out" || cat "$work/out" >&2
  set_prefix
  echo "$(cut -d' ' -f1,2 "$work/out") $cpu"
}
# As many operations as gameday's last run had.
run_benchmark() {
  local cpu count
  count=$(tail -n 1 "$work/gameday" | cut -d' ' -f1)
  cpu=$({ time redis-benchmark -h 127.0.0.1 -p "$port" -c "$1" -P "$2" -n "$count" \
    -r 1000000000 --csv SET "${prefix}__rand_int__" "$value" >"$work/out" 2>"$work/err"; } 2>&1) ||
    cat "$work/err" >&2
  python3 - "$work/out" "$count" "$cpu" <<'PY'
import csv, sys
rows = list(csv.reader(open(sys.argv[1])))
print(sys.argv[2], float(sys.argv[2]) / float(rows[-1][1]), sys.argv[3])
PY
}

printf '%6s %11s %7s  %12s %12s %6s   %10s %10s %6s\n' depth connections rounds redis-bench/s \
  gameday/s ratio 'us/op' 'us/op' ratio
for depth in 1 16; do
  for count in "${connections[@]}"; do
    : >"$work/benchmark"
    : >"$work/gameday"
    for _ in $(seq "$rounds"); do
      for who in gameday benchmark; do
        ask FLUSHALL >/dev/null
        "run_$who" "$count" "$depth" >>"$work/$who"
      done
    done
    python3 - "$work/benchmark" "$work/gameday" "$depth" "$count" "$rounds" <<'PY'
import statistics, sys
def read(path):
    rows = [list(map(float, line.split())) for line in open(path)]
    return [(r[0] / r[1], (r[2] + r[3]) / r[0] * 1e6) for r in rows]
theirs, ours = read(sys.argv[1]), read(sys.argv[2])
median = statistics.median
# The ratio of each pair of neighbouring runs, so that a busy minute of the machine meets both.
rate = median(b[0] / a[0] for a, b in zip(theirs, ours))
cost = median(b[1] / a[1] for a, b in zip(theirs, ours))
print(f"{sys.argv[3]:>6} {sys.argv[4]:>11} {sys.argv[5]:>7}"
      f"  {median(a[0] for a in theirs):12.0f} {median(b[0] for b in ours):12.0f} {rate:6.2f}"
      f"   {median(a[1] for a in theirs):10.2f} {median(b[1] for b in ours):10.2f} {cost:6.2f}")
PY
  done
done
