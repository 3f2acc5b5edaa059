// Package products holds the task of the topn example: which products of each
// category sell best, over all that was ever sold.
package products

import (
	"errors"
	"fmt"
	"math"
	"strings"

	"heddle/task"
)

// Output is the stream that the rankings go to.
const Output = "kafka.TopProducts"

// best is how many products a ranking names.
const best = 3

// maxQuantity bounds one sale, so that no total can overflow.
const maxQuantity = 1_000_000

// The store is one list in the order of its keys. Three kinds of keys lie in
// it, each behind a prefix of its own:
//
//	total/CATEGORY/PRODUCT          what was sold of a product
//	rank/CATEGORY/RANK/PRODUCT      the same, the best seller of a category first
//	changed/CATEGORY                a ranking that was not sent since it changed
//
// All of them are one state: after a crash they are those of the same moment.
const (
	totals   = "total/"
	ranks    = "rank/"
	changeds = "changed/"
)

// NewTop makes the task, registered as "topn.TopProducts".
func NewTop() task.Task { return &top{} }

type top struct{ sales task.Store }

// sale is one line of the input.
type sale struct {
	Category string `json:"category"`
	Product  string `json:"product"`
	Quantity int64  `json:"quantity"`
}

// ranking is what is sent for each category that changed.
type ranking struct {
	Category string   `json:"category"`
	Top      []ranked `json:"top"`
}

type ranked struct {
	Product string `json:"product"`
	Sold    int64  `json:"sold"`
}

// Init opens the store, which was restored by then.
func (t *top) Init(ctx task.Context) (err error) {
	t.sales, err = ctx.Store("sales")
	return err
}

// Process adds a sale to its product's total and moves the product to its new
// place in the ranking.
func (t *top) Process(_ task.Context, m *task.Message) error {
	s, err := decode(m)
	if err != nil {
		return err
	}
	key := totals + s.Category + "/" + s.Product
	var sold int64
	known, err := t.sales.GetInto(key, &sold)
	if err != nil {
		return err
	}
	if known {
		if err := t.sales.Delete(rankKey(s.Category, s.Product, sold)); err != nil {
			return err
		}
	}
	sold += s.Quantity
	if err := t.sales.Put(key, sold); err != nil {
		return err
	}
	if err := t.sales.Put(rankKey(s.Category, s.Product, sold), sold); err != nil {
		return err
	}
	return t.sales.Put(changeds+s.Category, int64(1))
}

// rankKey puts what was sold most first: keys are ordered as texts, so the
// number is written in full width, and counted down from the largest.
func rankKey(category, product string, sold int64) string {
	return fmt.Sprintf("%s%s/%019d/%s", ranks, category, math.MaxInt64-sold, product)
}

// Window sends the rankings that changed since the last one. Which did stands
// in the store, so a restart forgets none.
func (t *top) Window(ctx task.Context) error {
	for e := range t.sales.Prefix(changeds) {
		if e.Err != nil {
			return e.Err
		}
		key, ok := e.Key.(string)
		if !ok {
			return fmt.Errorf("store sales: a key is %T; stores.sales.key.serde has to be string", e.Key)
		}
		r, err := t.ranking(strings.TrimPrefix(key, changeds))
		if err != nil {
			return err
		}
		if err := ctx.Send(task.Output{Stream: Output, Key: r.Category, Value: r}); err != nil {
			return err
		}
		// The loop goes on over what was there when it began.
		if err := t.sales.Delete(key); err != nil {
			return err
		}
	}
	return nil
}

// Stop sends what has changed since the last window.
func (t *top) Stop(ctx task.Context) error { return t.Window(ctx) }

// ranking reads the first entries behind the category's prefix, however many
// products there are.
func (t *top) ranking(category string) (ranking, error) {
	r := ranking{Category: category}
	prefix := ranks + category + "/"
	for e := range t.sales.Prefix(prefix) {
		if e.Err != nil {
			return r, e.Err
		}
		key, _ := e.Key.(string)
		_, product, ok := strings.Cut(strings.TrimPrefix(key, prefix), "/")
		sold, isLong := e.Value.(int64)
		if !ok || !isLong {
			return r, fmt.Errorf("store sales: %q is %v (%T); stores.sales.msg.serde has to be long", key, e.Value, e.Value)
		}
		if r.Top = append(r.Top, ranked{product, sold}); len(r.Top) == best {
			break
		}
	}
	return r, nil
}

func decode(m *task.Message) (sale, error) {
	var s sale
	if err := m.Decode(&s); err != nil {
		return s, err
	}
	switch {
	case s.Category == "" || s.Product == "" || strings.Contains(s.Category+s.Product, "/"):
		return s, wrong(m, `a sale needs "category" and "product", both without a slash`)
	case s.Quantity < 1 || s.Quantity > maxQuantity:
		return s, wrong(m, fmt.Sprintf(`a sale needs a "quantity" from 1 to %d`, maxQuantity))
	}
	return s, nil
}

func wrong(m *task.Message, why string) error {
	return &task.DecodeError{Source: m.Source, Offset: m.Offset, Part: "value", Err: errors.New(why)}
}
