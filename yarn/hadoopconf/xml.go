package hadoopconf

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	maxFileSize     = 16 << 20 // a file beyond this is no configuration
	maxIncludeDepth = 16
	maxNesting      = 64
)

// errNoFile says that the very file asked for is missing (and not one that it
// includes).
var errNoFile = errors.New("file not found")

// readFile reads the file into c. parents are the files that include it,
// outermost first.
func (c *Conf) readFile(path string, parents []string) error {
	if slices.Contains(parents, path) {
		return fmt.Errorf("%s includes itself (by way of %s)", path, strings.Join(parents, ", "))
	}
	if len(parents) >= maxIncludeDepth {
		return fmt.Errorf("%s: files include each other more than %d levels deep", path, maxIncludeDepth)
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", path, errNoFile)
	}
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if len(b) > maxFileSize {
		return fmt.Errorf("read %s: more than %d MiB is no configuration file", path, maxFileSize>>20)
	}
	parents = append(slices.Clone(parents), path)
	return c.readXML(b, path, func(href string) error {
		target, err := includePath(path, href)
		if err != nil {
			return err
		}
		return c.readFile(target, parents)
	})
}

// includePath resolves the href of an xi:include against the including file.
func includePath(from, href string) (string, error) {
	u, err := url.Parse(href)
	if err != nil {
		return "", fmt.Errorf("include %q: %w", href, err)
	}
	switch u.Scheme {
	case "":
		if filepath.IsAbs(href) {
			return filepath.Clean(href), nil
		}
		return filepath.Join(filepath.Dir(from), filepath.FromSlash(href)), nil
	case "file":
		return filepath.Clean(u.Path), nil
	}
	return "", fmt.Errorf("include %q: only files can be included, not %s", href, u.Scheme)
}

// readXML reads one document into c. include reads an included file into c; it
// returns an error that wraps errNoFile when the file does not exist.
func (c *Conf) readXML(b []byte, path string, include func(href string) error) error {
	r := &xmlReader{
		conf: c, path: path, include: include,
		dec: xml.NewDecoder(bytes.NewReader(b)),
	}
	r.dec.CharsetReader = charsetReader
	if err := r.document(); err != nil {
		return fmt.Errorf("%s: %w", r.at(), err)
	}
	return nil
}

// An xmlReader reads one document, element by element: a configuration may be
// large, and positions are wanted for error texts.
type xmlReader struct {
	conf    *Conf
	path    string
	include func(href string) error
	dec     *xml.Decoder
}

func (r *xmlReader) at() string {
	line, _ := r.dec.InputPos()
	return fmt.Sprintf("%s:%d", r.path, line)
}

func (r *xmlReader) document() error {
	seen := false
	for {
		t, err := r.dec.Token()
		if errors.Is(err, io.EOF) {
			if !seen {
				return errors.New("no <configuration> element")
			}
			return nil
		}
		if err != nil {
			return err
		}
		if start, ok := t.(xml.StartElement); ok {
			if start.Name.Local != "configuration" {
				return fmt.Errorf("the top element is <%s>, not <configuration>", start.Name.Local)
			}
			seen = true
			if err := r.configuration(0); err != nil {
				return err
			}
		}
	}
}

// configuration reads up to the end of the element that is open.
func (r *xmlReader) configuration(depth int) error {
	if depth > maxNesting {
		return fmt.Errorf("elements nested more than %d deep", maxNesting)
	}
	for {
		t, err := r.dec.Token()
		if err != nil {
			return unexpectedEnd(err)
		}
		switch t := t.(type) {
		case xml.EndElement:
			return nil
		case xml.StartElement:
			switch t.Name.Local {
			case "property":
				err = r.property(t)
			case "configuration", "fallback":
				err = r.configuration(depth + 1)
			case "include":
				err = r.xinclude(t, depth)
			default:
				// Java ignores what it does not know.
				err = r.skip()
			}
			if err != nil {
				return err
			}
		}
	}
}

