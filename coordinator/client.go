package coordinator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"heddle/jobmodel"
)

// Errors of a Client, wrapped with the address.
var (
	// ErrNotAlive: the coordinator does not count this execution of the
	// container any more. The container has to stop.
	ErrNotAlive = errors.New("the coordinator no longer counts this execution of the container")
	// ErrRefused: the coordinator does not accept the credential. Asking again
	// is of no use.
	ErrRefused = errors.New("the coordinator refused the container's credential")
)

// Client is a container's side of the coordinator's HTTP. Its methods may be
// called from any goroutine; Next is meant to be held open beside Report.
type Client struct {
	base       string
	container  string
	execution  string
	credential string
	http       *http.Client
	giveUp     time.Duration
	// wait sleeps; tests replace it.
	wait func(context.Context, time.Duration) error
}

// ClientOption changes a Client.
type ClientOption func(*Client)

// WithGiveUp sets how long JobModel tries; 5 minutes by default. (Samza tries
// for ever, and so a container whose coordinator is gone stays.)
func WithGiveUp(d time.Duration) ClientOption { return func(c *Client) { c.giveUp = d } }

// NewClient makes a client of the coordinator at a URL (SAMZA_COORDINATOR_URL)
// for an execution of a container.
func NewClient(coordinatorURL, containerID, executionID, credential string, opts ...ClientOption) *Client {
	c := &Client{
		base:      strings.TrimSuffix(coordinatorURL, "/"),
		container: containerID, execution: executionID, credential: credential,
		http: &http.Client{
			Transport: &http.Transport{
				// The coordinator is reached directly: a proxy of the environment
				// is not meant for it, and must not see the credential.
				Proxy:               nil,
				MaxIdleConnsPerHost: 2,
				IdleConnTimeout:     90 * time.Second,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		giveUp: 5 * time.Minute,
		wait:   sleep,
	}
	for _, o := range opts {
		o(c)
	}
	return c
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Time limits of one request, Samza's where it has one (60 s for the JobModel,
// 5 s for the heartbeat).
const (
	modelTimeout  = 60 * time.Second
	reportTimeout = 5 * time.Second
	// answerTimeout is for some MiB over a slow network.
	answerTimeout = 30 * time.Second
	// pollTimeout is above the time for which the server holds a poll open.
	pollTimeout = 40 * time.Second
	// maxAnswer bounds what is read of an answer.
	maxAnswer = 256 << 20
)

// JobModel fetches the JobModel, again and again with pauses as Samza's
// (ExponentialBackoff: from 1 to 100 ms at random, doubled up to 10 s), until it
// has it, the coordinator refuses or does not count this execution (ErrNotAlive),
// or the give-up time has passed.
func (c *Client) JobModel(ctx context.Context) (jobmodel.JobModel, error) {
	pause := time.Duration(1+rand.IntN(100)) * time.Millisecond
	var waited time.Duration
	path := "/"
	if c.execution != "" {
		path += "?executionContainerId=" + url.QueryEscape(c.execution)
	}
	for {
		began := time.Now()
		body, err := c.do(ctx, modelTimeout, http.MethodGet, path, nil)
		if err == nil {
			m, err := jobmodel.Decode(body)
			if err != nil {
				return jobmodel.JobModel{}, fmt.Errorf("from the coordinator at %s: %w", c.base, err)
			}
			return m, nil
		}
		waited += time.Since(began)
		switch {
		case ctx.Err() != nil:
			return jobmodel.JobModel{}, fmt.Errorf("get the JobModel: %w", ctx.Err())
		case errors.Is(err, ErrRefused) || errors.Is(err, ErrNotAlive):
			return jobmodel.JobModel{}, fmt.Errorf("get the JobModel: %w", err)
		case waited+pause > c.giveUp:
			return jobmodel.JobModel{}, fmt.Errorf("get the JobModel: tried for %s: %w", c.giveUp, err)
		}
		if err := c.wait(ctx, pause); err != nil {
			return jobmodel.JobModel{}, fmt.Errorf("get the JobModel: %w", err)
		}
		waited += pause
		pause = min(2*pause, 10*time.Second)
	}
}

// Next asks for the commands after a number (0 at first, then the highest Seq
// seen) and waits for them, up to about 25 s; then it gives none. It is called
// again at once. After an error that is neither ErrNotAlive nor ErrRefused the
// caller pauses and asks again.
func (c *Client) Next(ctx context.Context, after int64) ([]Command, error) {
	q := url.Values{"after": {strconv.FormatInt(after, 10)}, "executionContainerId": {c.execution}}
	body, err := c.do(ctx, pollTimeout, http.MethodGet, c.own("next")+"?"+q.Encode(), nil)
	if err != nil {
		return nil, fmt.Errorf("ask for commands: %w", err)
	}
	var out nextJSON
	if err := decode(body, &out); err != nil {
		return nil, fmt.Errorf("ask for commands: the coordinator at %s answered what is no JSON: %w", c.base, err)
	}
	return out.Commands, nil
}

// Report posts a report. A Reply with Alive false, like ErrNotAlive, means that
// the container has to stop. It tries once; the caller decides how long it
// bears failures.
func (c *Client) Report(ctx context.Context, r Report) (Reply, error) {
	if r.ExecutionID == "" {
		r.ExecutionID = c.execution
	}
	b, err := encode(r)
	if err != nil {
		return Reply{}, fmt.Errorf("report to the coordinator: %w", err)
	}
	body, err := c.do(ctx, reportTimeout, http.MethodPost, c.own("report"), b)
	if err != nil {
		return Reply{}, fmt.Errorf("report to the coordinator: %w", err)
	}
	var out Reply
	if err := decode(body, &out); err != nil {
		return Reply{}, fmt.Errorf("report to the coordinator: %s answered what is no JSON: %w", c.base, err)
	}
	return out, nil
}

// Answer posts the answer to a Question. An answer that nobody waits for any
// more is no error.
func (c *Client) Answer(ctx context.Context, question string, a Answer) error {
	b, err := encode(a)
	if err != nil {
		return fmt.Errorf("answer the coordinator: %w", err)
	}
	if _, err := c.do(ctx, answerTimeout, http.MethodPost, c.own("answer")+"?question="+url.QueryEscape(question), b); err != nil {
		return fmt.Errorf("answer the coordinator: %w", err)
	}
	return nil
}

// Heartbeat asks as Samza's containers do whether this execution is alive.
func (c *Client) Heartbeat(ctx context.Context) (bool, error) {
	body, err := c.do(ctx, reportTimeout, http.MethodGet, "/containerHeartbeat?executionContainerId="+url.QueryEscape(c.execution), nil)
	if err != nil {
		return false, fmt.Errorf("ask the coordinator for a heartbeat: %w", err)
	}
	var out struct {
		Alive bool `json:"alive"`
	}
	if err := decode(body, &out); err != nil {
		return false, fmt.Errorf("ask the coordinator for a heartbeat: %s answered what is no JSON: %w", c.base, err)
	}
	return out.Alive, nil
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func (c *Client) own(what string) string {
	return "/api/v1/containers/" + url.PathEscape(c.container) + "/" + what
}

func (c *Client) do(ctx context.Context, timeout time.Duration, method, path string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var send io.Reader
	if body != nil {
		send = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, send)
	if err != nil {
		return nil, fmt.Errorf("the coordinator's address %q (SAMZA_COORDINATOR_URL): %w", c.base, err)
	}
	req.Header.Set("Authorization", "Bearer "+c.credential)
	if body != nil {
		req.Header.Set("Content-Type", jsonType)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && len(b) > maxAnswer {
		err = errors.New("the answer is too long")
	}
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", c.base, err)
	}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusAccepted:
		return b, nil
	case http.StatusUnauthorized, http.StatusForbidden:
		return nil, fmt.Errorf("%w (%s%s)", ErrRefused, c.base, said(b))
	case http.StatusConflict:
		return nil, fmt.Errorf("%w (%s)", ErrNotAlive, c.base)
	}
	return nil, fmt.Errorf("the coordinator at %s answered %s%s", c.base, resp.Status, said(b))
}

// said gives the message of an answer that is an error.
func said(b []byte) string {
	var f failJSON
	if decode(b, &f) != nil || f.Error == "" {
		return ""
	}
	return ": " + f.Error
}
