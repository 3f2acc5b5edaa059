package am

import "syscall"

// dieWithParent lets the kernel stop a child whose run-job was killed; where
// there is no such thing the child notices that nobody answers it.
func dieWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGTERM }
