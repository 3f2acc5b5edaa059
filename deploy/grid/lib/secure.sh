# shellcheck shell=bash disable=SC2015,SC2034,SC2153
# What a secured grid (--secure) has: a CA and keystores by keytool, users, a KDC. Sourced by bin/grid.sh.

# Passwords of a test grid, known to its tests (internal/grid). They protect nothing.
STORE_PASSWORD=store-s3cr3t
ALICE=alice-s3cr3t

# KDC_CLIENTS: the principals that log in to Kafka.
KDC_CLIENTS=(alice job/worker)

# kafka_name: the name that the secured listeners and the broker's certificate have.
kafka_name() {
  local host
  host=$(host_of kafka)
  if [[ $host == 127.0.0.1 ]]; then host=localhost; fi
  printf %s "$host"
}

key_tool() { "$JAVA_HOME/bin/keytool" -J-XX:+UseSerialGC -J-XX:TieredStopAtLevel=1 "$@" -storepass "$STORE_PASSWORD" -noprompt 2>&1; }

store_type() { if [[ $1 == *.jks ]]; then echo jks; else echo pkcs12; fi; }

# make_certificates: a CA, a broker's and a client's certificate of it, in the formats that users have.
#   truststore.jks truststore.p12 ca.pem    the CA's certificate
#   broker.p12 client.jks client.p12        key and chain
make_certificates() {
  local all=$SECURE/all.p12 names="dns:localhost,ip:127.0.0.1" file pid pids=()
  [[ ! -f $SECURE/certificates ]] || return 0
  rm -f "$SECURE"/*.p12 "$SECURE"/*.jks
  if [[ $(kafka_name) != localhost ]]; then names+=",dns:$(kafka_name)"; fi
  (
    umask 077
    key_tool -genkeypair -keystore "$all" -alias ca -dname "CN=Grid CA" -keyalg EC -groupname secp256r1 -ext bc:c -validity 3650 &&
      key_tool -genkeypair -keystore "$all" -alias broker -signer ca -dname "CN=broker" -keyalg RSA -keysize 2048 -ext "san=$names" -validity 3650 &&
      key_tool -genkeypair -keystore "$all" -alias client -signer ca -dname "CN=client" -keyalg RSA -keysize 2048 -validity 3650 &&
      key_tool -exportcert -keystore "$all" -alias ca -rfc -file "$SECURE/ca.pem" || exit 1
    for file in truststore.jks truststore.p12; do
      key_tool -importcert -keystore "$SECURE/$file" -storetype "$(store_type "$file")" -alias ca -file "$SECURE/ca.pem" &
      pids+=($!)
    done
    for file in broker.p12 client.jks client.p12; do
      key_tool -importkeystore -srckeystore "$all" -srcstorepass "$STORE_PASSWORD" -srcalias "${file%.*}" \
        -destkeystore "$SECURE/$file" -deststoretype "$(store_type "$file")" &
      pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid" || exit 1; done
  ) && touch "$SECURE/certificates"
}

await_kdc() {
  local deadline=$((SECONDS + ${GRID_TIMEOUT:-120}))
  until ready kdc; do
    if ! pid_of kdc >/dev/null; then
      echo "the KDC ended: see $GRID_HOME/logs/kdc.log"
      return 1
    elif ((SECONDS > deadline)); then
      echo "the KDC is not ready: $WHY"
      return 1
    fi
    sleep 0.1
  done
}
