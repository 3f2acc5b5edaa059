package container

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"heddle/table"
	"heddle/task"
)

// serviceAddress names the service that inquiry asks.
const serviceAddress = "HEDDLE_TEST_SERVICE"

// The limits that inquiry keeps to.
const (
	lookUpBatch   = 20
	lookUpRate    = 500 // keys a second
	lookUpBurst   = 100
	lookUpTimeout = 300 * time.Millisecond
)

// inquiry asks a service by HTTP for the city of each code of its messages, through
// one table for all tasks of the process, and tells the service of each message
// that it has answered.
type inquiry struct{}

var lookUpTable = sync.OnceValues(func() (*table.Table[string, string], error) {
	return table.New(readCities, writeSeen, table.Options{
		Name: "cities", KeysPerSecond: lookUpRate, Burst: lookUpBurst, BatchSize: lookUpBatch, Calls: 4,
		CacheEntries: 300, CacheTTL: time.Minute,
		Retry: table.Retry{Attempts: 6, First: 20 * time.Millisecond, Most: 200 * time.Millisecond},
	})
})

var lookUpClient = &http.Client{Timeout: lookUpTimeout}

func readCities(ctx context.Context, codes []string) (map[string]string, error) {
	var cities map[string]string
	return cities, lookUpCall(ctx, http.MethodGet, "cities?"+url.Values{"code": codes}.Encode(), nil, &cities)
}

func writeSeen(ctx context.Context, changes []table.Change[string, string]) error {
	seen := map[string]string{}
	for _, c := range changes {
		seen[c.Key] = c.Value
	}
	return lookUpCall(ctx, http.MethodPut, "seen", seen, nil)
}

func lookUpCall(ctx context.Context, method, path string, body, answer any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, os.Getenv(serviceAddress)+"/"+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	resp, err := lookUpClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the service says %s", resp.Status)
	}
	if answer == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(answer)
}

func (inquiry) Process(ctx task.Context, m *task.Message) error {
	t, err := lookUpTable()
	if err != nil {
		return err
	}
	codes := strings.Split(string(m.ValueBytes), " ")
	cities, err := t.GetAll(ctx.Context(), codes...)
	if err != nil {
		return err
	}
	place := fmt.Sprintf("%d/%d", m.Source.Partition, m.Offset)
	answer := []string{place}
	for _, c := range codes {
		city, ok := cities[c]
		if !ok {
			city = "nowhere"
		}
		answer = append(answer, c+"="+city)
	}
	text := strings.Join(answer, " ")
	if err := t.Put(ctx.Context(), place, text); err != nil {
		return err
	}
	return ctx.Send(task.Output{Stream: "kafka.out", Key: place, RawValue: []byte(text)})
}

// Stop tells the service what the table did.
func (inquiry) Stop(ctx task.Context) error {
	t, err := lookUpTable()
	if err != nil {
		return err
	}
	return lookUpCall(ctx.Context(), http.MethodPut, "counts", t.Counts(), nil)
}
