# shellcheck shell=bash disable=SC2015,SC2016,SC2034,SC2086,SC2153,SC2174,SC2206
# Ports and addresses of one grid. Sourced by bin/grid.sh.

# Name, default, and whose it is; "secured": only with --secure. The defaults are those of Kafka and Hadoop.
PORTS='
KAFKA_PORT 9092 kafka
KAFKA_CONTROLLER_PORT 9093 kafka
NAMENODE_PORT 8020 namenode
NAMENODE_WEB_PORT 9870 namenode
DATANODE_PORT 9866 datanode
DATANODE_WEB_PORT 9864 datanode
DATANODE_IPC_PORT 9867 datanode
RM_SCHEDULER_PORT 8030 rm
RM_TRACKER_PORT 8031 rm
RM_PORT 8032 rm
RM_ADMIN_PORT 8033 rm
RM_WEB_PORT 8088 rm
NM_LOCALIZER_PORT 8040 nm
NM_PORT 8041 nm
NM_WEB_PORT 8042 nm
NM_COLLECTOR_PORT 8048 nm
KAFKA_SSL_PORT 9094 kafka secured
KAFKA_SASL_PORT 9095 kafka secured
KDC_PORT 8888 kdc secured
'
PORT_BLOCK=32 # ports of one grid
RESERVATIONS=${TMPDIR:-/tmp}/heddle-grid-ports

# host_of DAEMON: the address it has. The NodeManagers have one each, so that YARN takes them for
# different hosts. GRID_NM_HOST=hostname means the name of this machine.
host_of() {
  case $1 in
    kafka) printf %s "${GRID_KAFKA_HOST:-127.0.0.1}" ;;
    kdc) printf %s 127.0.0.1 ;;
    namenode) printf %s "${GRID_NAMENODE_HOST:-127.0.0.1}" ;;
    datanode) printf %s "${GRID_DATANODE_HOST:-127.0.0.1}" ;;
    rm) printf %s "${GRID_RM_HOST:-127.0.0.1}" ;;
    nm*)
      if [[ ${GRID_NM_HOST:-} == hostname ]]; then
        uname -n
      else
        printf %s "${GRID_NM_HOST:-127.0.0.${1#nm}}"
      fi
      ;;
  esac
}

# listeners: "PORT HEXADDRESS INODE" of every listening TCP socket on this machine.
listeners() {
  local line local_address state inode
  cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | while read -r _ local_address _ state _ _ _ _ _ inode _; do
    if [[ $state == 0A ]]; then
      printf '%d %s %s\n' "0x${local_address##*:}" "${local_address%:*}" "$inode"
    fi
  done
}

# hex_address 127.0.0.2: as /proc/net/tcp writes it.
hex_address() {
  local a b c d
  IFS=. read -r a b c d <<<"$1"
  printf '%02X%02X%02X%02X' "$d" "$c" "$b" "$a"
}

# port_holder HOST PORT: fails when the port is free on that address, and otherwise says who has it.
port_holder() {
  local host=$1 port=$2 hex p address inode pid
  [[ $host =~ ^[0-9.]+$ ]] || return 1
  hex=$(hex_address "$host")
  while read -r p address inode; do
    [[ $p == "$port" ]] || continue
    case $address in
      00000000 | 00000000000000000000000000000000 | "$hex" | *0000FFFF"$hex") ;;
      *) continue ;;
    esac
    pid=$(find /proc/[0-9]*/fd -lname "socket:\[$inode\]" 2>/dev/null | sed -n 's,^/proc/\([0-9]*\)/.*,\1,p' | head -n 1)
    if [[ -n $pid ]]; then
      printf 'process %s (%s)' "$pid" "$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | cut -c 1-80)"
    else
      printf 'a process of another user'
    fi
    return 0
  done < <(listeners)
  return 1
}

