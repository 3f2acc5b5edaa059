package yarn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"heddle/yarn/internal/tfile"
)

// ErrLogFormat is in the error of ReadAggregatedLogs about a file that it cannot
// read: of another format (yarn.log-aggregation.file-formats), or damaged.
var ErrLogFormat = tfile.ErrFormat

// AggregatedLog is one log file in a file of aggregated logs.
type AggregatedLog struct {
	// Container is whose it is, Name the file's ("stdout").
	Container ContainerID
	Name      string
	// Size is in bytes; Content has as many.
	Size    int64
	Content io.Reader
}

// ReadAggregatedLogs reads what one NodeManager has put together of the logs of
// an application (yarn.log-aggregation-enable), in the format TFile, which is
// the default one. visit is called for each log file, in the order in which they
// are stored; an error of its own ends the reading. It need not read the content.
func ReadAggregatedLogs(in io.ReaderAt, size int64, visit func(AggregatedLog) error) error {
	f, err := tfile.Open(in, size)
	if err != nil {
		return err
	}
	return f.Records(func(key []byte, value io.Reader) error {
		name, rest, err := javaText(key)
		if err != nil || len(rest) > 0 {
			return fmt.Errorf("%w: a key is no text", ErrLogFormat)
		}
		if !strings.HasPrefix(name, "container_") {
			return nil // VERSION, APPLICATION_OWNER, APPLICATION_ACL
		}
		id, err := ParseContainerID(name)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrLogFormat, err)
		}
		return logsOf(id, value, visit)
	})
}

// logsOf reads the files of a container: name, length as text, content.
func logsOf(id ContainerID, in io.Reader, visit func(AggregatedLog) error) error {
	for {
		name, err := readJavaText(in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		var length string
		if err == nil {
			length, err = readJavaText(in)
		}
		if err != nil {
			return fmt.Errorf("%w: logs of %s: %w", ErrLogFormat, id, err)
		}
		size, err := strconv.ParseInt(length, 10, 64)
		if err != nil || size < 0 {
			return fmt.Errorf("%w: logs of %s: %s has the length %q", ErrLogFormat, id, name, length)
		}
		content := &io.LimitedReader{R: in, N: size}
		if err := visit(AggregatedLog{Container: id, Name: name, Size: size, Content: content}); err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, content); err != nil {
			return err
		}
		if content.N > 0 {
			return fmt.Errorf("%w: logs of %s: %s ends %d bytes early", ErrLogFormat, id, name, content.N)
		}
	}
}

// readJavaText reads what Java's DataOutputStream.writeUTF has written; io.EOF
// if there is nothing. Of its own encoding of characters only the zero byte and
// those beyond the Basic Multilingual Plane differ from UTF-8; names of log files
// have neither.
func readJavaText(in io.Reader) (string, error) {
	var n [2]byte
	if _, err := io.ReadFull(in, n[:]); err != nil {
		return "", err
	}
	b := make([]byte, binary.BigEndian.Uint16(n[:]))
	if _, err := io.ReadFull(in, b); err != nil {
		return "", fmt.Errorf("a text: %w", io.ErrUnexpectedEOF)
	}
	return string(b), nil
}

func javaText(b []byte) (text string, rest []byte, err error) {
	if len(b) < 2 || len(b)-2 < int(binary.BigEndian.Uint16(b)) {
		return "", nil, io.ErrUnexpectedEOF
	}
	n := int(binary.BigEndian.Uint16(b))
	return string(b[2 : 2+n]), b[2+n:], nil
}
