package job

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"heddle/coordinator"
)

// Print writes the count for people.
func (c StateCount) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "TASK\tENTRIES")
	for _, task := range c.Tasks {
		fmt.Fprintf(t, "%s\t%d\n", task.Task, task.Count)
	}
	fmt.Fprintf(t, "all\t%d\n", c.Count)
	return t.Flush()
}

// PrintStores writes a table of stores. What a store on disk does not know, how
// many entries it has, is no column if no store knows it.
func PrintStores(w io.Writer, all []coordinator.StoreStatus) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	counted := slices.ContainsFunc(all, func(s coordinator.StoreStatus) bool { return s.Entries >= 0 })
	row := func(cells ...string) {
		if !counted {
			cells = slices.Delete(cells, 6, 7)
		}
		fmt.Fprintln(t, strings.Join(cells, "\t"))
	}
	row("STORE", "ENGINE", "KEYS", "VALUES", "FROM", "TASKS", "ENTRIES", "SIZE", "BEHIND", "SNAPSHOT", "RESTORED")
	dash := func(s string) string {
		if s == "" {
			return "-"
		}
		return s
	}
	for _, s := range all {
		entries, size := "-", "?"
		if s.Entries >= 0 {
			entries = strconv.FormatInt(s.Entries, 10)
		}
		if s.Bytes >= 0 {
			size = Bytes(s.Bytes)
		}
		from := s.Changelog
		if len(s.SideInputs) > 0 {
			from = strings.Join(s.SideInputs, ",")
		}
		snapshot := "-"
		if at := s.OldestSnapshot(); at > 0 {
			snapshot = time.UnixMilli(at).UTC().Format(time.RFC3339)
		}
		restored := "-"
		if r := s.Restore(); r.Total > 0 {
			restored = fmt.Sprintf("%d of %d", r.Done, r.Total)
			if r.Waiting > 0 {
				restored = fmt.Sprintf("%d of about %d", r.Done, r.Total)
			}
		}
		behind := "-"
		if len(s.SideInputs) > 0 {
			behind = "?"
			if s.Behind >= 0 {
				behind = strconv.FormatInt(s.Behind, 10)
			}
		}
		row(s.Name, s.Engine, dash(s.KeySerde), dash(s.MsgSerde), dash(from), strconv.Itoa(len(s.Tasks)), entries, size, behind, snapshot, restored)
	}
	return t.Flush()
}

// EntryPrinter writes entries as they come, with no more than a page in memory.
type EntryPrinter struct {
	w      *bufio.Writer
	json   bool
	header bool
}

// NewEntryPrinter prints one JSON object a line, or a table.
func NewEntryPrinter(w io.Writer, asJSON bool) *EntryPrinter {
	return &EntryPrinter{w: bufio.NewWriterSize(w, 64<<10), json: asJSON}
}

// Print writes some entries.
func (p *EntryPrinter) Print(entries []coordinator.StateEntry) error {
	if p.json {
		for _, e := range entries {
			if err := p.object(e); err != nil {
				return err
			}
		}
		return p.w.Flush()
	}
	if len(entries) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(p.w, 0, 0, 2, ' ', 0)
	if !p.header {
		p.header = true
		fmt.Fprintln(t, "TASK\tKEY\tVALUE")
	}
	for _, e := range entries {
		fmt.Fprintf(t, "%s\t%s\t%s\n", e.Task, plain(e.Key), plain(e.Value))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return p.w.Flush()
}

// object writes {"task":...,"key":...,"value":...}; key and value are JSON
// already.
func (p *EntryPrinter) object(e coordinator.StateEntry) error {
	name, err := json.Marshal(e.Task)
	if err != nil {
		return err
	}
	for _, part := range [][]byte{[]byte(`{"task":`), name, []byte(`,"key":`), e.Key, []byte(`,"value":`), e.Value, []byte("}\n")} {
		if _, err := p.w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// plain is JSON for people: a text without its quotation marks, if nothing in it
// would break the table.
func plain(v []byte) string {
	var s string
	if len(v) > 0 && v[0] == '"' && json.Unmarshal(v, &s) == nil && s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == '\uFFFD' }) {
		return s
	}
	return string(v)
}
