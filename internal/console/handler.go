package console

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
)

// Handler is where the loggers of the run write to. What containers tell of
// themselves, short of warnings, is shown from their events and left out here.
func (c *Console) Handler() slog.Handler { return &handler{c: c} }

type handler struct {
	c     *Console
	attrs string
	group string
	// ofContainer: the logger is a container's.
	ofContainer bool
}

func (h *handler) Enabled(_ context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn || l >= slog.LevelInfo && !h.ofContainer
}

func (h *handler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	b.WriteString(r.Message)
	b.WriteString(h.attrs)
	stack := ""
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "stack" {
			stack = a.Value.String()
			return true
		}
		h.append(&b, a)
		return true
	})
	k := plain
	label := "info"
	switch {
	case r.Level >= slog.LevelError:
		k, label = bad, "error"
	case r.Level >= slog.LevelWarn:
		k, label = careful, "warning"
	}
	h.c.mu.Lock()
	defer h.c.mu.Unlock()
	h.c.write(h.c.now(), line{label: label, kind: k, text: b.String(), logged: true})
	if stack != "" {
		fmt.Fprintln(h.c.out, stack)
	}
	return nil
}

func (h *handler) append(b *strings.Builder, a slog.Attr) {
	if a.Equal(slog.Attr{}) {
		return
	}
	v := a.Value.Resolve().String()
	if strings.ContainsAny(v, " =\"\n") || v == "" {
		v = fmt.Sprintf("%q", v)
	}
	fmt.Fprintf(b, " %s%s=%s", h.group, a.Key, v)
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	n := *h
	var b strings.Builder
	for _, a := range attrs {
		n.ofContainer = n.ofContainer || a.Key == "container"
		h.append(&b, a)
	}
	n.attrs += b.String()
	return &n
}

func (h *handler) WithGroup(name string) slog.Handler {
	n := *h
	n.group += name + "."
	return &n
}
