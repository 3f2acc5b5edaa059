package storage

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"heddle/serde"
	"heddle/task"
)

// This file holds how keys and values are written for people: a key as they type
// it, a key or value as JSON.

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
	case serde.Double:
		// JSON makes an integer of what has no fraction, and knows no -0 then.
		if f, err := strconv.ParseFloat(text, 64); err == nil {
			return s.Append([]byte{}, f)
		}
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
		if first == nil {
			first = err
		}
		return nil, fmt.Errorf("key %.80q: %w", text, first) // one line
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
