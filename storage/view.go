package storage

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"heddle/serde"
	"heddle/storage/engine"
	"heddle/task"
)

// This file holds what somebody who is not the task may see of a store, and how
// keys and values are written for people: a key as they type it, a key or value
// as JSON.

// ErrNoStore: the task has no store of this name.
var ErrNoStore = errors.New("there is no such store")

// ErrUncommitted: so much was written since the last commit that the engine had
// to take some of it, and does not hold the committed state alone until the next
// one.
var ErrUncommitted = errors.New("more was written since the last commit than its write buffer holds, so the committed state cannot be seen until the next commit; ask for the live state, or again later")

// View is a store as it was at one moment. Get is the task's goroutine's; the
// iterator of Range may live in another one, and whatever the task does after
// Range is not seen by it. It has to be closed before the Set is.
type View struct {
	// Keys and Values are the store's serdes; any goroutine may use them.
	Keys, Values task.Serde

	from engine.Engine
}

// View gives a view of a store. A live one hands what the cache holds down
// first, as the task's own Range does. The task's goroutine calls it.
func (s *Set) View(store string, live bool) (View, error) {
	for _, st := range s.stores {
		if st.spec.Name != store {
			continue
		}
		v := View{Keys: st.keys, Values: st.values, from: st.store.engine}
		switch {
		case st.err != nil:
			return View{}, st.err
		case live && st.cache == nil:
		case !live && st.pending.spilled:
			return View{}, fmt.Errorf("store %q of task %q: %w", store, s.o.TaskName, ErrUncommitted)
		case !live:
			v.from = st.expiry.over(st.engine)
		default:
			if err := st.write(); err != nil {
				return View{}, err
			}
		}
		return v, nil
	}
	for _, l := range s.lent {
		if l.name == store {
			return View{Keys: l.keys, Values: l.values, from: l.engine}, l.err
		}
	}
	return View{}, fmt.Errorf("store %q of task %q: %w; there are %s", store, s.o.TaskName, ErrNoStore, strings.Join(s.Names(), ", "))
}

// Size is how large a store is.
type Size struct {
	Store string
	// Entries and Bytes are -1 where the engine cannot tell, as one on disk its
	// entries; what it tells of files is an estimate.
	Entries, Bytes int64
	// Snapshot is when the newest snapshot of it was taken that is known here;
	// the zero time: none.
	Snapshot time.Time
}

// Sizes gives the sizes of the stores' committed state. It costs little. The
// task's goroutine calls it.
func (s *Set) Sizes() []Size {
	out := make([]Size, 0, len(s.stores)+len(s.lent))
	for _, st := range s.stores {
		size := Size{Store: st.spec.Name, Entries: -1, Bytes: -1}
		if s.o.Snapshots != nil && st.log != nil && st.onDisk() != nil {
			size.Snapshot = s.o.Snapshots.Newest(st.id)
		}
		if e, ok := st.engine.(interface{ Len() int }); ok {
			size.Entries = int64(e.Len())
		}
		if e, ok := st.engine.(interface{ Size() int64 }); ok {
			size.Bytes = e.Size()
		}
		out = append(out, size)
	}
	for _, l := range s.lent {
		if r, ok := l.engine.(readOnly); ok {
			entries, bytes := r.size()
			out = append(out, Size{Store: l.name, Entries: entries, Bytes: bytes})
		}
	}
	return out
}

// Get gives the value of an encoded key; ok is false if there is none.
func (v View) Get(key string) (value []byte, ok bool, err error) {
	return v.from.Get([]byte{}, key)
}

// Range iterates over the encoded keys in [from, to); an empty to stands for
// the end.
func (v View) Range(from, to string) engine.Iterator { return v.from.Range(from, to) }

// base64Key begins a key that is given by its bytes, as JSON shows it.
const base64Key = `{"base64":`

// ParseKey gives the bytes of a key that somebody typed, as the serde of the
// store's keys encodes it: text for string, bytes and everything that is not
// JSON; a number for integer, long and double; any JSON for json. What is shown
// as {"base64":"..."} may be given so, whatever the serde.
func ParseKey(s task.Serde, text string) ([]byte, error) {
	if strings.HasPrefix(text, base64Key) {
		var raw undecoded
		if err := json.Unmarshal([]byte(text), &raw); err != nil {
			return nil, fmt.Errorf("key %.80s: %w", text, err)
		}
		b, err := base64.StdEncoding.DecodeString(raw.Base64)
		if err != nil {
			return nil, fmt.Errorf("key %.80s: %w", text, err)
		}
		return b, nil
	}
	switch s.(type) {
	case nil, serde.Bytes, serde.Text:
		return []byte(text), nil
	}
	// The serdes of numbers and of JSON take what the JSON serde makes of it.
	var first error
	if v, err := (serde.JSON{}).Decode([]byte(text)); err == nil && v != nil {
		b, err := s.Append([]byte{}, v)
		if err == nil {
			return b, nil
		}
		first = err
	}
	b, err := s.Append([]byte{}, text)
	if err != nil {
		return nil, fmt.Errorf("key %.80q: %w", text, errors.Join(first, err))
	}
	return b, nil
}

// ParsePrefix gives the bytes that all keys begin with which begin with what
// somebody typed. Where keys are JSON it is the beginning of a string.
func ParsePrefix(s task.Serde, text string) ([]byte, error) {
	if _, ok := s.(serde.JSON); !ok || strings.HasPrefix(text, base64Key) {
		return ParseKey(s, text)
	}
	b, err := s.Append([]byte{}, text)
	if err != nil {
		return nil, fmt.Errorf("prefix %.80q: %w", text, err)
	}
	return b[:len(b)-1], nil // without the closing quotation mark
}

// EndOf is the least key that is greater than all that begin with prefix; empty
// if there is none.
func EndOf(prefix []byte) []byte { return []byte(after(string(prefix))) }

// undecoded stands for bytes that have no text or that the serde cannot read.
type undecoded struct {
	Base64 string `json:"base64"`
}

// AppendShown writes a key or a value, as the serde (nil: bytes) reads it, as
// JSON behind dst; {"base64":"..."} stands for what is bytes or cannot be read.
func AppendShown(dst []byte, s task.Serde, raw []byte) []byte {
	if s != nil {
		if v, err := s.Decode(raw); err == nil {
			if b, ok := shownValue(v); ok {
				return append(dst, b...)
			}
		}
	}
	dst = append(dst, base64Key...)
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, raw)
	return append(dst, `"}`...)
}

func shownValue(v any) ([]byte, bool) {
	switch v := v.(type) {
	case []byte:
		return nil, false
	case string:
		if !utf8.ValidString(v) {
			return nil, false
		}
	}
	b, err := json.Marshal(v, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	return b, err == nil
}
