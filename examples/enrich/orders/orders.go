// Package orders holds the task of the enrich example: each order gets its
// user's name and country, and its amount in euros.
package orders

import (
	"errors"
	"math"

	"heddle/task"
)

// Output is the stream that the enriched orders go to.
const Output = "kafka.EnrichedOrders"

// New makes the task, registered as "enrich.Orders".
func New() task.Task { return &enrich{} }

type enrich struct{ users, rates task.Store }

// order is one line of the input; Amount is in the hundredth of its currency.
type order struct {
	ID       string `json:"order"`
	User     string `json:"user"`
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

// rate is one line of the stream of rates, and what the store holds of it.
type rate struct {
	Currency string  `json:"currency"`
	Euros    float64 `json:"euros"`
}

// enriched is what is sent for each order.
type enriched struct {
	ID      string `json:"order"`
	User    string `json:"user"`
	Name    string `json:"name,omitzero"`
	Country string `json:"country,omitzero"`
	// EuroCents is missing where Problem says why.
	EuroCents int64  `json:"euroCents,omitzero"`
	Problem   string `json:"problem,omitzero"`
}

// Init opens the stores. What their streams held when the container began is in
// them by now.
func (t *enrich) Init(ctx task.Context) (err error) {
	if t.users, err = ctx.Store("users"); err != nil {
		return err
	}
	t.rates, err = ctx.Store("rates")
	return err
}

// Process looks the order's user and rate up, and sends it on.
func (t *enrich) Process(ctx task.Context, m *task.Message) error {
	var o order
	if err := m.Decode(&o); err != nil {
		return err
	}
	if o.ID == "" || o.User == "" || o.Currency == "" {
		return &task.DecodeError{Source: m.Source, Offset: m.Offset, Part: "value", Err: errors.New(`an order needs "order", "user" and "currency"`)}
	}
	out := enriched{ID: o.ID, User: o.User}
	var c customer
	known, err := t.users.GetInto(o.User, &c)
	if err != nil {
		return err
	}
	var r rate
	priced, err := t.rates.GetInto(o.Currency, &r)
	if err != nil {
		return err
	}
	switch {
	case !known:
		out.Problem = "no such user"
	case !priced:
		out.Problem = "no rate for " + o.Currency
	default:
		out.Name, out.Country = c.Name, c.Country
		out.EuroCents = int64(math.Round(float64(o.Amount) * r.Euros))
	}
	return ctx.Send(task.Output{Stream: Output, Key: o.ID, Value: out})
}
