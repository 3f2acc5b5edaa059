package coordinator

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// body reads a request's body up to a size.
func (s *Server) body(w http.ResponseWriter, r *http.Request, size int64) ([]byte, bool) {
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		s.fail(w, r, http.StatusUnsupportedMediaType, "the body must not be compressed")
		return nil, false
	}
	var buf bytes.Buffer
	_, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, size))
	var big *http.MaxBytesError
	switch {
	case errors.As(err, &big):
		s.fail(w, r, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d bytes", size))
		return nil, false
	case err != nil:
		s.fail(w, r, http.StatusBadRequest, "the body could not be read")
		return nil, false
	}
	return buf.Bytes(), true
}

type failJSON struct {
	Error string `json:"error"`
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, code int, message string) {
	s.json(w, r, code, failJSON{message})
}

func (s *Server) json(w http.ResponseWriter, r *http.Request, code int, v any) {
	b, err := encode(v)
	if err != nil {
		s.log.Error("an answer could not be encoded", "path", r.URL.Path, "error", err)
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	s.send(w, r, code, jsonType, b, nil)
}

func (s *Server) text(w http.ResponseWriter, r *http.Request, code int, body string) {
	s.send(w, r, code, textType, []byte(body), nil)
}

// send writes an answer, compressed if the other side takes that and it is worth
// it; zipped gives the compressed form if there is one already.
func (s *Server) send(w http.ResponseWriter, r *http.Request, code int, kind string, body []byte, zipped func() []byte) {
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Vary", "Accept-Encoding")
	if len(body) > 1024 && takesGzip(r) {
		h.Set("Content-Encoding", "gzip")
		if zipped != nil {
			body = zipped()
		} else {
			body = zip(body)
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(code)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}

func takesGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if name = strings.TrimSpace(name); !strings.EqualFold(name, "gzip") && name != "*" {
			continue
		}
		q, has := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
		if !has {
			return true
		}
		f, err := strconv.ParseFloat(q, 64)
		return err == nil && f > 0
	}
	return false
}

func zip(b []byte) []byte {
	var buf bytes.Buffer
	buf.Grow(len(b)/8 + 64)
	z := gzip.NewWriter(&buf)
	_, _ = z.Write(b) // a bytes.Buffer does not fail
	_ = z.Close()
	return buf.Bytes()
}
