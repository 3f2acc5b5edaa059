#!/bin/sh
# Generates the Go code of the RPC headers and of the token messages from their
# .proto files. Needs protoc-gen-go (google.golang.org/protobuf, the version of
# go.mod) on the PATH or in $(go env GOPATH)/bin, and protoc, or Python with
# grpcio-tools in its place.
set -eu
cd "$(dirname "$0")/../.."
PATH="$PATH:$(go env GOPATH)/bin"
if command -v protoc >/dev/null 2>&1; then
	protoc=protoc
else
	protoc="python3 -m grpc_tools.protoc"
fi
$protoc -I. --go_out=. --go_opt=module=heddle \
	yarn/internal/securitypb/security.proto \
	yarn/rpc/internal/rpcpb/rpc.proto
