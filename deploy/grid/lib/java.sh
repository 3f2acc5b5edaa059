# shellcheck shell=bash disable=SC2015,SC2016,SC2034,SC2086,SC2153,SC2174,SC2206
# Java and the jars: where they are, how they come here. Sourced by bin/grid.sh.

KAFKA_VERSION=4.1.0
HADOOP_VERSION=3.4.1
MAVEN_COPY=org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies
JARS=${GRID_CACHE:-${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/heddle-grid}

# find_java: sets JAVA and JAVA_HOME, or ends. Kafka 4 needs Java 17; Hadoop 3.4 fails from Java 23 on
# (Subject.getSubject is gone).
find_java() {
  local version
  if [[ -n ${JAVA_HOME:-} && -x $JAVA_HOME/bin/java ]]; then
    JAVA=$JAVA_HOME/bin/java
  elif have java; then
    JAVA=$(readlink -f "$(command -v java)")
    JAVA_HOME=${JAVA%/bin/java}
  else
    die $EXIT_MISSING "Java is missing: install a Java 17 or 21 (Debian: apt-get install openjdk-17-jre-headless maven) or set JAVA_HOME"
  fi
  version=$("$JAVA" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)
  if [[ -z $version ]] || ((version < 17 || version > 22)); then
    die $EXIT_MISSING "$JAVA is Java ${version:-of an unknown version}, the grid needs 17 to 22: install one or point JAVA_HOME to it"
  fi
  export JAVA_HOME
}

# jar_dir kafka|hadoop: the folder of its jars. It is named after the content of the pom, so that a
# changed pom is another folder.
jar_dir() {
  local pom=$GRID_FILES/$1-pom.xml version
  if [[ $1 == kafka ]]; then version=$KAFKA_VERSION; else version=$HADOOP_VERSION; fi
  printf '%s/%s-%s-%s' "$JARS" "$1" "$version" "$(cksum <"$pom" | cut -d ' ' -f 1)"
}

# bootstrap kafka|hadoop: brings the jars from Maven Central, once per cache. They appear under their
# name only when all are there, so that an interrupted or a second download does no harm.
bootstrap() {
  local part=$1 dir partial log pid got began=$SECONDS
  dir=$(jar_dir "$part")
  if [[ -d $dir ]]; then
    return 0
  fi
  if ! have mvn; then
    die $EXIT_MISSING "Maven is missing, and the jars of $part are not in $JARS: install it (Debian: apt-get install maven)"
  fi
  mkdir -p "$JARS" || die $EXIT_FAILED "cannot make $JARS: set GRID_CACHE to a folder of yours"
  partial=$(mktemp -d "$JARS/.$part.XXXXXX") || die $EXIT_FAILED "cannot write to $JARS: set GRID_CACHE to a folder of yours"
  chmod 755 "$partial"
  log=$partial/maven.log
  mvn -B -f "$GRID_FILES/$part-pom.xml" "$MAVEN_COPY" -DincludeScope=runtime \
    -DoutputDirectory="$partial" </dev/null >"$log" 2>&1 9>&- &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    got=$(grep -c '^.*Downloaded .*\.jar' "$log" || true)
    progress "fetching the jars of $part from Maven Central: $got downloaded, $((SECONDS - began)) s"
    sleep 0.5
  done
  if ! wait "$pid"; then
    clear_progress
    grep -m 5 'ERROR' "$log" >&2 || tail -n 20 "$log" >&2
    rm -rf "$partial"
    die $EXIT_MISSING "Maven could not fetch the jars of $part: is Maven Central, or the mirror in ~/.m2/settings.xml, reachable?"
  fi
  rm -f "$log"
  mv -T "$partial" "$dir" 2>/dev/null || rm -rf "$partial" # another bootstrap was first
  clear_progress
  say "$part: $(find "$dir" -name '*.jar' | wc -l) jars in $dir"
}
