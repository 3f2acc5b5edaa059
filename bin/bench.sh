#!/usr/bin/env bash
# Measures Heddle against a bare loop over the same Kafka client: see bin/bench.sh --help.
set -u -o pipefail

CHECKOUT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if ! command -v go >/dev/null; then
  echo "bench: Go is missing: install Go 1.26 or newer (https://go.dev/dl)" >&2
  exit 3
fi

export HEDDLE_BENCH_PROGRAMS=$CHECKOUT/build/bench HEDDLE_BENCH_FILES=$CHECKOUT/bench
(
  cd "$CHECKOUT" && mkdir -p "$HEDDLE_BENCH_PROGRAMS" &&
    CGO_ENABLED=0 go build -buildvcs=false -o "$HEDDLE_BENCH_PROGRAMS/" ./cmd/run-job ./cmd/run-am ./bench/tasks ./bench/bare ./bench/run
) >&2 || {
  echo "bench: the build failed" >&2
  exit 1
}

# What needs no Kafka.
for arg in "$@"; do
  case $arg in
    -h | --help | -help) exec "$HEDDLE_BENCH_PROGRAMS/run" --help ;;
  esac
done
if [[ -n ${KAFKA_BOOTSTRAP_SERVERS:-} ]]; then
  exec "$HEDDLE_BENCH_PROGRAMS/run" "$@"
fi
KAFKA_BOOTSTRAP_SERVERS=none "$HEDDLE_BENCH_PROGRAMS/run" --check-usage "$@" || exit $?

HOME_OF_GRID=$(mktemp -d "${TMPDIR:-/tmp}/heddle-bench-grid.XXXXXX") || exit 1
PID=
end() {
  trap - EXIT INT TERM
  [[ -z $PID ]] || { kill "$PID" && wait "$PID"; } 2>/dev/null
  "$CHECKOUT/bin/grid.sh" clean --dir "$HOME_OF_GRID" >/dev/null 2>&1
  rm -rf "$HOME_OF_GRID"
}
trap end EXIT
trap 'end; exit 130' INT
trap 'end; exit 143' TERM

echo "bench: KAFKA_BOOTSTRAP_SERVERS is not set; starting a Kafka for this run" >&2
"$CHECKOUT/bin/grid.sh" start kafka --dir "$HOME_OF_GRID" --ports free >&2 || exit $?
eval "$("$CHECKOUT/bin/grid.sh" env --dir "$HOME_OF_GRID" 2>/dev/null)"
"$HEDDLE_BENCH_PROGRAMS/run" "$@" &
PID=$!
wait "$PID"
status=$?
PID=
exit $status
