#!/usr/bin/env bash
# A real Kafka, HDFS and YARN on this machine, as plain Java processes. See docs/grid.md.
# shellcheck disable=SC2015,SC2086,SC2153,SC2206
set -u -o pipefail
shopt -s nullglob

CHECKOUT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
GRID_FILES=$CHECKOUT/deploy/grid
for file in say java ports conf secure probes daemons; do
  # shellcheck source=/dev/null
  . "$GRID_FILES/lib/$file.sh"
done

usage() {
  cat <<'HELP'
usage: bin/grid.sh COMMAND [OPTIONS] [kafka|hdfs|yarn|DAEMON ...]

A real Apache Kafka 4.1.0, HDFS and YARN 3.4.1 on this machine, as plain Java processes.
Without a part, a command means all three. Daemons: kafka namenode datanode rm nm1 nm2 ... kdc

  bootstrap     fetch the jars from Maven Central (143 MB, once per user)
  start         start what does not run, and return when all of it is ready
  stop          stop it; with no part, the containers' processes too: nothing is left running
  restart       stop and start
  status        what runs, where, and whether it is ready; ends with 1 when something is not
  env           shell commands that set HADOOP_CONF_DIR, KAFKA_BOOTSTRAP_SERVERS and more
  clean         stop, and delete the grid's folder (with --jars, the fetched jars too)

  kill          end daemons at once (SIGKILL); their containers go on
  pause, resume halt daemons (SIGSTOP) and let them go on (SIGCONT)
  containers    the processes of YARN's containers: pid, container, NodeManager
  logs DAEMON   print a daemon's log
  java kafka|hadoop CLASS [ARGUMENT ...]
                run a class of Kafka's or Hadoop's jars against the grid
  foreground DAEMON
                run one daemon in the place of this command (for a container image)

options:
  --dir DIR            the grid's folder (GRID_HOME; default .grid in the checkout)
  --ports fixed|free   Kafka's and Hadoop's own ports, or free ones (GRID_PORTS; default fixed).
                       Several grids run side by side with folders of their own and free ports.
  --nodemanagers N     how many NodeManagers, on 127.0.0.1, 127.0.0.2, ... (default 2)
  --secure             Kafka listens with TLS and SASL, too (certificates, users and a Kerberos KDC of its own);
                       stays until clean
  --set KEY=VALUE      a setting of the daemons: yarn.*, dfs.*, hadoop.*, or kafka.KEY; may be repeated;
                       it stays until clean, KEY= alone takes it back
  --containers         with stop or kill of a NodeManager: end its containers too, as if its machine died
  --json               status as JSON
  --jars               with clean: delete the fetched jars, too

environment: GRID_HOME, GRID_PORTS, GRID_CACHE (jars; default ~/.cache/heddle-grid), JAVA_HOME,
  GRID_TIMEOUT (seconds to wait until ready; default 120), GRID_KAFKA_OPTS, GRID_HADOOP_OPTS (JVM flags)

exit codes: 0 done, 1 failed, 2 wrong usage, 3 Java, Maven or a download is missing

example:
  bin/grid.sh start && eval "$(bin/grid.sh env)"
  bin/grid.sh kill nm1 && bin/grid.sh start nm1
  bin/grid.sh stop
HELP
}

# load: what is known of this grid; NODEMANAGERS is 2 until somebody says otherwise.
load() {
  local n
  n=$(cat "$GRID_HOME/nodemanagers" 2>/dev/null)
  NODEMANAGERS=${n:-2}
  SECURE=$GRID_HOME/secure SECURED=0
  if [[ -d $SECURE ]]; then SECURED=1; fi
  load_ports
}

# lock: one start or stop at a time per grid. Daemons must not inherit descriptor 9.
lock() {
  have flock || return 0
  exec 9>"$GRID_HOME/lock" || die $EXIT_FAILED "cannot write to $GRID_HOME: set GRID_HOME to a folder of yours"
  if ! flock -n 9; then
    say "another grid.sh works on $GRID_HOME, waiting for it"
    flock -w 300 9 || die $EXIT_FAILED "another grid.sh has held $GRID_HOME/lock for 300 s"
  fi
}

