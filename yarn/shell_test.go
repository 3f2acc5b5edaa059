package yarn

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

// expandMarkers does to a launch script what Hadoop's ContainerLaunch.expandEnvironment does.
func expandMarkers(s string) string {
	return strings.NewReplacer("<LOG_DIR>", "/logs", "<CPS>", ":", "<ADD_OPENS>", "--add-opens", "{{", "$", "}}", "").Replace(s)
}

var awkward = []string{
	"plain", "", "two words", "it's", `a"b`, `back\slash`, "$HOME", "${HOME}", "`id`", "$(id)", "{{HOME}}", "{{{x}}}", "<LOG_DIR>/x",
	"a<CPS>b", "<ADD_OPENS>", "tab\there", "new\nline", "über", "--config=a=b;c&d|e", "#x", "*", "~", "!!", `\\`, `'"'`, "a}}b", "<<EOF",
}

// The launch script as YARN writes it: two shells around the command.
func TestCommandArrivesAsItStands(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("needs bash")
	}
	for _, args := range append([][]string{awkward}, each(awkward)...) {
		command := Command(append([]string{"printf", `%s\0`}, args...)...)
		script := "#!/bin/bash\nexec /bin/bash -c \"" + expandMarkers(command) + "\"\n"
		out, err := exec.Command(bash, "-c", script).CombinedOutput()
		if err != nil {
			t.Fatalf("%q: %v: %s\n%s", args, err, out, script)
		}
		got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
		if strings.Join(got, "\x00") != strings.Join(args, "\x00") {
			t.Errorf("arguments %q arrived as %q by\n%s", args, got, script)
		}
	}
}

func TestEnvLiteralArrivesAsItStands(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("needs bash")
	}
	for _, value := range awkward {
		script := "export V=\"" + expandMarkers(EnvLiteral(value)) + "\"\nprintf %s \"$V\"\n"
		out, err := exec.Command(bash, "-c", script).CombinedOutput()
		if err != nil {
			t.Fatalf("%q: %v: %s", value, err, out)
		}
		if !bytes.Equal(out, []byte(value)) {
			t.Errorf("value %q arrived as %q by\n%s", value, out, script)
		}
	}
}

func TestExecCommand(t *testing.T) {
	want := `exec bin/run-am '--name=a b' 1><LOG_DIR>/stdout 2><LOG_DIR>/stderr`
	if got := ExecCommand("bin/run-am", "--name=a b"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func each(ss []string) (out [][]string) {
	for _, s := range ss {
		out = append(out, []string{s})
	}
	return out
}
