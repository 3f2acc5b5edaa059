package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"heddle/config"
	"heddle/job"
	"heddle/job/topic"
	"heddle/serde"
	"heddle/system"
	"heddle/task"
)

func newTopic() *cobra.Command {
	c := &cobra.Command{
		Use:     "topic",
		Short:   "Write, read, list and make the streams of a job",
		Long:    "Write, read, list and make the streams of a job. A stream is named system.stream, as in\ntask.inputs; how it is reached and read comes from the job's configuration.",
		Example: `  bin/run-job.sh topic tail kafka.pageviews --until-end --config-path=job.properties`,
	}
	c.AddCommand(newProduce(), newTail(), newTopicList(), newCreate())
	return c
}

// stream is a stream that a command is about, with its system opened.
type stream struct {
	job        *job.Job
	sys        system.System
	name       string
	config     config.StreamConfig
	key, value task.Serde
	done       func()
}

func openStream(ctx context.Context, f *flags, name string, say *job.Say) (*stream, error) {
	j, err := openConfig(ctx, f, say)
	if err != nil {
		return nil, err
	}
	at, err := config.ParseSystemStream(name)
	if err != nil {
		return nil, job.Usage("%v; name a stream as system.stream, for example kafka.clickevent", err)
	}
	at = config.Physical(j.Config, at.System, at.Stream)
	s := &stream{job: j, name: at.Stream}
	if s.config, err = config.Stream(j.Config, at.System, at.Stream); err != nil {
		return nil, err
	}
	if s.key, err = serdeOf(j.Config, s.config.KeySerde, s.config.KeySerdeKey); err != nil {
		return nil, err
	}
	if s.value, err = serdeOf(j.Config, s.config.MsgSerde, s.config.MsgSerdeKey); err != nil {
		return nil, err
	}
	s.sys, s.done, err = j.System(at.System)
	return s, err
}

func openConfig(ctx context.Context, f *flags, say *job.Say) (*job.Job, error) {
	src, err := f.source()
	if err != nil {
		return nil, err
	}
	return job.LoadSystems(ctx, src, job.FindPlace(), say, f.log())
}

func serdeOf(c config.Config, name, key string) (task.Serde, error) {
	if name == "" {
		return nil, nil
	}
	alias, err := config.Serde(c, name, key)
	if err != nil {
		return nil, err
	}
	return serde.New(alias.Name)
}

func newProduce() *cobra.Command {
	var f flags
	var file, keyField string
	var quiet bool
	c := &cobra.Command{
		Use:   "produce SYSTEM.STREAM",
		Short: "Append the lines of a file or of stdin to a stream",
		Example: `  bin/run-job.sh topic produce kafka.clickevent --file=clicks.jsonl --key=user --config-path=job.properties
  seq 10 | bin/run-job.sh topic produce kafka.numbers --config-path=job.properties`,
		Args: exactly(1, "one stream"),
		RunE: func(c *cobra.Command, args []string) error {
			say := job.NewSay(stderr, quiet)
			var in io.Reader = os.Stdin
			name := "stdin"
			if file != "" && file != "-" {
				opened, err := os.Open(file)
				if err != nil {
					return job.Usage("--file: %w", err)
				}
				defer opened.Close()
				in, name = opened, file
			}
			s, err := openStream(c.Context(), &f, args[0], say)
			if err != nil {
				return err
			}
			defer s.done()
			n, err := topic.Produce(c.Context(), s.sys, s.name, in, topic.Lines{KeyField: keyField, Name: name, Progress: func(n, size int64) {
				say.Moving("%s, %s", job.Count(n, "message"), job.Bytes(size))
			}})
			say.Done()
			if errors.Is(err, system.ErrNoStream) {
				return noStream(args[0], err)
			}
			if err != nil {
				return err
			}
			say.Step("%s to %s", job.Count(n, "message"), args[0])
			return nil
		},
	}
	f.add(c)
	c.Flags().StringVar(&file, "file", "", "the file to read; stdin if not set or -")
	c.Flags().StringVar(&keyField, "key", "", "field of JSON lines that becomes the message's key")
	c.Flags().BoolVar(&quiet, "quiet", false, "no progress")
	return c
}

// noStream shows the command that makes the stream.
func noStream(name string, err error) error {
	return job.Usage("%w; make it with: bin/run-job.sh topic create %s --partitions=4 --config-path=...; run-job topic list shows those that there are", err, name)
}

