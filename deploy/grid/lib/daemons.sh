# shellcheck shell=bash disable=SC2015,SC2016,SC2034,SC2086,SC2153,SC2174,SC2206
# The grid's processes: their commands, pid files, start and stop. Sourced by bin/grid.sh.

# daemons PART...: the names of the daemons of kafka, hdfs, yarn, all, or of single ones, in the order
# of their start.
daemons() {
  local part i
  for part in "${@:-all}"; do
    case $part in
      all)
        if ((SECURED)); then echo kdc; fi
        daemons kafka hdfs yarn
        ;;
      hdfs) printf '%s\n' namenode datanode ;;
      yarn)
        echo rm
        for ((i = 1; i <= NODEMANAGERS; i++)); do echo "nm$i"; done
        ;;
      kafka | namenode | datanode | rm) echo "$part" ;;
      kdc)
        ((SECURED)) || die $EXIT_USAGE "this grid has no KDC (grid.sh start --secure)"
        echo kdc
        ;;
      nm)
        for ((i = 1; i <= NODEMANAGERS; i++)); do echo "nm$i"; done
        ;;
      nm[1-9] | nm[1-9][0-9])
        if ((${part#nm} > NODEMANAGERS)); then
          die $EXIT_USAGE "this grid has $NODEMANAGERS NodeManagers, there is no $part (grid.sh start --nodemanagers N)"
        fi
        echo "$part"
        ;;
      *) die $EXIT_USAGE "no part or daemon is called '$part': kafka, hdfs, yarn; namenode, datanode, rm, nm1 ..., kdc" ;;
    esac
  done
}

part_of() {
  if [[ $1 == kafka ]]; then echo kafka; else echo hadoop; fi
}

# start_time PID: when the process began, in the kernel's ticks; a pid that is used again has another.
start_time() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  stat=${stat##*) }
  set -- $stat
  [[ $1 != Z && $1 != X ]] || return 1
  echo "${20}"
}

# pid_of DAEMON: its pid when it runs. A pid file whose process is gone counts as none.
pid_of() {
  local pid began
  read -r pid began 2>/dev/null <"${2:-$GRID_HOME}/pids/$1" || return 1
  [[ -n $pid && $(start_time "$pid") == "$began" ]] || return 1
  echo "$pid"
}

started_ms() { echo "$(stat -c %Y "$GRID_HOME/pids/$1" 2>/dev/null || echo 0)000"; }

# grid_has_processes HOME: whether a grid in that folder has a daemon that runs.
grid_has_processes() {
  local file
  for file in "$1"/pids/*; do
    if [[ -f $file ]] && pid_of "${file##*/}" "$1" >/dev/null; then return 0; fi
  done
  return 1
}

# command_of DAEMON: sets COMMAND to what runs it.
command_of() {
  local name=$1 main conf=$GRID_HOME/conf jars options
  jars=$(jar_dir "$(part_of "$name")")
  # A JVM of the grid starts quickly and stays small.
  options=(-XX:+UseSerialGC -Djava.net.preferIPv4Stack=true -Djava.awt.headless=true -Djava.io.tmpdir="$GRID_HOME/tmp")
  local hadoop=(-XX:TieredStopAtLevel=1 --add-opens java.base/java.lang=ALL-UNNAMED --add-opens java.base/java.util=ALL-UNNAMED)
  case $name in
    kafka)
      # Kafka keeps the optimizing compiler: throughput is measured against it.
      COMMAND=("$JAVA" -Xmx512m "${options[@]}" -Dorg.slf4j.simpleLogger.showDateTime=true
        -Dorg.slf4j.simpleLogger.dateTimeFormat='yyyy-MM-dd HH:mm:ss,SSS'
        -Djava.security.krb5.conf="$SECURE/krb5.conf" ${GRID_KAFKA_OPTS:-}
        -cp "$jars/*" kafka.Kafka "$GRID_HOME/kafka.properties")
      return
      ;;
    kdc)
      COMMAND=("$JAVA" -Xmx128m "${options[@]}" "${hadoop[@]}" --add-exports java.security.jgss/sun.security.krb5=ALL-UNNAMED
        -cp "$conf:$jars/*" org.apache.hadoop.minikdc.MiniKdc
        "$SECURE/kdc" "$SECURE/kdc.properties" "$SECURE/grid.keytab" "kafka/$(kafka_name)" "${KDC_CLIENTS[@]}")
      return
      ;;
    namenode) main=(-Xmx256m org.apache.hadoop.hdfs.server.namenode.NameNode) ;;
    datanode) main=(-Xmx256m org.apache.hadoop.hdfs.server.datanode.DataNode) ;;
    rm) main=(-Xmx512m org.apache.hadoop.yarn.server.resourcemanager.ResourceManager) ;;
    nm*)
      conf=$GRID_HOME/$name/conf
      main=(-Xmx256m org.apache.hadoop.yarn.server.nodemanager.NodeManager)
      ;;
  esac
  COMMAND=("$JAVA" "${options[@]}" "${hadoop[@]}" "${main[0]}" ${GRID_HADOOP_OPTS:-}
    -cp "$conf:$GRID_HOME/web:$jars/*" "${main[1]}")
}

