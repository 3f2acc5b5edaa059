#!/bin/sh
# Makes the keystores beside it: a key and a certificate of its own ("client"),
# and truststores with that certificate twice. Needs keytool of Java 17 and
# openssl 3.
set -eu
cd "$(dirname "$0")"
rm -f ./*.jks ./*.p12 ./*.pem
keytool="keytool -noprompt"
store() { # FILE TYPE [FLAG]
  $keytool -genkeypair -alias client -keyalg EC -groupname secp256r1 -dname CN=client -validity 36500 \
    -keystore "$1" -storetype "$2" -storepass store-password ${4:-} ${3:-}
}
trust() { # FILE TYPE [FLAG]
  for alias in one two; do
    $keytool -importcert -alias $alias -file client.pem -keystore "$1" -storetype "$2" -storepass store-password ${3:-}
  done
}
store key.jks JKS "" "-keypass key-password"
$keytool -exportcert -rfc -alias client -keystore key.jks -storepass store-password -file client.pem
trust trust.jks JKS
store key.p12 PKCS12
trust trust.p12 PKCS12
store key-old.p12 PKCS12 -J-Dkeystore.pkcs12.legacy
trust trust-old.p12 PKCS12 -J-Dkeystore.pkcs12.legacy
openssl pkcs12 -in key.p12 -nodes -passin pass:store-password -out tmp.pem
openssl pkcs12 -export -in tmp.pem -passout pass:store-password -out openssl.p12
openssl pkcs12 -export -in tmp.pem -passout pass:store-password -keypbe AES-128-CBC -certpbe PBE-SHA1-RC2-128 -provider legacy -provider default -out openssl-mixed.p12
openssl pkcs12 -export -in tmp.pem -passout pass: -keypbe NONE -certpbe NONE -nomac -out openssl-plain.p12
openssl pkcs8 -topk8 -in tmp.pem -passout pass:key-password -out encrypted.pem
openssl x509 -in tmp.pem >>encrypted.pem
rm tmp.pem
