# Versions of the tools that bin/test.sh builds from the Go module proxy.
# shellcheck shell=bash disable=SC2034
GOLANGCI_LINT_VERSION=v2.15.0
GOVULNCHECK_VERSION=v1.9.0