# launch DAEMON: starts it as the leader of a process group of its own, and writes its pid file.
# Containers are told of conf/, not of what the NodeManager has for itself.
launch() {
  local name=$1 pid
  command_of "$name"
  if [[ -s $GRID_HOME/logs/$name.log ]]; then mv "$GRID_HOME/logs/$name.log" "$GRID_HOME/logs/$name.log.1"; fi
  # In the grid's folder, so that what a daemon drops where it stands is dropped there.
  cd "$GRID_HOME" || return 1
  HADOOP_CONF_DIR=$GRID_HOME/conf YARN_CONF_DIR=$GRID_HOME/conf \
    setsid "${COMMAND[@]}" </dev/null >"$GRID_HOME/logs/$name.log" 2>&1 9>&- &
  pid=$!
  disown "$pid"
  # setsid becomes java by exec, so the start time is java's.
  printf '%s %s\n' "$pid" "$(start_time "$pid")" >"$GRID_HOME/pids/$name"
}

# format kafka|namenode|kdc: makes its storage when there is none, and whatever else it needs first.
format() {
  local jars
  jars=$(jar_dir "$(part_of "$1")")
  cd "$GRID_HOME" || return 1
  case $1 in
    kdc)
      # At every start it makes new keys; the keytab says that it is done.
      rm -f "$SECURE/grid.keytab"
      mkdir -p "$SECURE/kdc"
      ;;
    kafka)
      if ((SECURED)); then make_certificates || return 1; fi
      # The SCRAM users are made even without --secure, which may come later.
      [[ -f $GRID_HOME/kafka/meta.properties ]] ||
        "$JAVA" -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$jars/*" \
          kafka.tools.StorageTool format -t aGVkZGxlLWdyaWQtMDAwMA -c "$GRID_HOME/kafka.properties" \
          --add-scram "SCRAM-SHA-256=[name=alice,password=$ALICE]" --add-scram "SCRAM-SHA-512=[name=alice,password=$ALICE]" || return 1
      # The broker logs in when it starts.
      if ((SECURED)); then await_kdc; fi
      ;;
    namenode)
      [[ ! -f $GRID_HOME/hdfs/name/current/VERSION ]] || return 0
      # What a DataNode kept for a NameNode that is gone would be refused by the new one.
      rm -rf "$GRID_HOME/hdfs/data"
      "$JAVA" -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 --add-opens java.base/java.lang=ALL-UNNAMED \
        -cp "$GRID_HOME/conf:$GRID_HOME/web:$jars/*" \
        org.apache.hadoop.hdfs.server.namenode.NameNode -format -nonInteractive -force
      ;;
  esac
}

# container_processes NM...: "PID CONTAINER NM" of every process of a container that the NodeManagers
# started, also of those whose NodeManager is gone. A container's processes are those that run inside
# its folder, and all that are of their session.
container_processes() {
  local name entry pid cwd sid container stat wanted=' '
  for name in "$@"; do wanted+="$name "; done
  local -A container_of_session=() cwds=()
  local rows=()
  # One program for all processes of the machine: tests ask often.
  while IFS= read -r -d '' entry && IFS= read -r -d '' cwd; do cwds[$entry]=$cwd; done \
    < <(find /proc/[0-9]* -maxdepth 1 -name cwd -printf '%h\0%l\0' 2>/dev/null)
  for entry in /proc/[0-9]*; do
    pid=${entry#/proc/} stat=
    { IFS= read -r -d '' stat <"$entry/stat"; } 2>/dev/null
    [[ -n $stat ]] || continue # it has ended
    stat=${stat##*) }
    # state ppid pgrp session
    set -- $stat
    [[ $1 != Z ]] || continue
    sid=$4
    cwd=${cwds[$entry]:-}
    rows+=("$pid $sid")
    if [[ $cwd == "$GRID_HOME"/nm*/local/*/container_* ]]; then
      name=${cwd#"$GRID_HOME"/}
      name=${name%%/*}
      [[ $wanted == *" $name "* ]] || continue
      container=${cwd##*/local/}
      container=container_${container#*/container_}
      container=${container%% *}
      container_of_session[$sid]="${container%%/*} $name"
      # The shell by which the NodeManager waits is of the NodeManager's session: it counts, the session does not.
      if [[ $(pid_file_of "$name") == "$sid" ]]; then
        unset "container_of_session[$sid]"
        printf '%s %s %s\n' "$pid" "${container%%/*}" "$name"
      fi
    fi
  done
  for entry in "${rows[@]}"; do
    read -r pid sid <<<"$entry"
    if [[ -n ${container_of_session[$sid]:-} ]]; then echo "$pid ${container_of_session[$sid]}"; fi
  done
}