// xinclude reads the file of an xi:include, or, if it does not exist, what
// stands in its xi:fallback.
func (r *xmlReader) xinclude(start xml.StartElement, depth int) error {
	href := ""
	for _, a := range start.Attr {
		if a.Name.Local == "href" {
			href = strings.TrimSpace(a.Value)
		}
	}
	if href == "" {
		return errors.New("<include> without href")
	}
	missing := r.include(href)
	if missing != nil && !errors.Is(missing, errNoFile) {
		return missing
	}
	for {
		t, err := r.dec.Token()
		if err != nil {
			return unexpectedEnd(err)
		}
		switch t := t.(type) {
		case xml.EndElement:
			if missing != nil {
				// Not wrapped: errNoFile is about the including file.
				return fmt.Errorf("include %q: %v", href, missing)
			}
			return nil
		case xml.StartElement:
			if t.Name.Local == "fallback" && missing != nil {
				missing = nil
				err = r.configuration(depth + 1)
			} else {
				err = r.skip()
			}
			if err != nil {
				return err
			}
		}
	}
}

func (r *xmlReader) property(start xml.StartElement) error {
	e := entry{origin: r.at()}
	name := ""
	for _, a := range start.Attr {
		switch a.Name.Local {
		case "name":
			name = a.Value
		case "value":
			e.value, e.set = a.Value, true
		case "final":
			e.final = strings.TrimSpace(a.Value) == "true"
		}
	}
	for {
		t, err := r.dec.Token()
		if err != nil {
			return unexpectedEnd(err)
		}
		switch t := t.(type) {
		case xml.EndElement:
			if name = strings.TrimSpace(name); name != "" {
				r.conf.set(name, e)
			}
			return nil
		case xml.StartElement:
			text, err := r.text()
			if err != nil {
				return err
			}
			switch t.Name.Local {
			case "name":
				name = text
			case "value":
				e.value, e.set = text, true
			case "final":
				e.final = strings.TrimSpace(text) == "true"
			}
		}
	}
}

// text returns the text of the element that is open; elements in it are
// passed over.
func (r *xmlReader) text() (string, error) {
	var b strings.Builder
	for {
		t, err := r.dec.Token()
		if err != nil {
			return "", unexpectedEnd(err)
		}
		switch t := t.(type) {
		case xml.CharData:
			b.Write(t)
		case xml.EndElement:
			return b.String(), nil
		case xml.StartElement:
			if err := r.skip(); err != nil {
				return "", err
			}
		}
	}
}

// skip passes over the element that is open. (Decoder.Skip has no limit of its
// own worth having; the file's size is one.)
func (r *xmlReader) skip() error {
	for depth := 1; depth > 0; {
		t, err := r.dec.Token()
		if err != nil {
			return unexpectedEnd(err)
		}
		switch t.(type) {
		case xml.StartElement:
			depth++
		case xml.EndElement:
			depth--
		}
	}
	return nil
}

func unexpectedEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// charsetReader decodes the charsets, beside UTF-8, in which configuration
// files are found.
func charsetReader(label string, in io.Reader) (io.Reader, error) {
	switch strings.ToLower(label) {
	case "utf-8", "utf8", "us-ascii", "ascii":
		return in, nil
	case "iso-8859-1", "latin1":
		return &latin1{in: in}, nil
	}
	return nil, fmt.Errorf("charset %q is not supported: save the file as UTF-8", label)
}

// latin1 turns ISO-8859-1 into UTF-8.
type latin1 struct {
	in   io.Reader
	rest []byte
}

func (l *latin1) Read(p []byte) (int, error) {
	if len(l.rest) == 0 {
		raw := make([]byte, 4096)
		n, err := l.in.Read(raw)
		for _, c := range raw[:n] {
			l.rest = append(l.rest, string(rune(c))...)
		}
		if n == 0 {
			return 0, err
		}
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}
