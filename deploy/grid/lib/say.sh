# shellcheck shell=bash disable=SC2015,SC2016,SC2034,SC2086,SC2153,SC2174,SC2206
# What the grid's scripts say, and how they end. Sourced by bin/grid.sh.

EXIT_FAILED=1  # the grid could not do it
EXIT_USAGE=2   # wrong command line or setting
EXIT_MISSING=3 # Java, Maven or a download is missing

say() { printf 'grid: %s\n' "$*" >&2; }

# die STATUS MESSAGE...: the message is the first thing on stderr that counts, then the end.
die() {
  local status=$1
  shift
  clear_progress
  printf 'grid: %s\n' "$*" >&2
  exit "$status"
}

# progress MESSAGE: one line that is rewritten on a terminal, and a line every five seconds elsewhere.
progress_said=-5
progress() {
  if [[ -t 2 ]]; then
    printf '\r\033[Kgrid: %s' "$*" >&2
  elif ((SECONDS - progress_said >= 5)); then
    progress_said=$SECONDS
    say "$*"
  fi
}

clear_progress() {
  if [[ -t 2 ]]; then printf '\r\033[K' >&2; fi
}

have() { command -v "$1" >/dev/null 2>&1; }