# pid_file_of DAEMON: the pid in its pid file, also when that process is gone.
pid_file_of() {
  local pid rest
  read -r pid rest 2>/dev/null <"$GRID_HOME/pids/$1" || return 0
  echo "$pid"
}

# end_containers NM...: ends what is left of their containers.
end_containers() {
  local pids
  pids=$(container_processes "$@" | cut -d ' ' -f 1)
  [[ -n $pids ]] || return 0
  kill -TERM $pids 2>/dev/null
  for _ in {1..10}; do
    sleep 0.1
    pids=$(container_processes "$@" | cut -d ' ' -f 1)
    [[ -n $pids ]] || return 0
  done
  for _ in {1..20}; do
    kill -KILL $pids 2>/dev/null
    sleep 0.1
    pids=$(container_processes "$@" | cut -d ' ' -f 1)
    [[ -n $pids ]] || return 0
  done
  say "these container processes do not end: $pids"
  return 1
}

# end DAEMON...: TERM, and KILL for those that have not ended after GRID_STOP_SECONDS (10).
end() {
  local name pid deadline=$((SECONDS + ${GRID_STOP_SECONDS:-10})) left=("$@") next failed=0
  for name in "$@"; do
    if pid=$(pid_of "$name"); then
      # A stopped process (SIGSTOP) does not hear TERM.
      kill -TERM "$pid" 2>/dev/null && kill -CONT "$pid" 2>/dev/null
    fi
  done
  while ((${#left[@]})); do
    next=()
    for name in "${left[@]}"; do
      if pid=$(pid_of "$name"); then
        next+=("$name")
        if ((SECONDS >= deadline + 10)); then
          say "$name (process $pid) does not end"
          return 1
        elif ((SECONDS >= deadline)); then
          kill -KILL "$pid" 2>/dev/null || failed=1
        fi
      else
        rm -f "$GRID_HOME/pids/$name"
      fi
    done
    left=("${next[@]}")
    ((${#left[@]} == 0)) || sleep 0.1
  done
  return $failed
}
