#!/bin/bash
# The load of pg-ledger against pgbench: the same INSERT, prepared, on the same server, with the
# same number of clients and threads, in turns. Prints throughput and client CPU an operation of both.
#
#   tests/bench/load.sh BENCH_LOAD [SECONDS [ROUNDS [CLIENTS...]]]
#
# BENCH_LOAD is the program built from bench_load.c. The server is made for this and thrown away; it
# runs without fsync, so that the clients and not the disk are what is measured.
set -euo pipefail

bench_load=$(realpath "$1")
seconds=${2:-2}
rounds=${3:-15}
shift $(($# < 3 ? $# : 3))
clients=("$@")
[ ${#clients[@]} -gt 0 ] || clients=(1 8 32)

# shellcheck disable=SC2012 # names of versions: nothing unusual in them
programs=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
if [ -z "$programs" ] || [ ! -x "$programs/pgbench" ]; then
  echo "skipped: no PostgreSQL server with pgbench is installed" >&2
  exit 77
fi
as_server=()
[ "$(id -u)" -ne 0 ] || as_server=(setpriv --reuid=postgres --regid=postgres --clear-groups)

work=$(mktemp -d)
server=
clean_up() {
  if [ -n "$server" ]; then
    kill -INT "$server" 2>/dev/null || true
    wait "$server" 2>/dev/null || true
  fi
  rm -rf "$work"
}
trap clean_up EXIT
[ "$(id -u)" -ne 0 ] || chown postgres "$work"
chmod 755 "$work"

port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
(cd / && "${as_server[@]}" "$programs/initdb" -D "$work/data" -U gameday -A trust --no-sync \
  --locale=C -E UTF8 >/dev/null)
(cd / && exec "${as_server[@]}" "$programs/postgres" -D "$work/data" -c port="$port" \
  -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off \
  -c synchronous_commit=off -c max_wal_size=8GB -c checkpoint_timeout=1h -c autovacuum=off \
  -c shared_buffers=256MB >"$work/log" 2>&1) &
server=$!
sql() { "$programs/psql" -X -q -h 127.0.0.1 -p "$port" -U gameday -d postgres -v ON_ERROR_STOP=1 -c "$1"; }
for _ in $(seq 100); do
  sql 'SELECT 1' >/dev/null 2>&1 && break
  sleep 0.1
done
sql 'CREATE SCHEMA gameday'
sql 'CREATE TABLE gameday.ledger (identity integer NOT NULL, sequence bigint NOT NULL,
  checksum bigint NOT NULL, payload text NOT NULL, position bigint GENERATED ALWAYS AS IDENTITY,
  PRIMARY KEY (identity, sequence))'
sql 'CREATE INDEX ledger_position ON gameday.ledger (position)'
sql 'CREATE TABLE gameday.heartbeat (id integer PRIMARY KEY, beat bigint NOT NULL)'

cat >"$work/insert.sql" <<'SQL'
\set sequence :sequence + 1
INSERT INTO gameday.ledger (identity, sequence, checksum, payload) VALUES (:client_id, :sequence, :checksum, :payload);
SQL
payload=$(printf 'x%.0s' $(seq 128))
TIMEFORMAT='%U %S'

# Prints "operations CPU-seconds" of one run.
run_pgbench() {
  local cpu
  cpu=$({ time "$programs/pgbench" -h 127.0.0.1 -p "$port" -U gameday -n -M prepared \
    -f "$work/insert.sql" -D sequence=0 -D checksum=4294967295 -D "payload=$payload" \
    -c "$1" -j "$2" -T "$seconds" postgres >"$work/out" 2>"$work/err"; } 2>&1)
  echo "$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' "$work/out") $cpu"
}
run_gameday() {
  local cpu
  rm -rf "$work/run"
  mkdir "$work/run"
  cpu=$({ time "$bench_load" postgres 127.0.0.1 "$port" "$1" "$2" "$seconds" "$work/run" \
    >"$work/out" 2>"$work/err"; } 2>&1) || cat "$work/err" >&2
  grep -q 'fail=0 unknown=0 dropped=0' "$work/out" || cat "$work/out" >&2
  echo "$(cut -d' ' -f1 "$work/out") $cpu"
}

printf '%8s %8s  %12s %12s %6s   %10s %10s %6s\n' clients rounds pgbench/s gameday/s ratio \
  'us/op' 'us/op' ratio
for count in "${clients[@]}"; do
  threads=$((count < 2 ? 1 : 2))
  : >"$work/pgbench"
  : >"$work/gameday"
  for _ in $(seq "$rounds"); do
    for who in pgbench gameday; do
      sql 'TRUNCATE gameday.ledger'
      sql 'CHECKPOINT'
      "run_$who" "$count" "$threads" >>"$work/$who"
    done
  done
  python3 - "$work/pgbench" "$work/gameday" "$count" "$rounds" "$seconds" <<'PY'
import statistics, sys
def read(path):
    rows = [list(map(float, line.split())) for line in open(path)]
    return [(r[0] / float(sys.argv[5]), (r[1] + r[2]) / r[0] * 1e6) for r in rows]
theirs, ours = read(sys.argv[1]), read(sys.argv[2])
median = statistics.median
# The ratio of each pair of neighbouring runs, so that a busy minute of the machine meets both.
rate = median(b[0] / a[0] for a, b in zip(theirs, ours))
cost = median(b[1] / a[1] for a, b in zip(theirs, ours))
print(f"{sys.argv[3]:>8} {sys.argv[4]:>8}"
      f"  {median(a[0] for a in theirs):12.0f} {median(b[0] for b in ours):12.0f} {rate:6.2f}"
      f"   {median(a[1] for a in theirs):10.2f} {median(b[1] for b in ours):10.2f} {cost:6.2f}")
PY
done
