//go:build !unix

package yarnfake

import (
	"os"
	"os/exec"
	"syscall"
)

func ownGroup(*exec.Cmd) {}

func signalGroup(p *os.Process, _ syscall.Signal) { _ = p.Kill() }
