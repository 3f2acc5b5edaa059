package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"heddle/bench/steady"
)

// signs are those in a file, of which some are read.
type signs struct {
	file string
	read int // bytes
}

// await gives the next sign of a kind from another process than pid.
func (s *signs) await(ctx context.Context, what string, pid int, ended *end) (steady.Sign, error) {
	limit := time.Now().Add(signLimit)
	for time.Now().Before(limit) {
		sign, ok, err := s.next()
		switch {
		case err != nil:
			return sign, err
		case ok && sign.What == what && sign.PID != pid:
			return sign, nil
		case ok:
			continue
		}
		select {
		case <-ctx.Done():
			return sign, ctx.Err()
		case <-ended.done:
			return sign, errors.Join(errors.New("it ended while a sign of it was waited for"), ended.err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return steady.Sign{}, fmt.Errorf("there was no sign %q within %v", what, signLimit)
}

func (s *signs) next() (sign steady.Sign, ok bool, err error) {
	all, err := os.ReadFile(s.file)
	if errors.Is(err, os.ErrNotExist) {
		return sign, false, nil
	}
	if err != nil {
		return sign, false, err
	}
	line, err := bufio.NewReader(bytes.NewReader(all[s.read:])).ReadBytes('\n')
	if err != nil {
		return sign, false, nil //nolint:nilerr // it is not whole yet
	}
	s.read += len(line)
	return sign, true, json.Unmarshal(line, &sign)
}
