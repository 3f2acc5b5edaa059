package container

import (
	"errors"
	"io"
	"os"
	ossignal "os/signal"
	"sync"
	"syscall"
)

// outlivesItsReader lets a part of a run-job go on when nobody reads any more what
// it prints: run-job was killed, and reads what the containers print, or `| head`
// has seen enough. By default a process ends at once at its next line (SIGPIPE),
// and that line comes in the same moment: run-job may serve the Kafka whose loss is
// logged. The channel is closed when a line went nowhere.
func (p *program) outlivesItsReader(stdout *os.File) {
	ossignal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	if info, err := stdout.Stat(); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return
	}
	unread := make(chan struct{})
	p.stdout, p.unread = &pipe{Writer: stdout, broken: sync.OnceFunc(func() { close(unread) })}, unread
}

// pipe tells when nobody reads it any more.
type pipe struct {
	io.Writer
	broken func()
}

func (p *pipe) Write(b []byte) (int, error) {
	n, err := p.Writer.Write(b)
	if errors.Is(err, syscall.EPIPE) {
		p.broken()
	}
	return n, err
}
