package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"heddle/table"
	"heddle/task"
)

// lookUp asks a service for the value of each message, which is a key, and sends
// the answer. All tasks of a container share one table.
type lookUp struct{ values *table.Table[string, string] }

func newLookUp() task.Task { return &lookUp{} }

var shared struct {
	sync.Mutex
	values *table.Table[string, string]
}

func (l *lookUp) Init(ctx task.Context) (err error) {
	service, ok := ctx.Setting("test.service.url")
	if !ok {
		return errors.New("test.service.url is not set")
	}
	shared.Lock()
	defer shared.Unlock()
	if shared.values == nil {
		shared.values, err = table.New(ask(service), nil, table.Options{
			Name: "values", KeysPerSecond: 2000, BatchSize: 20, CacheEntries: 100, CacheTTL: time.Second,
			Retry: table.Retry{Attempts: 1000, First: 20 * time.Millisecond, Most: 500 * time.Millisecond},
		})
	}
	l.values = shared.values
	return err
}

// answered is what is sent for each message.
type answered struct {
	Key   string `json:"key"`
	Value string `json:"value"`
	Known bool   `json:"known"`
}

func (l *lookUp) Process(ctx task.Context, m *task.Message) (err error) {
	out := answered{Key: string(m.ValueBytes)}
	if out.Value, out.Known, err = l.values.Get(ctx.Context(), out.Key); err != nil {
		return err
	}
	return ctx.Send(task.Output{Stream: "kafka.Answers", Key: fmt.Sprintf("%d/%d", m.Source.Partition, m.Offset), Value: out})
}

// ask reads from a service that answers with a JSON object of what it has.
func ask(service string) table.Read[string, string] {
	client := &http.Client{Timeout: 2 * time.Second}
	return func(ctx context.Context, keys []string) (map[string]string, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, service+"?"+url.Values{"key": keys}.Encode(), nil)
		if err != nil {
			return nil, err
		}
		response, err := client.Do(request)
		if err != nil {
			return nil, err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("the service says %s", response.Status)
		}
		var values map[string]string
		if err := json.NewDecoder(response.Body).Decode(&values); err != nil {
			return nil, fmt.Errorf("the service's answer: %w", err)
		}
		return values, nil
	}
}