address_of() {
  local host
  host=$(host_of "$1")
  case $1 in
    kafka) echo "$host:$KAFKA_PORT" ;;
    kdc) echo "$host:$KDC_PORT" ;;
    namenode) echo "hdfs://$host:$NAMENODE_PORT http://$host:$NAMENODE_WEB_PORT" ;;
    datanode) echo "$host:$DATANODE_PORT" ;;
    rm) echo "$host:$RM_PORT http://$host:$RM_WEB_PORT" ;;
    nm*) echo "$host:$NM_PORT http://$host:$NM_WEB_PORT" ;;
  esac
}

# set_nodemanagers: as many as --nodemanagers says; not fewer than run.
set_nodemanagers() {
  local i
  [[ -n $OPTION_NODEMANAGERS ]] || return 0
  for ((i = OPTION_NODEMANAGERS + 1; i <= NODEMANAGERS; i++)); do
    if pid_of "nm$i" >/dev/null; then
      die $EXIT_FAILED "nm$i runs: stop yarn before the grid gets fewer NodeManagers"
    fi
  done
  NODEMANAGERS=$OPTION_NODEMANAGERS
}

# set_secured: with --secure the grid gets a folder for what that needs, and is a secured one from then on.
set_secured() {
  ((OPTION_SECURE && !SECURED)) || return 0
  if pid_of kafka >/dev/null; then
    die $EXIT_FAILED "kafka runs without TLS and SASL: stop it before it starts with --secure"
  fi
  mkdir -p "$SECURE" && SECURED=1
}

# prepare: the grid's folder, ports and configuration, and the daemons' jars.
prepare() {
  local name part mode
  find_java
  for part in $(for name in "$@"; do part_of "$name"; done | sort -u); do bootstrap "$part"; done

  mode=${OPTION_PORTS:-${GRID_PORTS:-${PORT_MODE:-fixed}}}
  if [[ -z ${PORT_MODE:-} ]]; then
    write_ports "$mode"
  elif ! grid_has_processes "$GRID_HOME"; then
    # A grid at rest keeps its free ports while they are free.
    if [[ $mode != "$PORT_MODE" || $mode == free || -z ${KDC_PORT:-} ]]; then
      if [[ $mode != "$PORT_MODE" || -z ${KDC_PORT:-} ]] || ports_taken; then write_ports "$mode"; fi
    fi
  elif [[ $mode != "$PORT_MODE" ]]; then
    die $EXIT_FAILED "the grid in $GRID_HOME runs on $PORT_MODE ports: stop it before it gets $mode ones"
  fi
  echo "$NODEMANAGERS" >"$GRID_HOME/nodemanagers"
  load
  write_settings
  mkdir -p "$GRID_HOME"/{pids,logs,tmp,hdfs,rm}
  write_conf
}

# ports_taken: whether the free ports that this grid had are no longer its own.
ports_taken() {
  local first
  first=$(sed -n 's/^# block //p' "$GRID_HOME/ports")
  [[ -n $first ]] && reserve "$first" || return 0
  listeners | while read -r port _; do
    if ((port >= first && port < first + PORT_BLOCK)); then exit 1; fi
  done && return 1
  return 0
}