# reserve FIRST: takes a block of ports among the grids of this machine. A reservation ends with its
# grid's folder or processes.
reserve() {
  local dir=$RESERVATIONS/$1 owner
  mkdir -p -m 1777 "$RESERVATIONS" 2>/dev/null
  if ! mkdir "$dir" 2>/dev/null; then
    owner=$(cat "$dir/grid" 2>/dev/null)
    if [[ $owner != "$GRID_HOME" ]]; then
      # An empty reservation is one that is being made just now, unless it is old.
      if [[ -z $owner ]]; then
        [[ -n $(find "$dir" -maxdepth 0 -mmin +1 2>/dev/null) ]] || return 1
      elif grid_has_processes "$owner" || [[ -n $(find "$dir" -maxdepth 0 -mmin -2 2>/dev/null) ]]; then
        return 1
      fi
      rm -rf "$dir" 2>/dev/null
      mkdir "$dir" 2>/dev/null || return 1
    fi
  fi
  printf '%s' "$GRID_HOME" >"$dir/grid" 2>/dev/null
}

release_ports() {
  local first
  first=$(sed -n 's/^# block //p' "$GRID_HOME/ports" 2>/dev/null)
  if [[ -n $first && $(cat "$RESERVATIONS/$first/grid" 2>/dev/null) == "$GRID_HOME" ]]; then
    rm -rf "${RESERVATIONS:?}/$first"
  fi
}

# free_block: the first port of a block in which nothing listens, reserved. It lies below the ports
# that the system gives to outgoing connections.
free_block() {
  local low=20000 high=32000 range first port taken
  range=$(cut -f 1 /proc/sys/net/ipv4/ip_local_port_range 2>/dev/null || echo 32768)
  if ((range > low + 2000 && range < high)); then high=$range; fi
  taken=" $(listeners | cut -d ' ' -f 1 | tr '\n' ' ') "
  for _ in {1..200}; do
    first=$((low + (RANDOM * 32768 + RANDOM) % ((high - low) / PORT_BLOCK) * PORT_BLOCK))
    for ((port = first; port < first + PORT_BLOCK; port++)); do
      [[ $taken != *" $port "* ]] || continue 2
    done
    if reserve "$first"; then
      printf %s "$first"
      return 0
    fi
  done
  return 1
}

# write_ports fixed|free: chooses this grid's ports and notes them.
write_ports() {
  local mode=$1 first='' name default rest i=0
  release_ports
  if [[ $mode == free ]]; then
    first=$(free_block) || die $EXIT_FAILED "no $PORT_BLOCK free ports in a row between 20000 and 32000 (reservations are in $RESERVATIONS)"
  fi
  {
    echo "# ports of this grid, $mode"
    if [[ -n $first ]]; then echo "# block $first"; fi
    while read -r name default rest; do
      [[ -n $name ]] || continue
      if [[ -n $first ]]; then
        echo "$name=$((first + i))"
      else
        echo "$name=$default"
      fi
      i=$((i + 1))
    done <<<"$PORTS"
  } >"$GRID_HOME/ports"
}

# load_ports: sets the variables of the ports, and PORT_MODE.
load_ports() {
  local line
  [[ -f $GRID_HOME/ports ]] || return 1
  PORT_MODE=fixed
  while read -r line; do
    case $line in
      '# block'*) PORT_MODE=free ;;
      [A-Z]*_PORT=[0-9]*) printf -v "${line%%=*}" %s "${line#*=}" ;;
    esac
  done <"$GRID_HOME/ports"
}

# ports_of DAEMON: "NAME PORT" of each of its ports.
ports_of() {
  local name default owner when
  while read -r name default owner when; do
    if [[ $when == secured ]] && ((SECURED == 0)); then continue; fi
    if [[ -n $name && $owner == "${1%%[0-9]*}" ]]; then echo "$name ${!name}"; fi
  done <<<"$PORTS"
}

# check_ports DAEMON: ends when one of its ports is taken.
check_ports() {
  local name port host holder
  host=$(host_of "$1")
  while read -r name port; do
    if holder=$(port_holder "$host" "$port"); then
      die $EXIT_FAILED "$1 cannot start: $host:$port ($name) is in use by $holder; end that, or start with --ports free"
    fi
  done < <(ports_of "$1")
}
