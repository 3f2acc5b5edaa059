package checkpoint

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestFiles(t *testing.T) {
	ctx := context.Background()
	dir := filepath.Join(t.TempDir(), "made", "by", "start")
	f := NewFiles(dir, "w2", goldenStores)
	if err := f.Start(ctx); err != nil {
		t.Fatal(err)
	}
	if _, ok := f.Last("Partition 0"); ok {
		t.Error("a checkpoint in an empty folder")
	}
	for _, offset := range []string{"1", "2"} {
		for _, task := range []string{"Partition 0", "SystemStreamPartition [kafka, in, 0]"} {
			if err := f.Write(ctx, task, at(offset)); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Samza's name and form.
	b, err := os.ReadFile(filepath.Join(dir, "w2-Partition 0-checkpoints"))
	if err != nil || string(b) != string(AppendV1(nil, at("2"))) {
		t.Errorf("%s, %v", b, err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 {
		t.Errorf("%v, %v", files, err)
	}
	// Another job's files, and what a crash leaves, are passed over.
	for _, name := range []string{"w3-Partition 0-checkpoints", "w2-Partition 1-checkpoints.tmp123"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	again := NewFiles(dir, "w2", goldenStores)
	if err := again.Start(ctx); err != nil {
		t.Fatal(err)
	}
	for _, task := range []string{"Partition 0", "SystemStreamPartition [kafka, in, 0]"} {
		if c, ok := again.Last(task); !ok || !reflect.DeepEqual(c, at("2")) {
			t.Errorf("%s: %+v", task, c)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "w2-Partition 2-checkpoints"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := NewFiles(dir, "w2", nil).Start(ctx); err == nil || !strings.Contains(err.Error(), `task "Partition 2"`) || !strings.Contains(err.Error(), "repair the file") {
		t.Errorf("a broken file: %v", err)
	}
	if err := NewFiles(filepath.Join(dir, "w2-Partition 0-checkpoints"), "w2", nil).Start(ctx); err == nil || !strings.Contains(err.Error(), "task.checkpoint.path") {
		t.Errorf("a file for a folder: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func TestNone(t *testing.T) {
	var l Log = None{}
	if err := l.Start(context.Background()); err != nil {
		t.Error(err)
	}
	if err := l.Write(context.Background(), "t", at("1")); err != nil {
		t.Error(err)
	}
	if _, ok := l.Last("t"); ok {
		t.Error("it keeps something")
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}
