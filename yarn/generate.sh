#!/bin/sh
# Generates the Go code of YARN's messages (yarn/internal/pb) from their .proto
# files; the messages of the RPC itself have yarn/rpc/generate.sh. Needs
# protoc-gen-go (google.golang.org/protobuf, the version of go.mod) on the PATH
# or in $(go env GOPATH)/bin, and protoc, or Python with grpcio-tools in its
# place ($PYTHON, default python3).
#
# With --check nothing is changed: exit code 1 and a diff where the committed
# code is not what the .proto files give (the version of protoc aside).
set -eu
cd "$(dirname "$0")/.."
PATH="$PATH:$(go env GOPATH)/bin"
if command -v protoc >/dev/null 2>&1; then
	protoc=protoc
else
	protoc="${PYTHON:-python3} -m grpc_tools.protoc"
fi
out=.
if [ "${1:-}" = --check ]; then
	out=$(mktemp -d)
	trap 'rm -rf "$out"' EXIT
fi
$protoc -I. --go_out="$out" --go_opt=module=heddle \
	yarn/internal/pb/yarn.proto \
	yarn/internal/pb/yarn_service.proto \
	yarn/internal/pb/yarn_token.proto
if [ "$out" != . ]; then
	for f in yarn/internal/pb/*.pb.go; do
		diff -u -I '^// 	protoc' "$f" "$out/$f"
	done
fi