func newTail() *cobra.Command {
	var f flags
	var t topic.Tail
	c := &cobra.Command{
		Use:   "tail SYSTEM.STREAM",
		Short: "Print the messages of a stream",
		Long:  "Print the messages of a stream as they come, or with --until-end those up to its present\nend. With --json: one object a line, with topic, partition, offset, timestamp (ms), key and\nvalue, decoded by the stream's serdes; what they cannot read stands as {\"base64\":\"...\"}.",
		Example: `  bin/run-job.sh topic tail kafka.pageviews --config-path=job.properties
  bin/run-job.sh topic tail kafka.pageviews --until-end --json --config-path=job.properties
  bin/run-job.sh topic tail kafka.pageviews --from=1000 --max=10 --config-path=job.properties`,
		Args: exactly(1, "one stream"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := t.Check(); err != nil {
				return job.Usage("%w", err)
			}
			s, err := openStream(c.Context(), &f, args[0], job.NewSay(stderr, true))
			if err != nil {
				return err
			}
			defer s.done()
			t.KeySerde, t.ValueSerde = s.key, s.value
			_, err = t.Run(c.Context(), s.sys, s.name, os.Stdout)
			if errors.Is(err, system.ErrNoStream) {
				return noStream(args[0], err)
			}
			return err
		},
	}
	f.add(c)
	c.Flags().StringVar(&t.From, "from", "", "oldest, newest or an offset (default newest; with --until-end, oldest)")
	c.Flags().BoolVar(&t.UntilEnd, "until-end", false, "stop at the end that the stream has at the start")
	c.Flags().Int64Var(&t.Max, "max", 0, "stop after so many messages; 0: no bound")
	c.Flags().BoolVar(&t.JSON, "json", false, "one JSON object a line")
	return c
}

func newTopicList() *cobra.Command {
	var f flags
	var asJSON, all bool
	c := &cobra.Command{
		Use:   "list [SYSTEM]",
		Short: "List the streams of a system",
		Long:  "List the streams of a system, with how many offsets lie between the ends of their partitions:\nas many as messages, but for transactions' markers and what was aborted or compacted.",
		Example: `  bin/run-job.sh topic list --config-path=job.properties
  bin/run-job.sh topic list kafka --all --json --config-path=job.properties`,
		RunE: func(c *cobra.Command, args []string) error {
			j, err := openConfig(c.Context(), &f, job.NewSay(stderr, true))
			if err != nil {
				return err
			}
			systems := config.Systems(j.Config)
			switch {
			case len(args) == 1:
				systems = args
			case len(args) > 1:
				return job.Usage("list: one system at a time")
			}
			w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
			if !asJSON {
				fmt.Fprintln(w, "STREAM\tPARTITIONS\tMESSAGES")
			}
			for _, name := range systems {
				sys, done, err := j.System(name)
				if err != nil {
					return err
				}
				found, err := topic.List(c.Context(), sys, all)
				done()
				if err != nil {
					return err
				}
				if asJSON {
					if err := job.PrintJSON(os.Stdout, found...); err != nil {
						return err
					}
					continue
				}
				for _, i := range found {
					fmt.Fprintf(w, "%s.%s\t%d\t%d\n", name, i.Topic, i.Partitions, i.Messages)
				}
			}
			return w.Flush()
		},
	}
	f.add(c)
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object a line")
	c.Flags().BoolVar(&all, "all", false, "also the internal ones, whose names begin with __")
	return c
}

func newCreate() *cobra.Command {
	var f flags
	var partitions int32
	var replication int
	var settings []string
	c := &cobra.Command{
		Use:   "create SYSTEM.STREAM",
		Short: "Make a stream",
		Example: `  bin/run-job.sh topic create kafka.clickevent --partitions=4 --config-path=job.properties
  bin/run-job.sh topic create kafka.totals --setting cleanup.policy=compact --config-path=job.properties`,
		Args: exactly(1, "one stream"),
		RunE: func(c *cobra.Command, args []string) error {
			s, err := openStream(c.Context(), &f, args[0], job.NewSay(stderr, true))
			if err != nil {
				return err
			}
			defer s.done()
			spec := system.StreamSpec{Name: s.name, Partitions: partitions, ReplicationFactor: replication, Settings: map[string]string{}}
			for k, v := range s.config.Topic {
				spec.Settings[k] = v
			}
			if spec.Partitions == 0 {
				spec.Partitions = int32(s.config.Partitions)
			}
			if spec.Partitions <= 0 {
				spec.Partitions = 4
			}
			for _, kv := range settings {
				k, v, ok := strings.Cut(kv, "=")
				if !ok {
					return job.Usage("--setting=%s: expected NAME=VALUE", kv)
				}
				spec.Settings[k] = v
			}
			admin, err := s.sys.Admin()
			if err != nil {
				return err
			}
			if spec.ReplicationFactor == 0 {
				brokers, err := admin.Brokers(c.Context())
				if err != nil {
					return err
				}
				if spec.ReplicationFactor, err = config.ReplicationFactor(s.job.Config, config.ForStream(s.job.Config, s.config.System, s.name), brokers); err != nil {
					return err
				}
			}
			err = admin.Create(c.Context(), spec)
			if errors.Is(err, system.ErrExists) {
				return job.Usage("%s exists already; run-job topic list shows it", args[0])
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "made %s with %s\n", args[0], job.Count(int64(spec.Partitions), "partition"))
			return nil
		},
	}
	f.add(c)
	c.Flags().Int32Var(&partitions, "partitions", 0, "number of partitions (default streams.*.partition.count, else 4)")
	c.Flags().IntVar(&replication, "replication", 0, "replication factor (default as for a job's streams; 1 with one broker)")
	c.Flags().StringArrayVar(&settings, "setting", nil, "NAME=VALUE, a setting of the topic; may be repeated")
	return c
}
