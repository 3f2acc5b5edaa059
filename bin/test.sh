#!/usr/bin/env bash
# The one command that tests all of it; .ci/run calls it, too.
set -u -o pipefail

CHECKOUT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$CHECKOUT" || exit 1

usage() {
  cat <<'HELP'
usage: bin/test.sh [--short|--unit|--grid] [--fuzz AMOUNT] [--lint] [--running] [--keep]

Checks format, vets, builds and tests everything, fuzzes the decoders, and runs the integration
tests against a real Kafka, HDFS and YARN, which it starts on free ports and stops again.

  --short      format, vet, build and the quick unit tests
  --unit       all that needs no Java: --short, the race detector, fuzzing, lint
  --grid       only the integration tests on the real grid
  --fuzz AMOUNT  how much a fuzz test tries: executions such as 50000x, or a time such as 60s; 0 for not
               at all (default: 100000x with CI=true, else 20000x). Decoders of what strangers send execute
               so many, others a twentieth of it, each within 90 s; a time holds for all
  --lint       build the linters if they are missing (2 minutes, once); without it they run only
               if they are there, or with CI=true
  --running    use the grid that the environment names (eval "$(bin/grid.sh env)")
  --keep       leave the grid running afterwards, and say where

Without Java or Maven the integration tests are skipped, which the summary says; with CI=true that
is a failure. What a failed integration test leaves to look at is kept in build/grid-logs.
Ends with 0 if everything passed, 1 if something failed, 2 for wrong usage, 3 if Go is missing.

example: bin/test.sh --short
HELP
}

CI=${CI:-}
FUZZ=20000x
LINT=0
if [[ $CI == true ]]; then FUZZ=100000x LINT=1; fi
PARTS='short unit grid'
RUNNING=0
KEEP=0
while (($#)); do
  case $1 in
    --short) PARTS=short ;;
    --unit) PARTS='short unit' ;;
    --grid) PARTS=grid ;;
    --fuzz)
      (($# >= 2)) || { echo "test: --fuzz needs an amount, such as 50000x or 60s" >&2; exit 2; }
      FUZZ=$2
      shift
      ;;
    --fuzz=*) FUZZ=${1#*=} ;;
    --lint) LINT=1 ;;
    --running) RUNNING=1 ;;
    --keep) KEEP=1 ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      echo "test: unknown option $1; bin/test.sh --help lists them" >&2
      exit 2
      ;;
  esac
  shift
done
if ! [[ $FUZZ =~ ^(0|[0-9]+[smhx])$ ]]; then
  echo "test: --fuzz takes executions such as 50000x, or a time such as 60s or 2m, not '$FUZZ'" >&2
  exit 2
fi
if ! command -v go >/dev/null; then
  echo "test: Go is missing: install Go 1.26 or newer (https://go.dev/dl)" >&2
  exit 3
fi
. tools/versions.sh

TOOLS=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/heddle-tools
# The environment's Go settings hold, but a checkout without git's data must build, too.
export GOFLAGS="${GOFLAGS:-} -buildvcs=false"
export CGO_ENABLED=0

WORK=$(mktemp -d "${TMPDIR:-/tmp}/heddle-test.XXXXXX") || exit 1
GRID_STARTED=''
FUZZING='' # the process group
SUMMARY=()
FAILED=0

