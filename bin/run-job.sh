#!/usr/bin/env bash
# Runs, submits and looks after jobs: see bin/run-job.sh --help.
# In a checkout it builds run-job first (Go's cache makes that quick); in a package it just runs it.
set -u -o pipefail
bin=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

if [ -x "$bin/run-job" ]; then
  exec "$bin/run-job" "$@"
fi

checkout=$(dirname "$bin")
if [ ! -f "$checkout/go.mod" ]; then
  echo "run-job.sh: neither $bin/run-job nor a checkout of Heddle is here" >&2
  exit 2
fi
if ! command -v go >/dev/null 2>&1; then
  echo "run-job.sh: there is no go command on the PATH; install Go 1.26 or newer" >&2
  exit 2
fi

program=$checkout/build/run-job
# The compiler collects its garbage less often: an empty cache is filled in four fifths of the CPU time.
# What only a debugger reads is left out: that halves the time to link.
export GOGC_BUILD=${GOGC_BUILD:-400}
log=$(mktemp "${TMPDIR:-/tmp}/heddle-build.XXXXXX") || exit 1
trap 'rm -f "$log"' EXIT
if [ -t 2 ]; then
  if [ -x "$program" ]; then
    # After a change it takes a moment, or longer; on a busy machine it takes longer also if nothing has changed.
    (sleep 2 && echo "building Heddle, as far as it has changed" >&2) &
    note=$!
  else
    echo "building Heddle (once; with an empty Go cache this takes up to a minute)" >&2
    note=
  fi
  (cd "$checkout" && GOGC=$GOGC_BUILD CGO_ENABLED=0 go build -ldflags='-s -w' -o "$program" ./cmd/run-job) 2> >(tee "$log" >&2)
  status=$?
  [ -z "$note" ] || kill "$note" 2>/dev/null
else
  (cd "$checkout" && GOGC=$GOGC_BUILD CGO_ENABLED=0 go build -ldflags='-s -w' -o "$program" ./cmd/run-job) >"$log" 2>&1
  status=$?
  [ $status -eq 0 ] || cat "$log" >&2
fi
if [ $status -ne 0 ]; then
  echo "run-job.sh: the build failed" >&2
  exit 1
fi
rm -f "$log"
trap - EXIT
export HEDDLE_CHECKOUT=$checkout
exec "$program" "$@"
