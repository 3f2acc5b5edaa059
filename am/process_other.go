//go:build !linux

package am

import "syscall"

func dieWithParent(*syscall.SysProcAttr) {}