clean_up() {
  local status=$?
  trap - EXIT
  [[ -z $FUZZING ]] || kill -- "-$FUZZING" 2>/dev/null
  if [[ -n $GRID_STARTED ]]; then
    if ((KEEP)); then
      echo "test: the grid goes on; stop it with: bin/grid.sh clean --dir $WORK/grid" >&2
      exit $status
    fi
    bin/grid.sh clean --dir "$WORK/grid" >/dev/null 2>"$WORK/clean.log" || cat "$WORK/clean.log" >&2
  fi
  rm -rf "$WORK"
  exit $status
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# note RESULT NAME DETAIL: a line of the summary.
note() { SUMMARY+=("$(printf '%-8s %-12s %s' "$1" "$2" "${3:-}")"); }

# step NAME COMMAND...: runs it, shows its output, and notes how it ended.
step() {
  local name=$1 began=$SECONDS
  shift
  printf '\n== %s\n' "$name"
  if "$@"; then
    note passed "$name" "$((SECONDS - began)) s${DETAIL:+, $DETAIL}"
  else
    note FAILED "$name" "$((SECONDS - began)) s${DETAIL:+, $DETAIL}"
    FAILED=1
  fi
  DETAIL=''
}
DETAIL=''

# skip NAME WHY: with CI=true a failure.
skip() {
  printf '\n== %s: skipped: %s\n' "$1" "$2"
  if [[ $CI == true ]]; then
    note FAILED "$1" "skipped, which CI=true does not allow: $2"
    FAILED=1
  else
    note skipped "$1" "$2"
  fi
}

check_format() {
  local files script
  files=$(find . -name '*.go' -not -path './.*/*' -not -path './build/*' -print0 | xargs -0 gofmt -l) || return 1
  if [[ -n $files ]]; then
    printf 'not formatted (gofmt -w them):\n%s\n' "$files"
    return 1
  fi
  # In a bubble of synctest sleeping costs nothing; elsewhere it is a guess at how long something takes.
  files=$(grep -r --include='*_test.go' 'time\.Sleep(' . | grep -v 'nolint:forbidigo //' | cut -d : -f 1 | sort -u | xargs -r grep -L '"testing/synctest"')
  if [[ -n $files ]]; then
    printf 'tests that sleep (wait for what is awaited, or use testing/synctest):\n%s\n' "$files"
    return 1
  fi
  for script in bin/*.sh deploy/grid/lib/*.sh tools/*.sh .ci/run; do
    bash -n "$script" || return 1
  done
}

vet() { go vet ./... && go vet -tags grid,engines ./...; }

# A laptop may be a Mac.
build() {
  go build ./... || return 1
  if [[ $CI == true ]]; then GOOS=darwin GOARCH=arm64 go build ./...; fi
}

race() {
  CGO_ENABLED=1 go test -p 3 -race -short -timeout 15m ./...
}

# test_files PATTERN: the files of tests in which a line matches.
test_files() {
  grep -rlE --include='*_test.go' "$1" . | grep -vE '^\./(\.|build/)'
}

# What reads bytes of strangers (RPC, tokens, properties, JSON) is tried in full, the rest a twentieth of
# it. Executions are counted: where the processors are busy, seconds are over before anything new is tried.
fuzz_one() {
  local package=$1 name=$2 program=$3 log=$WORK/fuzz.$2.${1//\//.} amount=$FUZZ bound=() status=0
  if [[ $amount == *x ]]; then
    case /$package in
      */yarn/rpc | */yarn/security | */config | */serde | */jobmodel) ;;
      *) amount=$((${amount%x} / 20 + 1))x ;;
    esac
    # An interrupt ends a fuzz test in order.
    if command -v timeout >/dev/null; then bound=(timeout --foreground -s INT 90); fi
  fi
  (cd "$package" && "${bound[@]}" "$program" -test.run '^$' -test.paniconexit0 -test.fuzz "^$name\$" -test.fuzztime "$amount" \
    -test.fuzzminimizetime 20x -test.parallel 1 -test.fuzzcachedir "$CORPUS/${package#./}") >"$log" 2>&1 || status=$?
  if ((status == 0)) || { ((status == 124)) && tail -n 1 "$log" | grep -qx PASS; }; then
    tail -n 3 "$log" | grep 'fuzz: elapsed' | tail -n 1 | sed "s,^fuzz:,$package $name:,"
  elif ! grep -q 'Failing input written' "$log" && grep -q '^ *context deadline exceeded$' "$log"; then
    # Go before 1.27 now and then takes the end of the time for a failure (go.dev/issue/75804).
    echo "$package $name: no failing input"
  else
    sed "s,^,$package $name: ," "$log"
    return 1
  fi
}