write_settings() {
  local setting key
  touch "$GRID_HOME/settings"
  for setting in ${OPTION_SET[@]+"${OPTION_SET[@]}"}; do
    key=${setting%%=*}
    {
      awk -v key="$key" 'index($0, key "=") != 1' "$GRID_HOME/settings"
      if [[ -n ${setting#*=} ]]; then printf '%s\n' "$setting"; fi
    } >"$GRID_HOME/settings.new" && mv "$GRID_HOME/settings.new" "$GRID_HOME/settings"
  done
}

start() {
  local name names starting=() waiting pid began=$SECONDS next failed='' format_pids=()
  make_home
  lock
  load
  set_nodemanagers
  set_secured
  names=$(daemons "$@") || exit $?
  # A secured broker logs in at the KDC.
  if ((SECURED)) && [[ " ${names//$'\n'/ } " == *" kafka "* && " ${names//$'\n'/ } " != *" kdc "* ]]; then names="kdc $names"; fi
  prepare $names

  for name in $names; do
    if pid_of "$name" >/dev/null; then continue; fi
    if [[ -f $GRID_HOME/pids/$name ]]; then
      say "$name: its process $(pid_file_of "$name") is gone, starting another"
      rm -f "$GRID_HOME/pids/$name"
    fi
    check_ports "$name"
    starting+=("$name")
  done

  # Interrupted, it leaves nothing half-started.
  trap 'clear_progress; say "interrupted, stopping what this start began"; end ${starting[@]+"${starting[@]}"}; exit 130' INT TERM HUP
  for name in ${starting[@]+"${starting[@]}"}; do
    case $name in
      kafka | namenode)
        format "$name" >"$GRID_HOME/logs/$name-format.log" 2>&1 9>&- &
        format_pids+=("$! $name")
        ;;
      kdc)
        format kdc
        launch kdc
        ;;
      *) launch "$name" ;;
    esac
  done
  for next in ${format_pids[@]+"${format_pids[@]}"}; do
    read -r pid name <<<"$next"
    progress "preparing the storage of $name"
    if wait "$pid"; then
      launch "$name"
    else
      failed="$name: its storage could not be formatted"
      tail -n 15 "$GRID_HOME/logs/$name-format.log" >&2
    fi
  done

  waiting=($names)
  # A ResourceManager that starts anew is ready when the NodeManagers that run are back with it.
  if [[ " ${starting[*]-} " == *" rm "* ]]; then
    for name in $(daemons nm); do
      if [[ " ${waiting[*]} " != *" $name "* ]] && pid_of "$name" >/dev/null; then waiting+=("$name"); fi
    done
  fi
  while ((${#waiting[@]})) && [[ -z $failed ]]; do
    next=()
    for name in "${waiting[@]}"; do
      if ! pid_of "$name" >/dev/null; then
        clear_progress
        tail -n 20 "$GRID_HOME/logs/$name.log" >&2
        failed="$name ended before it was ready; its log is $GRID_HOME/logs/$name.log"
        break
      fi
      if ready "$name"; then
        clear_progress
        if [[ " ${starting[*]-} " == *" $name "* ]]; then
          say "$name is ready after $((SECONDS - began)) s: $(address_of "$name")"
        else
          say "$name runs: $(address_of "$name")"
        fi
      else
        next+=("$name")
        progress "waiting for ${waiting[*]} ($name: $WHY), $((SECONDS - began)) s"
      fi
    done
    waiting=(${next[@]+"${next[@]}"})
    if ((${#waiting[@]} && SECONDS - began > ${GRID_TIMEOUT:-120})) && [[ -z $failed ]]; then
      ready "${waiting[0]}" || failed="${waiting[0]} is not ready after $((SECONDS - began)) s: $WHY; its log is $GRID_HOME/logs/${waiting[0]}.log"
    fi
    ((${#waiting[@]} == 0)) || sleep 0.2
  done
  trap - INT TERM HUP
  if [[ -n $failed ]]; then
    clear_progress
    say "stopping what this start began"
    end ${starting[@]+"${starting[@]}"}
    die $EXIT_FAILED "$failed"
  fi
}

make_home() {
  mkdir -p "$GRID_HOME" 2>/dev/null && [[ -w $GRID_HOME ]] ||
    die $EXIT_FAILED "cannot write to $GRID_HOME as $(id -un): set GRID_HOME to a folder of yours"
  GRID_HOME=$(cd "$GRID_HOME" && pwd -P)
  touch "$GRID_HOME/.heddle-grid"
}

# existing_home: fails when there is no grid in GRID_HOME.
existing_home() {
  [[ -f $GRID_HOME/.heddle-grid ]] || return 1
  GRID_HOME=$(cd "$GRID_HOME" && pwd -P)
  load || true
}

stop() {
  local names name nms=() others=() all=() left
  if ! existing_home; then
    say "there is no grid in $GRID_HOME"
    return 0
  fi
  lock
  if (($# == 0)); then
    # All that has a pid file, also of an earlier, larger grid.
    for name in "$GRID_HOME"/pids/*; do all+=("${name##*/}"); done
  else
    names=$(daemons "$@") || exit $?
    all=($names)
  fi
  for name in ${all[@]+"${all[@]}"}; do
    case $name in
      nm* | rm) nms+=("$name") ;;
      *) others+=("$name") ;;
    esac
  done
  # The applications first, then what they write to.
  end ${nms[@]+"${nms[@]}"} || exit $EXIT_FAILED
  if (($# == 0)) || [[ " $* " == *" yarn "* ]] || ((OPTION_CONTAINERS)); then
    all=()
    if (($# == 0)); then
      for name in "$GRID_HOME"/nm*; do all+=("${name##*/}"); done
    else
      all=(${nms[@]+"${nms[@]}"})
    fi
    end_containers ${all[@]+"${all[@]}"} || exit $EXIT_FAILED
  else
    for name in ${nms[@]+"${nms[@]}"}; do
      left=$(container_processes "$name" | cut -d ' ' -f 2 | sort -u | wc -l)
      if ((left)); then say "$left containers of $name go on; start $name takes them back"; fi
    done
  fi
  end ${others[@]+"${others[@]}"} || exit $EXIT_FAILED
  if ! grid_has_processes "$GRID_HOME"; then release_ports; fi
  say "stopped ${*:-the grid in $GRID_HOME}"
}

status() {
  local name pid state bad=0 names comma='' why
  if ! existing_home || [[ -z ${PORT_MODE:-} ]]; then
    if ((OPTION_JSON)); then echo '{"home":"'"$GRID_HOME"'","daemons":[]}'; else say "there is no grid in $GRID_HOME"; fi
    return 1
  fi
  names=$(daemons "$@") || exit $?
  ((OPTION_JSON)) && printf '{"home":"%s","ports":"%s","daemons":[' "$GRID_HOME" "$PORT_MODE"
  for name in $names; do
    pid=$(pid_of "$name") || pid=
    why=
    if [[ -z $pid ]]; then
      state=stopped
      if [[ -f $GRID_HOME/pids/$name ]]; then state=died; fi
      bad=1
    elif ready "$name"; then
      state=ready
    else
      state=starting
      why=$WHY
      bad=1
    fi
    if ((OPTION_JSON)); then
      printf '%s{"name":"%s","pid":%s,"state":"%s","address":"%s"}' "$comma" "$name" "${pid:-null}" "$state" "$(address_of "$name")"
      comma=,
    else
      printf '%-9s %-8s %-7s %s%s\n' "$name" "$state" "${pid:--}" "$(address_of "$name")" "${why:+ ($why)}"
    fi
  done
  ((OPTION_JSON)) && printf ']}\n'
  return $bad
}

print_env() {
  local name down=()
  existing_home && [[ -n ${PORT_MODE:-} ]] || die $EXIT_FAILED "there is no grid in $GRID_HOME: start one with $0 start"
  for name in $(daemons all); do
    pid_of "$name" >/dev/null || down+=("$name")
  done
  if ((${#down[@]})); then say "not running: ${down[*]}"; fi
  printf 'export GRID_HOME=%q\n' "$GRID_HOME"
  printf 'export HADOOP_CONF_DIR=%q\n' "$GRID_HOME/conf"
  printf 'export YARN_CONF_DIR=%q\n' "$GRID_HOME/conf"
  printf 'export KAFKA_BOOTSTRAP_SERVERS=%q\n' "$(host_of kafka):$KAFKA_PORT"
  printf 'export GRID_DEFAULT_FS=%q\n' "hdfs://$(host_of namenode):$NAMENODE_PORT"
  printf 'export GRID_NAMENODE_WEB=%q\n' "http://$(host_of namenode):$NAMENODE_WEB_PORT"
  printf 'export GRID_RM_WEB=%q\n' "http://$(host_of rm):$RM_WEB_PORT"
  printf 'export GRID_NODEMANAGERS=%q\n' "$NODEMANAGERS"
  if ((SECURED)); then
    printf 'export GRID_SECURE=%q\n' "$SECURE"
    printf 'export KAFKA_SSL_BOOTSTRAP_SERVERS=%q\n' "$(kafka_name):$KAFKA_SSL_PORT"
    printf 'export KAFKA_SASL_BOOTSTRAP_SERVERS=%q\n' "$(kafka_name):$KAFKA_SASL_PORT"
  fi
}

clean() {
  if existing_home; then
    stop
    release_ports
    rm -rf "$GRID_HOME" || die $EXIT_FAILED "cannot delete $GRID_HOME"
    say "deleted $GRID_HOME"
  elif [[ -e $GRID_HOME ]]; then
    die $EXIT_USAGE "$GRID_HOME is not a grid's folder (no .heddle-grid in it), not deleting it"
  else
    say "there is no grid in $GRID_HOME"
  fi
  if ((OPTION_JARS)); then
    rm -rf "$JARS" && say "deleted $JARS"
  fi
}

# signal SIGNAL DAEMON...
signal() {
  local signal=$1 name pid names
  shift
  (($#)) || die $EXIT_USAGE "which daemon? (kafka namenode datanode rm nm1 ...)"
  existing_home || die $EXIT_FAILED "there is no grid in $GRID_HOME"
  names=$(daemons "$@") || exit $?
  for name in $names; do
    pid=$(pid_of "$name") || die $EXIT_FAILED "$name does not run"
    kill "-$signal" "$pid" || die $EXIT_FAILED "cannot send SIG$signal to $name (process $pid)"
    if [[ $signal == KILL ]]; then
      while pid_of "$name" >/dev/null; do sleep 0.02; done
      if [[ $name == nm* ]] && ((OPTION_CONTAINERS)); then end_containers "$name" || exit $EXIT_FAILED; fi
    fi
  done
}

run_java() {
  local part=${1:-} jars
  [[ $part == kafka || $part == hadoop ]] && (($# >= 2)) || die $EXIT_USAGE "usage: grid.sh java kafka|hadoop CLASS [ARGUMENT ...]"
  shift
  existing_home || die $EXIT_FAILED "there is no grid in $GRID_HOME"
  find_java
  bootstrap "$part"
  jars=$(jar_dir "$part")
  if [[ $part == kafka ]]; then
    exec "$JAVA" -Xmx256m -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$jars/*" "$@"
  fi
  export HADOOP_CONF_DIR=$GRID_HOME/conf
  exec "$JAVA" -Xmx256m --add-opens java.base/java.lang=ALL-UNNAMED -Dlog4j.threshold=WARN -cp "$GRID_HOME/conf:$jars/*" "$@"
}

foreground() {
  local name=${1:-}
  [[ -n $name ]] || die $EXIT_USAGE "which daemon? (kafka namenode datanode rm nm1 ...)"
  make_home
  load
  set_nodemanagers
  set_secured
  daemons "$name" >/dev/null || exit $?
  prepare "$name"
  case $name in
    kafka | namenode | kdc) format "$name" || die $EXIT_FAILED "$name: its storage could not be formatted" ;;
  esac
  command_of "$name"
  export HADOOP_CONF_DIR=$GRID_HOME/conf YARN_CONF_DIR=$GRID_HOME/conf
  # The process stays the same through exec, so that status finds it.
  printf '%s %s\n' $$ "$(start_time $$)" >"$GRID_HOME/pids/$name"
  exec "${COMMAND[@]}"
}

GRID_HOME=${GRID_HOME:-$CHECKOUT/.grid}
OPTION_PORTS='' OPTION_NODEMANAGERS='' OPTION_CONTAINERS=0 OPTION_JSON=0 OPTION_JARS=0 OPTION_SECURE=0 OPTION_SET=()
command=${1:-}
(($# == 0)) || shift
arguments=()
while (($#)); do
  if [[ $command == java && ${#arguments[@]} -gt 0 ]]; then
    arguments+=("$@")
    break
  fi
  case $1 in
    --dir | --ports | --nodemanagers | --set)
      (($# >= 2)) || die $EXIT_USAGE "$1 needs a value"
      option=$1 value=$2
      shift
      ;;
    --dir=* | --ports=* | --nodemanagers=* | --set=*) option=${1%%=*} value=${1#*=} ;;
    --containers) OPTION_CONTAINERS=1 option='' ;;
    --json) OPTION_JSON=1 option='' ;;
    --jars) OPTION_JARS=1 option='' ;;
    --secure) OPTION_SECURE=1 option='' ;;
    -h | --help)
      usage
      exit 0
      ;;
    -*) die $EXIT_USAGE "unknown option $1; grid.sh --help lists them" ;;
    *)
      arguments+=("$1")
      option=''
      ;;
  esac
  shift
  case $option in
    --dir) GRID_HOME=$value ;;
    --ports)
      [[ $value == fixed || $value == free ]] || die $EXIT_USAGE "--ports is fixed or free, not '$value'"
      OPTION_PORTS=$value
      ;;
    --nodemanagers)
      [[ $value =~ ^[1-9][0-9]?$ ]] || die $EXIT_USAGE "--nodemanagers is a number from 1 to 99, not '$value'"
      OPTION_NODEMANAGERS=$value
      ;;
    --set)
      [[ $value == ?*=* ]] || die $EXIT_USAGE "--set wants KEY=VALUE, not '$value'"
      OPTION_SET+=("$value")
      ;;
  esac
done
[[ -z ${GRID_PORTS:-} || $GRID_PORTS == fixed || $GRID_PORTS == free ]] || die $EXIT_USAGE "GRID_PORTS is fixed or free, not '$GRID_PORTS'"
[[ $GRID_HOME == /* ]] || GRID_HOME=$PWD/$GRID_HOME
set -- ${arguments[@]+"${arguments[@]}"}

case $command in
  bootstrap)
    find_java
    NODEMANAGERS=1 SECURED=$OPTION_SECURE SECURE=$GRID_HOME/secure
    names=$(daemons "$@") || exit $?
    for part in $(for name in $names; do part_of "$name"; done | sort -u); do
      bootstrap "$part"
      say "$part: $(jar_dir "$part")"
    done
    ;;
  start) start "$@" ;;
  stop) stop "$@" ;;
  restart)
    (stop "$@") || exit $?
    start "$@"
    ;;
  status) status "$@" ;;
  env) print_env ;;
  clean) clean ;;
  kill) signal KILL "$@" ;;
  pause) signal STOP "$@" ;;
  resume) signal CONT "$@" ;;
  containers)
    existing_home || die $EXIT_FAILED "there is no grid in $GRID_HOME"
    names=$(daemons "${@:-nm}") || exit $?
    container_processes $names
    ;;
  logs)
    existing_home || die $EXIT_FAILED "there is no grid in $GRID_HOME"
    (($# == 1)) || die $EXIT_USAGE "usage: grid.sh logs DAEMON"
    cat "$GRID_HOME/logs/$1.log" || die $EXIT_FAILED "there is no log of $1"
    ;;
  java) run_java "$@" ;;
  foreground) foreground "$@" ;;
  help | -h | --help) usage ;;
  '')
    usage >&2
    exit $EXIT_USAGE
    ;;
  *) die $EXIT_USAGE "unknown command '$command'; grid.sh --help lists them" ;;
esac
