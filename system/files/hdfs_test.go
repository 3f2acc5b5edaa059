package files

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/colinmarc/hdfs/v2"
)

// remote is an exception as the client of HDFS gives it.
type remote string

func (r remote) Error() string {
	return "create call failed with ERROR_APPLICATION (" + string(r) + ")"
}
func (r remote) Method() string    { return "create" }
func (r remote) Desc() string      { return "ERROR_APPLICATION" }
func (r remote) Exception() string { return string(r) }
func (r remote) Message() string   { return "" }

func TestSafeModeIsExplained(t *testing.T) {
	for exception, want := range map[remote]bool{
		"org.apache.hadoop.hdfs.server.namenode.SafeModeException": true,
		"org.apache.hadoop.hdfs.protocol.DSQuotaExceededException": false,
	} {
		err := failed("write", "hdfs://nn/a", &fs.PathError{Op: "create", Path: "/a", Err: exception})
		var cause hdfs.Error
		if !errors.As(err, &cause) || cause.Exception() != string(exception) {
			t.Errorf("%v does not hold %s", err, exception)
		}
		if got := strings.Contains(err.Error(), "dfsadmin -safemode leave"); got != want {
			t.Errorf("explained: %v, want %v: %v", got, want, err)
		}
	}
	if err := failed("list", "file:///a", fs.ErrPermission); err.Error() != fmt.Sprintf("list file:///a: %v", fs.ErrPermission) {
		t.Error(err)
	}
}
