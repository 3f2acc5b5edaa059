# shellcheck shell=bash disable=SC2015,SC2016,SC2034,SC2086,SC2153,SC2174,SC2206
# The configuration files of one grid, written from the templates in deploy/grid/conf. Sourced by bin/grid.sh.

# xml_text TEXT: TEXT for use inside an XML element.
xml_text() {
  local s=$1
  s=${s//&/&amp;}
  s=${s//</&lt;}
  printf %s "${s//>/&gt;}"
}

# fill TEMPLATE NM: the template with its @NAMES@ replaced; @EXTRA@ lines become $EXTRA.
fill() {
  local text name value names
  text=$(<"$GRID_FILES/conf/$1")
  names=$(grep -o '@[A-Z_]*@' <<<"$text" | sort -u | tr -d @)
  for name in $names; do
    case $name in
      EXTRA) value=$EXTRA ;;
      GRID_HOME) value=$(xml_text "$GRID_HOME") ;;
      BIND) value=${GRID_BIND:-127.0.0.1} ;;
      NM) value=${2:-} ;;
      NM_HOST) value=$(host_of "$2") ;;
      NM_BIND) value=${GRID_BIND:-$(host_of "$2")} ;;
      KAFKA_NAME) value=$(kafka_name) ;;
      KAFKA_HOST | NAMENODE_HOST | DATANODE_HOST | RM_HOST)
        value=${name%_HOST}
        value=$(host_of "${value,,}")
        ;;
      *) value=${!name} ;;
    esac
    text=${text//"@$name@"/"$value"}
  done
  printf '%s\n' "$text"
}

# extra FILE: the settings given with --set that belong into it, as XML or, for Kafka, as properties.
extra() {
  local key value file
  while IFS='=' read -r key value; do
    case $key in
      '' | '#'*) continue ;;
      kafka.*) file=kafka.properties ;;
      yarn.scheduler.capacity.*) file=capacity-scheduler.xml ;;
      yarn.*) file=yarn-site.xml ;;
      dfs.*) file=hdfs-site.xml ;;
      *) file=core-site.xml ;;
    esac
    [[ $file == "$1" ]] || continue
    if [[ $file == kafka.properties ]]; then
      printf '%s=%s\n' "${key#kafka.}" "$value"
    else
      printf '  <property><name>%s</name><value>%s</value></property>\n' "$(xml_text "$key")" "$(xml_text "$value")"
    fi
  done < <(cat "$GRID_HOME/settings" 2>/dev/null)
}

# write_conf: conf/ is what clients and containers see; nmN/conf adds what that NodeManager has for itself.
write_conf() {
  local i file dir
  mkdir -p "$GRID_HOME/conf"
  EXTRA=
  {
    fill kafka.properties
    if ((SECURED)); then fill kafka-secure.properties; fi
    extra kafka.properties
  } >"$GRID_HOME/kafka.properties"
  if ((SECURED)); then
    mkdir -p "$SECURE"
    fill kdc.properties >"$SECURE/kdc.properties"
    fill krb5.conf >"$SECURE/krb5.conf"
  fi
  for file in core-site.xml hdfs-site.xml yarn-site.xml capacity-scheduler.xml; do
    EXTRA=$(extra "$file")
    fill "$file" >"$GRID_HOME/conf/$file"
  done
  cp "$GRID_FILES/conf/log4j.properties" "$GRID_HOME/conf/"
  # The web pages are not in the jars; the daemons are content with empty folders.
  mkdir -p "$GRID_HOME/web/webapps/hdfs" "$GRID_HOME/web/webapps/datanode"
  for ((i = 1; i <= NODEMANAGERS; i++)); do
    dir=$GRID_HOME/nm$i
    mkdir -p "$dir/conf" "$dir/local" "$dir/logs" "$dir/recovery"
    cp "$GRID_HOME"/conf/{core-site.xml,hdfs-site.xml,log4j.properties} "$dir/conf/"
    EXTRA=$(fill nodemanager-site.xml "nm$i")$'\n'$(extra yarn-site.xml)
    fill yarn-site.xml >"$dir/conf/yarn-site.xml"
  done
}
