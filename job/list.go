package job

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"heddle/yarn"
)

// List gives the applications of a type; all those that have not ended, and
// with all also the others.
func (c *Cluster) List(ctx context.Context, types []string, all bool) ([]State, error) {
	f := yarn.ApplicationFilter{Types: types}
	if !all {
		f.States = live
	}
	reports, err := c.client.Reports(ctx, f)
	if err != nil {
		return nil, err
	}
	out := []State{}
	for _, r := range reports {
		out = append(out, State{ApplicationID: r.ID.String(), Name: r.Name, User: r.User, Queue: r.Queue, State: string(r.State),
			FinalStatus: string(r.FinalStatus), TrackingURL: r.TrackingURL, StartedAt: milli(r.Submitted), FinishedAt: milli(r.Finished)})
	}
	return out, nil
}

// PrintList writes a table.
func PrintList(w io.Writer, all []State) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "APPLICATION\tJOB\tUSER\tSTATE\tFINAL STATUS\tSTARTED")
	for _, s := range all {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", s.ApplicationID, s.Name, s.User, s.State, s.FinalStatus, time.UnixMilli(s.StartedAt).Format(time.DateTime))
	}
	return t.Flush()
}
