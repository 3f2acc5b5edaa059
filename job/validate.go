package job

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"

	"heddle/config"
)

// Validation is the resolved plan of a job, as `run-job validate` prints it.
type Validation struct {
	Job        string            `json:"job"`
	Factory    string            `json:"factory"`
	Program    string            `json:"program"`
	Tasks      []string          `json:"tasks"`
	Containers int               `json:"containers"`
	TaskCount  int               `json:"taskCount"`
	Create     []Topic           `json:"create"`
	Keys       []config.Resolved `json:"keys"`
}

// Topic is one that a start would make.
type Topic struct {
	Topic      string `json:"topic"`
	Partitions int32  `json:"partitions"`
	Why        string `json:"why"`
}

// Validate checks everything that a start checks and gives the resolved plan;
// it changes nothing.
func (j *Job) Validate(ctx context.Context, building io.Writer) (Validation, error) {
	v := Validation{Job: j.Name(), Factory: string(j.Factory), Keys: config.Resolve(j.Config), Create: []Topic{}}
	if err := j.checkPreloads(); err != nil {
		return v, err
	}
	r, err := j.check(ctx, building)
	if err != nil {
		return v, err
	}
	defer r.close()
	for _, w := range config.GoingBack(j.Config) {
		j.say.Warn("%s", w)
	}
	if _, err := j.checkSnapshots(ctx, false); err != nil {
		return v, err
	}
	v.Program, v.Tasks = r.program, r.tasks
	v.Containers, v.TaskCount = len(r.model.Containers), r.model.TaskCount()
	for _, c := range r.create {
		v.Create = append(v.Create, Topic{c.System + "." + c.Spec.Name, c.Spec.Partitions, c.Why})
	}
	if j.Factory == config.YARN {
		c, err := OpenCluster(j.log)
		if err != nil {
			return v, err
		}
		defer c.Close()
		_, maximum, err := c.client.NewApplication(ctx)
		if err != nil {
			return v, err
		}
		if err := j.fits(maximum); err != nil {
			return v, err
		}
	}
	return v, nil
}

// Print writes the plan for people.
func (v Validation) Print(w io.Writer) error {
	fmt.Fprintf(w, "job %s is valid: %s, %s in %s, program %s\n", v.Job, v.Factory, Count(int64(v.TaskCount), "task"), Count(int64(v.Containers), "container"), v.Program)
	for _, t := range v.Create {
		fmt.Fprintf(w, "would make the topic %s with %s (%s)\n", t.Topic, Count(int64(t.Partitions), "partition"), t.Why)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nKEY\tVALUE\tFROM\t")
	for _, k := range v.Keys {
		if k.Default {
			continue
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", k.Key, k.Value, k.Origin, k.Note)
	}
	return t.Flush()
}
