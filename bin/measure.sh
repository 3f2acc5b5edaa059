#!/usr/bin/env bash
# Measures starts, recoveries and sizes on a real Kafka, HDFS and YARN.
set -u -o pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

usage() {
  cat <<'HELP'
usage: bin/measure.sh [--runs N] [--result FILE]

Measures on the grid that the environment names, or on one that it starts and stops: how long it
takes from a submit to the first record processed, and from the kill of a container to the next one;
how much memory an idle application master and container take; how fast an idle container ends; how
large the package is. Prints a table of medians (default: of 5 runs, 5 minutes in all).

example: bin/measure.sh --runs 9 --result bench/results/starts.txt
HELP
}

RUNS=5
RESULT=''
while (($#)); do
  case $1 in
    --runs | --result)
      (($# >= 2)) || { echo "measure: $1 needs a value" >&2; exit 2; }
      if [[ $1 == --runs ]]; then RUNS=$2; else RESULT=$2; fi
      shift
      ;;
    --runs=*) RUNS=${1#*=} ;;
    --result=*) RESULT=${1#*=} ;;
    -h | --help) usage; exit 0 ;;
    *) echo "measure: unknown option $1; bin/measure.sh --help lists them" >&2; exit 2 ;;
  esac
  shift
done
[[ $RUNS =~ ^[1-9][0-9]*$ ]] || { echo "measure: --runs takes a number, not '$RUNS'" >&2; exit 2; }
if [[ -n $RESULT && $RESULT != /* ]]; then RESULT=$PWD/$RESULT; fi

WORK=$(mktemp -d "${TMPDIR:-/tmp}/heddle-measure.XXXXXX") || exit 1
STARTED=''
clean_up() {
  [[ -z $STARTED ]] || bin/grid.sh clean --dir "$WORK/grid" >/dev/null 2>&1
  rm -rf "$WORK"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
if [[ -z ${GRID_HOME:-} || -z ${HADOOP_CONF_DIR:-} || -z ${KAFKA_BOOTSTRAP_SERVERS:-} ]]; then
  STARTED=1
  bin/grid.sh start --dir "$WORK/grid" --ports free || exit
  eval "$(bin/grid.sh env --dir "$WORK/grid")"
fi
CGO_ENABLED=0 go test -buildvcs=false -tags grid,measure -count 1 -timeout 60m -run '^TestMeasure$' \
  ./internal/endtoend -args -runs "$RUNS" -result "$WORK/table" || exit 1
cat "$WORK/table"
if [[ -n $RESULT ]]; then cp "$WORK/table" "$RESULT"; fi
