package coordinator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Operator is the side of a person, or of run-job: it looks at a job and may
// stop it, by the coordinator's own address or through YARN's proxy.
type Operator struct {
	// UI is where the pages are: the tracking URL, or the server's URL + "ui/".
	UI string
	// HTTP is http.DefaultClient if nil; on a Kerberos cluster it is one that
	// speaks SPNEGO to the proxy.
	HTTP *http.Client
}

// ErrForbidden: the job's secret was wrong or missing.
var ErrForbidden = errors.New("the job's secret is missing or is not this job's")

// Status fetches the job's Status.
func (o Operator) Status(ctx context.Context) (Status, error) {
	var s Status
	if err := o.do(ctx, http.MethodGet, "api/v1/status", nil, &s); err != nil {
		return Status{}, fmt.Errorf("ask for the job's status: %w", err)
	}
	return s, nil
}

// Tasks fetches the tasks of a container, or of all for "".
func (o Operator) Tasks(ctx context.Context, containerID string) ([]TaskStatus, error) {
	path := "api/v1/tasks"
	if containerID != "" {
		path += "?container=" + url.QueryEscape(containerID)
	}
	var out struct {
		Tasks []TaskStatus `json:"tasks"`
	}
	if err := o.do(ctx, http.MethodGet, path, nil, &out); err != nil {
		return nil, fmt.Errorf("ask for the job's tasks: %w", err)
	}
	return out.Tasks, nil
}

// Executions fetches the containers of the cluster that processes were started
// in under the present application master, oldest first, also ended ones.
func (o Operator) Executions(ctx context.Context) ([]Execution, error) {
	var out executionsJSON
	if err := o.do(ctx, http.MethodGet, "api/v1/executions", nil, &out); err != nil {
		return nil, fmt.Errorf("ask for the job's past containers: %w", err)
	}
	return out.Executions, nil
}

// Stop asks for a graceful stop. It is a PUT with the secret in the body, which
// passes YARN's proxy.
func (o Operator) Stop(ctx context.Context, secret []byte, reason string) error {
	body, err := encode(stopJSON{Secret: SecretText(secret), Reason: reason})
	if err != nil {
		return fmt.Errorf("ask for a stop: %w", err)
	}
	if err := o.do(ctx, http.MethodPut, "api/v1/stop", body, nil); err != nil {
		return fmt.Errorf("ask for a stop: %w", err)
	}
	return nil
}

// Refusal is a request that the coordinator understood and did not fulfil.
type Refusal struct {
	// Code is HTTP's: 400 and 404 for what was asked wrongly, 403 for what is
	// switched off, 410 for a place that is not held any more, 503 and 504 for
	// what may work later.
	Code    int
	Message string
}

func (r *Refusal) Error() string { return r.Message }

// Stores fetches the job's stores; queries is false if their content is not
// shown (heddle.state.queries).
func (o Operator) Stores(ctx context.Context) (stores []StoreStatus, queries bool, err error) {
	var out storesJSON
	if err := o.do(ctx, http.MethodGet, "api/v1/stores", nil, &out); err != nil {
		return nil, false, fmt.Errorf("ask for the job's stores: %w", err)
	}
	return out.Stores, out.Queries, nil
}

// State fetches a page of the state of a store. The parameters are those of
// GET /ui/api/v1/state/STORE. An error may be a *Refusal.
func (o Operator) State(ctx context.Context, store string, q url.Values) (StatePage, error) {
	var out StatePage
	if err := o.do(ctx, http.MethodGet, "api/v1/state/"+url.PathEscape(store)+"?"+throughProxy(q).Encode(), nil, &out); err != nil {
		var no *Refusal
		if errors.As(err, &no) {
			return StatePage{}, no
		}
		return StatePage{}, fmt.Errorf("ask for the state of store %q: %w", store, err)
	}
	return out, nil
}

func (o Operator) do(ctx context.Context, method, path string, body []byte, out any) error {
	var send io.Reader
	if body != nil {
		send = bytes.NewReader(body)
	}
	base := strings.TrimSuffix(o.UI, "/") + "/"
	req, err := http.NewRequestWithContext(ctx, method, base+path, send)
	if err != nil {
		return fmt.Errorf("the address %q: %w", o.UI, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", jsonType)
	}
	client := o.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the answer of %s: %w", base, err)
	}
	switch resp.StatusCode {
	case http.StatusOK, http.StatusAccepted:
	case http.StatusForbidden:
		if body == nil {
			return refused(resp.StatusCode, b, base, resp.Status)
		}
		return fmt.Errorf("%w (%s)", ErrForbidden, base)
	default:
		return refused(resp.StatusCode, b, base, resp.Status)
	}
	if out == nil {
		return nil
	}
	if err := decode(b, out); err != nil {
		return fmt.Errorf("%s answered what is no JSON, so it is not the job's application master: %w", base, err)
	}
	return nil
}

// refused is the error of an answer that is none: the coordinator's own words if
// it has any.
func refused(code int, body []byte, base, status string) error {
	if text := strings.TrimPrefix(said(body), ": "); text != "" {
		return &Refusal{code, text}
	}
	return fmt.Errorf("%s answered %s", base, status)
}