# One more at a time than there are cores, one worker each. Each package is built once; its corpus is where
# go test keeps it.
fuzz_all() {
  local packages package program names name bad=0 count=0 slots
  slots=$(($(nproc 2>/dev/null || echo 2) + 1))
  CORPUS=$(go env GOCACHE)/fuzz/$(go list -m) || return 1
  packages=$(test_files '^func Fuzz' | xargs -r -n 1 dirname | sort -u)
  for package in $packages; do
    program=$WORK/fuzz${package//\//.}.test
    # What does not build fails, and the others run all the same.
    if ! go test -c -fuzz . -o "$program" "$package" || ! names=$("$program" -test.list '^Fuzz'); then
      bad=1
      continue
    fi
    for name in $names; do
      while (($(jobs -rp | wc -l) >= slots)); do
        wait -n || bad=1
      done
      fuzz_one "$package" "$name" "$program" &
      count=$((count + 1))
    done
  done
  while [[ -n $(jobs -p) ]]; do
    wait -n || bad=1
  done
  echo "$count" >"$WORK/fuzz.count"
  return $bad
}

# Fuzzing needs its minutes and no answer: it goes on beside lint and the grid, which mostly wait, and gets
# what these leave of the processors.
start_fuzzing() {
  FUZZ_BEGAN=$SECONDS
  set -m # a process group of its own, by which it is ended
  (renice -n 15 -p "$BASHPID" >/dev/null 2>&1; fuzz_all) >"$WORK/fuzz.log" 2>&1 &
  FUZZING=$!
  set +m
}

fuzz() {
  local status=0
  wait "$FUZZING" || status=1
  FUZZING=''
  cat "$WORK/fuzz.log"
  DETAIL="$(cat "$WORK/fuzz.count" 2>/dev/null || echo '?') fuzz tests, $FUZZ for each decoder of what strangers send, in $((SECONDS - FUZZ_BEGAN)) s beside the steps above"
  return $status
}

# tool NAME PACKAGE VERSION: builds it into the cache unless it is there; its path is in $TOOL.
tool() {
  TOOL=$TOOLS/$1-$3
  if [[ -x $TOOL ]]; then return 0; fi
  ((LINT)) || return 1
  echo "building $1 $3 ..."
  mkdir -p "$TOOLS"
  if ! GOBIN=$WORK/bin go install "$2@$3" >"$WORK/tool.log" 2>&1; then
    cat "$WORK/tool.log"
    return 1
  fi
  mv "$WORK/bin/$1" "$TOOL"
}

lint() {
  if ! tool golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint "$GOLANGCI_LINT_VERSION"; then
    return 1
  fi
  "$TOOL" run --build-tags grid ./...
}

# govulncheck asks vuln.go.dev. Where that cannot be reached nothing can be said, which is no failure.
vulnerabilities() {
  local status
  tool govulncheck golang.org/x/vuln/cmd/govulncheck "$GOVULNCHECK_VERSION" || return 1
  "$TOOL" ./... >"$WORK/vuln.log" 2>&1
  status=$?
  cat "$WORK/vuln.log"
  if ((status)) && grep -qiE 'vuln\.go\.dev.*(no such host|lookup|refused|timeout|unreachable|dial|i/o|Forbidden|Bad Gateway|status)|fetching vulnerabilities' "$WORK/vuln.log"; then
    DETAIL='could NOT run: the database at vuln.go.dev cannot be reached'
    return 0
  fi
  return $status
}

grid_tests() {
  local files packages names status=0 dir
  files=$(test_files '^//go:build grid$')
  if [[ -z $files ]]; then
    echo "no package has integration tests"
    return 1
  fi
  packages=$(xargs -n 1 dirname <<<"$files" | sort -u)
  # The others of these packages are unit tests, which had their turn.
  names=$(xargs grep -hoE '^func Test[A-Za-z0-9_]+' <<<"$files" | cut -d ' ' -f 2 | paste -sd '|')
  if ((RUNNING == 0)); then
    GRID_STARTED=1
    unset GRID_HOME HADOOP_CONF_DIR YARN_CONF_DIR KAFKA_BOOTSTRAP_SERVERS
    # NodeManagers that say each 0.2 s, not each second, what became of their containers: that is what most
    # of the tests wait for. bin/measure.sh measures with YARN's default.
    bin/grid.sh start --secure --dir "$WORK/grid" --ports free --set yarn.resourcemanager.nodemanagers.heartbeat-interval-ms=200 || return 1
    eval "$(bin/grid.sh env --dir "$WORK/grid")"
  fi
  # One package at a time: they share the grid, and stop parts of it.
  # shellcheck disable=SC2086
  go test -tags grid -p 1 -count 1 -timeout 25m -run "^($names)\$" $packages || status=1
  if ((status)) && [[ -n $GRID_STARTED ]]; then
    rm -rf build/grid-logs
    mkdir -p build/grid-logs
    cp "$WORK"/grid/logs/* build/grid-logs/
    for dir in "$WORK"/grid/nm*; do
      mkdir -p "build/grid-logs/${dir##*/}"
      cp -r "$dir/logs/." "build/grid-logs/${dir##*/}/"
    done
    echo "the logs of the grid and of its containers are in build/grid-logs"
  fi
  return $status
}

if [[ $PARTS == *short* ]]; then
  step format check_format
  step vet vet
  step build build
  if [[ $PARTS == short ]]; then
    step unit go test -short -timeout 10m ./...
  else
    step unit go test -p 3 -timeout 15m ./... # more than cores: many wait
  fi
fi
if [[ $PARTS == *unit* ]]; then
  if command -v "${CC:-gcc}" >/dev/null || command -v clang >/dev/null; then
    step race race
  else
    # Not a failure with CI=true: the detector needs a C compiler, which nothing else here does.
    note 'NOT RUN' race 'no C compiler (Debian: apt-get install gcc)'
  fi
  if [[ $FUZZ != 0 ]]; then start_fuzzing; fi
  for name in lint vulnerabilities; do
    if [[ $name == lint ]]; then TOOL=$TOOLS/golangci-lint-$GOLANGCI_LINT_VERSION; else TOOL=$TOOLS/govulncheck-$GOVULNCHECK_VERSION; fi
    if ((LINT)) || [[ -x $TOOL ]]; then
      step $name $name
    else
      skip $name 'not built yet: bin/test.sh --lint builds it'
    fi
  done
fi
if [[ $PARTS == *grid* ]]; then
  if ((RUNNING)) || { command -v mvn >/dev/null && { command -v java >/dev/null || [[ -x ${JAVA_HOME:-}/bin/java ]]; }; }; then
    step grid grid_tests
  elif bin/grid.sh bootstrap >/dev/null 2>"$WORK/bootstrap.log"; then
    step grid grid_tests # Java, and the jars of an earlier time
  else
    skip grid "the tests on a real Kafka and YARN need Java 17 and Maven: $(tail -n 1 "$WORK/bootstrap.log")"
  fi
fi
if [[ -n $FUZZING ]]; then step fuzz fuzz; fi

printf '\n== summary, after %d s\n' "$SECONDS"
printf '%s\n' "${SUMMARY[@]}"
if ((FAILED)); then
  echo "FAILED"
  exit 1
fi
echo "all passed"
