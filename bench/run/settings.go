package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"

	"heddle/bench/input"
)

// settings are the command line.
type settings struct {
	workloads     []string
	records       int64 // 0: the workload's own number
	keys          int64 // 0: the workload's own number
	partitions    []int
	outPartitions int
	runs          int
	json          bool
	save          string
	profiles      string
	config        []string
	brokers       []string
	programs      string // folder of run-job, tasks and bare
	files         string // folder of the properties files
	check         bool   // the command line alone
	procs         int    // GOMAXPROCS of both sides; 0: what the machine has
	guarantee     bool
	history       int64 // 0: the workload's own number
	keyBytes      int   // 0: the usual size
	valueBytes    int   // 0: the usual size
	yarn          bool
}

const help = `usage: bin/bench.sh [passthrough|count|count-cache|restore|snapshot|large|recovery]... [options]

Runs a job of Heddle and a bare loop over the same Kafka client in turn, on a real Kafka, and
prints records a second, CPU seconds per million records and peak memory of both processes.
Without a name, passthrough and count run. What came out is counted exactly.

  passthrough  bytes in, the same bytes out (100-byte values, 13-byte keys)
  count        JSON events (97 bytes) counted by key (10,000 users) in a store on disk with a
               changelog, commits each second
  count-cache  the same with a million users and a cache that holds a tenth of them; bare: a get
               and a put of the database for each record
  restore      a store on disk of 10 million entries of 100 bytes from its changelog; and a start
               with local state
  snapshot     a store on disk of a million entries from its snapshot, when the changelog holds each
               of them ten times; and from that changelog alone
  large        entries of a store that is ten times larger than the process's memory replaced, in
               random order
  recovery     kill -9 of a container with a million entries to its next record, with local state
               and without

options:
  --records N        records in the input (default 2000000; count-cache 4000000, large 1000000)
  --keys N           entries of the store (default as above)
  --history N        restore and snapshot: how often the changelog has each key (default 1, 10)
  --key-bytes N      restore, snapshot and large: size of a key (default 13; 8 or more)
  --value-bytes N    restore, snapshot and large: size of a value (default 100; 8 or more)
  --procs N          processors for each side (GOMAXPROCS); a YARN container has one
  --guarantee        count and passthrough: a third side, the job with exactly-once and commits
                     each second
  --yarn             recovery: the job runs on the YARN of HADOOP_CONF_DIR, whose containers are
                     on this machine
  --partitions P     partitions of the input, one task each; several with commas, such as 4,1000,
                     one line each (default 4)
  --out-partitions P partitions of pass-through's output (default 4)
  --runs R           runs of each side; the medians are printed (default 3)
  --config KEY=VALUE a setting of the jobs, such as job.factory.class=process; may be repeated
  --json             one JSON object a line and nothing else on stdout
  --save FILE        append the results to FILE as Markdown
  --profiles DIR     write a CPU profile of each run's steady part there

environment: KAFKA_BOOTSTRAP_SERVERS, the Kafka to use; without it one is started on free ports in a
  temporary folder (bin/grid.sh) and stopped at the end

exit codes: 0 done, 1 failed or records lost, 2 wrong usage, 3 Kafka or Java is missing

example:
  bin/bench.sh passthrough --partitions 4,1000 --runs 5
`

func parse(args []string, getenv func(string) string) (settings, error) {
	s := settings{programs: getenv("HEDDLE_BENCH_PROGRAMS"), files: getenv("HEDDLE_BENCH_FILES")}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Int64Var(&s.records, "records", 0, "")
	flags.Int64Var(&s.keys, "keys", 0, "")
	flags.Int64Var(&s.history, "history", 0, "")
	flags.IntVar(&s.keyBytes, "key-bytes", 0, "")
	flags.IntVar(&s.valueBytes, "value-bytes", 0, "")
	flags.IntVar(&s.procs, "procs", 0, "")
	flags.BoolVar(&s.guarantee, "guarantee", false, "")
	flags.BoolVar(&s.yarn, "yarn", false, "")
	flags.IntVar(&s.outPartitions, "out-partitions", 4, "")
	flags.IntVar(&s.runs, "runs", 3, "")
	flags.BoolVar(&s.json, "json", false, "")
	flags.StringVar(&s.save, "save", "", "")
	flags.StringVar(&s.profiles, "profiles", "", "")
	flags.Func("config", "", func(v string) error {
		if !strings.Contains(v, "=") {
			return errors.New("it is not KEY=VALUE")
		}
		s.config = append(s.config, v)
		return nil
	})
	flags.BoolVar(&s.check, "check-usage", false, "")
	partitions := flags.String("partitions", "4", "")
	for len(args) > 0 {
		if err := flags.Parse(args); err != nil {
			return s, err
		}
		if args = flags.Args(); len(args) > 0 {
			s.workloads = append(s.workloads, args[0])
			args = args[1:]
		}
	}
	for _, w := range s.workloads {
		if _, ok := workloads[w]; !ok {
			return s, fmt.Errorf("there is no workload %q", w)
		}
	}
	if len(s.workloads) == 0 {
		s.workloads = []string{passThrough, count}
	}
	for p := range strings.SplitSeq(*partitions, ",") {
		n, err := strconv.Atoi(p)
		if err != nil || n < 1 {
			return s, fmt.Errorf("--partitions: %q is no number of partitions", p)
		}
		s.partitions = append(s.partitions, n)
	}
	switch {
	case s.records != 0 && s.records < 1000:
		return s, fmt.Errorf("--records: %d are too few to measure with; 1000 are the least", s.records)
	case s.keys < 0 || s.keys > input.MaxUsers:
		return s, fmt.Errorf("--keys: it is a number to %d", input.MaxUsers)
	case s.history < 0:
		return s, errors.New("--history is at least 1")
	case s.keyBytes != 0 && s.keyBytes < input.LeastSize || s.valueBytes != 0 && s.valueBytes < input.LeastSize:
		return s, fmt.Errorf("--key-bytes and --value-bytes are at least %d", input.LeastSize)
	case s.yarn && (len(s.workloads) != 1 || s.workloads[0] != recovery):
		return s, errors.New("--yarn is for recovery alone")
	case s.yarn && getenv("HADOOP_CONF_DIR") == "":
		return s, errors.New("--yarn: HADOOP_CONF_DIR is not set")
	case s.procs < 0:
		return s, errors.New("--procs is at least 1")
	case s.runs < 1 || s.outPartitions < 1:
		return s, errors.New("--runs and --out-partitions are at least 1")
	case s.programs == "" || s.files == "":
		return s, errors.New("HEDDLE_BENCH_PROGRAMS and HEDDLE_BENCH_FILES are not set: this program is run by bin/bench.sh")
	}
	s.brokers = strings.Split(getenv("KAFKA_BOOTSTRAP_SERVERS"), ",")
	if s.brokers[0] == "" {
		return s, errors.New("KAFKA_BOOTSTRAP_SERVERS is not set")
	}
	return s, nil
}
