package launch

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"
)

func TestClaim(t *testing.T) {
	home := t.TempDir()
	if h, held, err := HolderOf(home, "j_1"); err != nil || held || h != (Holder{}) {
		t.Fatalf("nobody was here: %+v %v %v", h, held, err)
	}
	c, err := TakeClaim(home, "j_1", "a longer text, which is written over")
	if err != nil {
		t.Fatal(err)
	}
	if h, held, err := HolderOf(home, "j_1"); err != nil || !held || !h.Alive() || h.PID != os.Getpid() || h.Doing == "" {
		t.Errorf("held: %+v %v %v", h, held, err)
	}
	if _, err := TakeClaim(home, "j_1", ""); !errors.Is(err, ErrClaimed) {
		t.Errorf("taken twice: %v", err)
	}
	other, err := TakeClaim(home, "j_2", "")
	if err != nil {
		t.Fatalf("another job: %v", err)
	}
	// Who holds the file holds the claim, after the end of who took it.
	tether, err := NewTether(c.File())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", "read x <&3; exit 7") // until the pipe ends
	tether.Tie(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := c.End(1, "broken"); err != nil {
		t.Fatal(err)
	}
	if h, held, err := HolderOf(home, "j_1"); err != nil || !held || h.Alive() || h.Code != 1 || h.Error != "broken" {
		t.Errorf("held by a child: %+v %v %v", h, held, err)
	}
	if _, err := TakeClaim(home, "j_1", ""); !errors.Is(err, ErrClaimed) {
		t.Errorf("taken from a child: %v", err)
	}
	tether.Close()
	if _ = cmd.Wait(); cmd.ProcessState.ExitCode() != 7 {
		t.Errorf("the child has not seen the end of the pipe: %v", cmd.ProcessState)
	}
	c, err = TakeClaim(home, "j_1", "")
	if err != nil {
		t.Fatalf("after the child's end: %v", err)
	}
	if err := errors.Join(c.End(0, ""), other.End(0, "")); err != nil {
		t.Error(err)
	}
	if h, held, err := HolderOf(home, "j_1"); err != nil || held || h.Doing != "" || !h.Ended || h.Code != 0 {
		t.Errorf("at the end: %+v %v %v", h, held, err)
	}
	c, err = TakeClaim(home, "j_1", "")
	if err != nil {
		t.Fatal(err)
	}
	c.Withdraw()
	if _, err := os.Stat(FileOf(home, "j_1", "claim")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("withdrawn: %v", err)
	}
	// What a dead process has left is taken over; what cannot be read, too.
	for _, text := range []string{`{"pid":` + strconv.Itoa(cmd.Process.Pid) + `}`, "{", ""} {
		if err := os.WriteFile(FileOf(home, "j_3", "claim"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if h, held, err := HolderOf(home, "j_3"); err != nil || held || h.Alive() {
			t.Errorf("%q: %+v %v %v", text, h, held, err)
		}
		c, err := TakeClaim(home, "j_3", "")
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if err := c.End(0, ""); err != nil {
			t.Error(err)
		}
	}
}

// The environment alone ties nobody.
func TestParentNeedsThePipe(t *testing.T) {
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, value := range []string{"", "x", "0", "3x", "99999", strconv.Itoa(int(file.Fd()))} {
		t.Setenv(EnvParent, value)
		if Parent() != nil {
			t.Errorf("%q: tied", value)
		}
		if _, ok := os.LookupEnv(EnvParent); ok {
			t.Errorf("%q: passed on", value)
		}
	}
}

// A claim on a Kafka is one for all folders, for one job on one cluster.
func TestClaimOn(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir()) // where there is no XDG
	t.Chdir(t.TempDir())
	if h, held, err := HolderOn("k", "j_1"); err != nil || held || h != (Holder{}) {
		t.Fatalf("nobody was here: %+v %v %v", h, held, err)
	}
	c, err := TakeClaimOn("k", ".heddle", "j_1", "")
	if err != nil {
		t.Fatal(err)
	}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	if h, held, err := HolderOn("k", "j_1"); err != nil || !held || h.PID != os.Getpid() || h.Home != filepath.Join(wd, ".heddle") {
		t.Errorf("held: %+v %v %v", h, held, err)
	}
	if _, err := TakeClaimOn("k", "other", "j_1", ""); !errors.Is(err, ErrClaimed) {
		t.Errorf("taken twice: %v", err)
	}
	for _, free := range [][2]string{{"other", "j_1"}, {"k", "j_2"}} {
		o, err := TakeClaimOn(free[0], ".heddle", free[1], "")
		if err != nil {
			t.Fatalf("%v: %v", free, err)
		}
		o.Withdraw()
	}
	if err := c.End(0, ""); err != nil {
		t.Fatal(err)
	}
	if h, held, err := HolderOn("k", "j_1"); err != nil || held || !h.Ended {
		t.Errorf("at the end: %+v %v %v", h, held, err)
	}
}

// A process that has ended runs no more, also while its parent has not looked.
func TestRuns(t *testing.T) {
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	pid := cmd.Process.Pid
	if !Runs(pid) || !(Holder{PID: pid}).Alive() {
		t.Error("it runs")
	}
	_ = in.Close()
	if runtime.GOOS == "linux" {
		for deadline := time.Now().Add(time.Minute); Runs(pid); runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Fatal("it has ended, and nobody has waited for it")
			}
		}
	}
	if err := cmd.Wait(); err != nil || Runs(pid) {
		t.Errorf("it runs on: %v", err)
	}
}
