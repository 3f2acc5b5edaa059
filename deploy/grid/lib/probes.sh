# shellcheck shell=bash disable=SC2015,SC2016,SC2034,SC2086,SC2153,SC2174,SC2206
# Is a daemon ready? Asked over the network, as a client would. Sourced by bin/grid.sh.

# http_get HOST PORT PATH: the body, by HTTP/1.0.
http_get() {
  timeout 5 bash -c '
    exec 3<>"/dev/tcp/$1/$2" || exit 1
    printf "GET %s HTTP/1.0\r\nHost: %s:%s\r\nAccept: application/json\r\n\r\n" "$3" "$1" "$2" >&3
    while IFS= read -r line <&3; do [[ $line != $'"'\r'"' ]] || break; done
    cat <&3' http_get "$1" "$2" "$3" 2>/dev/null
}

# kafka_brokers HOST PORT: how many brokers a metadata request (version 1, no topics) finds.
kafka_brokers() {
  local hex
  hex=$(timeout 5 bash -c '
    exec 3<>"/dev/tcp/$1/$2" || exit 1
    #       size                api key  version  correlation id      client id: grid         topics: none
    printf "\0\0\0\022" >&3; printf "\0\003\0\001\0\0\0\001\0\004grid\0\0\0\0" >&3
    head -c 12 <&3 | od -An -v -tx1 | tr -d " \n"' kafka_brokers "$1" "$2" 2>/dev/null)
  # The answer: size, correlation id, number of brokers, 4 bytes each.
  [[ ${#hex} == 24 && ${hex:8:8} == 00000001 ]] || return 1
  echo $((16#${hex:16:8}))
}

# rm_nodes: "HOST:PORT STATE LASTHEALTHUPDATE" of every node the ResourceManager knows.
rm_nodes() {
  http_get "$(host_of rm)" "$RM_WEB_PORT" /ws/v1/cluster/nodes | tr '{' '\n' |
    sed -n 's/.*"state":"\([A-Z_]*\)".*"id":"\([^"]*\)".*"lastHealthUpdate":\([0-9]*\).*/\2 \1 \3/p'
}

# ready DAEMON: succeeds when it is of use; sets WHY to what is still missing.
ready() {
  local name=$1 host body count id node state updated
  host=$(host_of "$name")
  case $name in
    kafka)
      WHY="no answer to a metadata request on $host:$KAFKA_PORT"
      count=$(kafka_brokers "$host" "$KAFKA_PORT") && ((count >= 1))
      ;;
    kdc)
      # The keytab is the last thing that it writes.
      WHY="no keytab yet"
      [[ -s $SECURE/grid.keytab ]] || return 1
      WHY="not listening on $host:$KDC_PORT"
      (exec 3<>"/dev/tcp/$host/$KDC_PORT") 2>/dev/null
      ;;
    namenode)
      WHY="no answer on $host:$NAMENODE_WEB_PORT"
      body=$(http_get "$host" "$NAMENODE_WEB_PORT" '/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState') || return 1
      [[ $body == *'"FSState"'* ]] || return 1
      WHY="in safe mode"
      [[ $body =~ \"FSState\"\ *:\ *\"Operational\" ]] || return 1
      # It calls itself operational before it looks at its blocks at all, too.
      body=$(http_get "$host" "$NAMENODE_WEB_PORT" /startupProgress) || return 1
      [[ $body =~ \"name\":\"SafeMode\"[^{}]*\"status\":\"COMPLETE\" ]]
      ;;
    datanode)
      WHY="not registered with the NameNode"
      body=$(http_get "$(host_of namenode)" "$NAMENODE_WEB_PORT" '/jmx?qry=Hadoop:service=NameNode,name=FSNamesystemState') || return 1
      [[ $body =~ \"NumLiveDataNodes\"\ *:\ *([0-9]+) ]] && ((BASH_REMATCH[1] >= 1)) || return 1
      # The NameNode remembers a DataNode for minutes: this one must listen, too.
      WHY="not listening on $host:$DATANODE_IPC_PORT"
      (exec 3<>"/dev/tcp/$host/$DATANODE_IPC_PORT") 2>/dev/null
      ;;
    rm)
      WHY="no answer on $host:$RM_WEB_PORT"
      body=$(http_get "$host" "$RM_WEB_PORT" /ws/v1/cluster/info) || return 1
      WHY="not active"
      [[ $body == *'"state":"STARTED"'* && $body == *'"haState":"ACTIVE"'* ]]
      ;;
    nm*)
      WHY="no answer on $host:$NM_WEB_PORT"
      body=$(http_get "$host" "$NM_WEB_PORT" /ws/v1/node/info) || return 1
      # 127.0.0.1 calls itself localhost: the NodeManager knows its own id best.
      [[ $body == *'"nodeHealthy":true'* && $body =~ \"id\":\"([^\"]+:$NM_PORT)\" ]] || return 1
      id=${BASH_REMATCH[1]}
      WHY="not registered with the ResourceManager"
      while read -r node state updated; do
        # The ResourceManager remembers a NodeManager that died: the report must be newer than the process.
        if [[ $node == "$id" && $state == RUNNING ]] && ((updated >= $(started_ms "$name"))); then
          return 0
        fi
      done < <(rm_nodes)
      return 1
      ;;
  esac
}
