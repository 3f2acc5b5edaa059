package hadoopconf

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// testEnvironment knows one variable that is set, one that is empty, and a user.
func testEnvironment() Environment {
	env := map[string]string{"SET": "value", "EMPTY": ""}
	return Environment{
		LookupEnv:  func(name string) (string, bool) { v, ok := env[name]; return v, ok },
		Properties: map[string]string{"user.name": "ann", "java.io.tmpdir": "/tmp"},
	}
}

// write makes a directory of files. A text that is no XML document becomes the
// content of <configuration>.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if !strings.HasPrefix(text, "<?xml") && !strings.HasPrefix(text, "<configuration") {
			text = "<?xml version=\"1.0\"?>\n<configuration xmlns:xi=\"http://www.w3.org/2001/XInclude\">\n" + text + "\n</configuration>\n"
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func property(name, value string) string {
	return "<property><name>" + name + "</name><value>" + value + "</value></property>\n"
}

func load(t *testing.T, files map[string]string) *Conf {
	t.Helper()
	c, err := LoadEnvironment(testEnvironment(), write(t, files))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func core(t *testing.T, text string) *Conf {
	t.Helper()
	return load(t, map[string]string{"core-site.xml": text})
}

func TestFormsOfProperty(t *testing.T) {
	c := core(t, `
	<!-- a comment --><property><name> a.key </name><value> kept
	as it is </value><description>says <b>what</b></description></property>
	<property name="attr" value="by attribute"/>
	<property name="mixed"><value>element &amp; attribute</value></property>
	<property><name>cdata</name><value><![CDATA[<x>&]]></value></property>
	<property><name>empty</name><value></value></property>
	<property><name>novalue</name></property>
	<property><value>no name</value></property>
	<other><property><name>inside other</name><value>x</value></property></other>
	<configuration><property><name>nested</name><value>yes</value></property></configuration>
	<property><name>twice</name><value>1</value></property>
	<property><name>twice</name><value>2</value></property>`)
	tests := []struct {
		key, want string
		ok        bool
	}{
		{"a.key", " kept\n\tas it is ", true},
		{"attr", "by attribute", true},
		{"mixed", "element & attribute", true},
		{"cdata", "<x>&", true},
		{"empty", "", true},
		{"novalue", "", false},
		{"inside other", "", false},
		{"nested", "yes", true},
		{"twice", "2", true},
		{"unknown", "", false},
	}
	for _, tt := range tests {
		if got, ok := c.Get(tt.key); got != tt.want || ok != tt.ok {
			t.Errorf("Get(%q) = %q, %v; want %q, %v", tt.key, got, ok, tt.want, tt.ok)
		}
	}
	if got := c.String("a.key", ""); got != "kept\n\tas it is" {
		t.Errorf("String = %q", got)
	}
	if got := c.String("unknown", "def"); got != "def" {
		t.Errorf("String = %q", got)
	}
}

func TestFilesOverrideUnlessFinal(t *testing.T) {
	c := load(t, map[string]string{
		"core-site.xml": property("a", "core") +
			`<property><name>f</name><value>core</value><final>true</final></property>` +
			`<property><name>hadoop.tmp.dir</name><final>true</final></property>` +
			`<property name="later" final="true"/>`,
		"yarn-site.xml": property("a", "yarn") + property("f", "yarn") + property("hadoop.tmp.dir", "yarn") + property("later", "yarn"),
		"hdfs-site.xml": property("a", "hdfs") + `<property name="f" value="hdfs" final="false"/>`,
	})
	want := map[string]string{
		"a": "hdfs", "f": "core",
		"hadoop.tmp.dir": "/tmp/hadoop-ann", // pinned to the default
	}
	for key, value := range want {
		if got, _ := c.Get(key); got != value {
			t.Errorf("%s = %q, want %q", key, got, value)
		}
	}
	if got, ok := c.Get("later"); ok {
		t.Errorf("later = %q though it is final without a value", got)
	}
	if got := c.Origin("a"); !strings.HasSuffix(got, "hdfs-site.xml:3") {
		t.Errorf("origin %s", got)
	}
	if got := c.Origin("fs.defaultFS"); got != "core-default.xml (built in)" {
		t.Errorf("origin %s", got)
	}
	if got := c.Origin("unknown"); got != "" {
		t.Errorf("origin %s", got)
	}
	for key, want := range map[string]bool{"a": true, "fs.defaultFS": false, "unknown": false, "later": false} {
		if got := c.Configured(key); got != want {
			t.Errorf("Configured(%s) = %v", key, got)
		}
	}
	for _, key := range c.Keys() {
		if key == "later" {
			t.Error("Keys lists a key without a value")
		}
	}
}

func TestExpansion(t *testing.T) {
	text := property("host", "h1") + property("user.name", "bob") +
		property("self", "x${self}") + property("ring1", "${ring2}") + property("ring2", "${ring1}") +
		property("port", "${base}1") + property("base", "80") + property("which", "host")
	tests := []struct{ value, want string }{
		{"plain", "plain"},
		{"${host}:${port}", "h1:801"},
		{"${user.name}", "ann"}, // Java's system properties win over keys
		{"${${which}}", "h1"},
		{"${unknown}/${host}", "${unknown}/${host}"}, // the first without a value ends it
		{"${host}/${unknown}", "h1/${unknown}"},
		{"${self}", "${self}"},
		{"${ring1}", "${ring1}"},
		{"${env.SET}", "value"},
		{"${env.EMPTY}", ""},
		{"${env.UNSET}", "${env.UNSET}"},
		{"${env.UNSET-fallback}", "fallback"},
		{"${env.EMPTY-fallback}", ""},
		{"${env.EMPTY:-fallback}", "fallback"},
		{"${env.UNSET:-}", ""},
		{"${env.SET:-fallback}", "value"},
		{"${}", "${}"},
		{"${a b}", "${a b}"},
		{"${host", "${host"},
		{"$host ${ host} $${host}", "$host ${ host} $h1"},
		{"${a${host}", "${ah1"},
		{strings.Repeat("${host}", 20), strings.Repeat("h1", 20)},
		{strings.Repeat("${host}", 21), strings.Repeat("${host}", 21)},
	}
	for _, tt := range tests {
		c := core(t, text+property("k", tt.value))
		if got, _ := c.Get("k"); got != tt.want {
			t.Errorf("%s = %q, want %q", tt.value, got, tt.want)
		}
	}
}

func TestInclude(t *testing.T) {
	abs := write(t, map[string]string{"abs.xml": property("abs", "1")})
	c := load(t, map[string]string{
		"core-site.xml": property("order", "before") + `
		<xi:include href="sub/inc.xml"/>
		<xi:include href="gone.xml"><xi:fallback>` + property("fallback", "used") + `</xi:fallback></xi:include>
		<xi:include href="sub/inc.xml"><xi:fallback>` + property("unused", "x") + `</xi:fallback></xi:include>
		<xi:include href="` + filepath.Join(abs, "abs.xml") + `"/>
		<xi:include href="file://` + filepath.Join(abs, "abs.xml") + `"/>`,
		"sub/inc.xml":   property("order", "included") + `<xi:include href="deep.xml"/>`,
		"sub/deep.xml":  property("deep", "1"),
		"yarn-site.xml": property("other", "1"),
	})
	want := map[string]string{"order": "included", "fallback": "used", "abs": "1", "deep": "1", "other": "1"}
	for key, value := range want {
		if got, _ := c.Get(key); got != value {
			t.Errorf("%s = %q, want %q", key, got, value)
		}
	}
	if _, ok := c.Get("unused"); ok {
		t.Error("a fallback was used though the file is there")
	}
	if got := c.Origin("deep"); !strings.HasSuffix(got, "sub/deep.xml:3") {
		t.Errorf("origin %s", got)
	}
}

func TestCharsets(t *testing.T) {
	c := load(t, map[string]string{
		"core-site.xml": "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><configuration>" + property("k", "\xe4 \xf6") + "</configuration>",
		"yarn-site.xml": "<?xml version=\"1.0\" encoding=\"utf-8\"?><configuration>" + property("u", "ä 中") + "</configuration>",
	})
	if got, _ := c.Get("k"); got != "ä ö" {
		t.Errorf("%q", got)
	}
	if got, _ := c.Get("u"); got != "ä 中" {
		t.Errorf("%q", got)
	}
}

func TestLoadErrors(t *testing.T) {
	dir := func(files map[string]string) []string { return []string{write(t, files)} }
	site := func(text string) []string { return dir(map[string]string{"core-site.xml": text}) }
	aFile := filepath.Join(site("")[0], "core-site.xml")
	asDir := t.TempDir()
	if err := os.Mkdir(filepath.Join(asDir, "core-site.xml"), 0o750); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		dirs []string
		want string // beside HADOOP_CONF_DIR
	}{
		{"no directory", nil, "no Hadoop configuration"},
		{"missing directory", []string{"/does/not/exist"}, "/does/not/exist does not exist"},
		{"a file for a directory", []string{aFile}, "is not a directory"},
		{"a directory for a file", []string{asDir}, "core-site.xml"},
		{"no file in it", dir(map[string]string{"x.txt": ""}), "holds none of core-site.xml, yarn-site.xml, hdfs-site.xml"},
		{"not XML", site("<?xml version=\"1.0\"?>\nfoo: bar\n"), "core-site.xml:"},
		{"cut off", site("<configuration><property><name>a</name>"), "core-site.xml:1: "},
		{"mismatched", site("<configuration>\n<property></configuration>"), "core-site.xml:2: "},
		{"another document", site("<configurations></configurations>"), "the top element is <configurations>"},
		{"empty", dir(map[string]string{"yarn-site.xml": "<?xml version=\"1.0\"?>"}), "no <configuration> element"},
		{"charset", site("<?xml version=\"1.0\" encoding=\"EBCDIC\"?><configuration/>"), "save the file as UTF-8"},
		{"include without href", site("<xi:include/>"), "<include> without href"},
		{"include of nothing", site(`<xi:include href="gone.xml"/>`), "gone.xml: file not found"},
		{"include of itself", site(`<xi:include href="core-site.xml"/>`), "includes itself"},
		{"include by HTTP", site(`<xi:include href="http://x/y.xml"/>`), "only files can be included"},
		{"include of a broken file", dir(map[string]string{"core-site.xml": `<xi:include href="b.xml"><xi:fallback/></xi:include>`, "b.xml": "<configuration>"}), "b.xml:1"},
		{"too deep", site(strings.Repeat("<configuration>", 100)), "nested more than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := LoadEnvironment(testEnvironment(), tt.dirs...)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), EnvHadoopConfDir) {
				t.Errorf("error %v\nwant %q and %s", err, tt.want, EnvHadoopConfDir)
			}
		})
	}
}

func TestIncludeChainIsBounded(t *testing.T) {
	files := map[string]string{"core-site.xml": `<xi:include href="0.xml"/>`}
	for i := range 30 {
		files[fmt.Sprintf("%d.xml", i)] = fmt.Sprintf(`<xi:include href="%d.xml"/>`, i+1)
	}
	if _, err := LoadEnvironment(testEnvironment(), write(t, files)); err == nil || !strings.Contains(err.Error(), "levels deep") {
		t.Error(err)
	}
}

// As on a class path, the first directory that has a file is the one that
// counts.
func TestSeveralDirectories(t *testing.T) {
	one := write(t, map[string]string{"core-site.xml": property("a", "one") + property("b", "one")})
	two := write(t, map[string]string{"core-site.xml": property("a", "two") + property("c", "two"), "yarn-site.xml": property("y", "two")})
	c, err := LoadEnvironment(testEnvironment(), one, two)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, key := range []string{"a", "b", "c", "y"} {
		if v, ok := c.Get(key); ok {
			got[key] = v
		}
	}
	if d := cmp.Diff(map[string]string{"a": "one", "b": "one", "y": "two"}, got); d != "" {
		t.Error(d)
	}
}

func TestRenamedKeys(t *testing.T) {
	c := core(t, property("fs.default.name", "hdfs://old:8020"))
	if got := c.DefaultFS(); got != "hdfs://old:8020" {
		t.Error(got)
	}
	if got, _ := c.Get("fs.default.name"); got != "hdfs://old:8020" {
		t.Error(got)
	}
	if got := Defaults().DefaultFS(); got != "file:///" {
		t.Error(got)
	}
}

func TestDirsFromEnvironment(t *testing.T) {
	tests := []struct {
		env  map[string]string
		want []string
	}{
		{nil, nil},
		{map[string]string{EnvHadoopConfDir: "/h"}, []string{"/h"}},
		{map[string]string{EnvYarnConfDir: "/y"}, []string{"/y"}},
		{map[string]string{EnvHadoopConfDir: "/h", EnvYarnConfDir: "/y", EnvHadoopHome: "/home"}, []string{"/h", "/y"}},
		{map[string]string{EnvHadoopConfDir: "/h", EnvYarnConfDir: "/h"}, []string{"/h"}},
		{map[string]string{EnvHadoopConfDir: "", EnvHadoopHome: "/home"}, []string{"/home/etc/hadoop"}},
	}
	for _, tt := range tests {
		got := DirsFromEnvironment(func(name string) (string, bool) { v, ok := tt.env[name]; return v, ok })
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%v: %s", tt.env, d)
		}
	}
}

func TestInts(t *testing.T) {
	tests := []struct {
		value string
		want  int
		ok    bool
	}{
		{"12", 12, true},
		{" -3 ", -3, true},
		{"010", 10, true},
		{"0x1F", 31, true},
		{"-0x10", -16, true},
		{"", 7, true},
		{"12k", 7, false},
		{"1.5", 7, false},
		{"99999999999999999999", 7, false},
		{"0x", 7, false},
		{"0x-1", 7, false},
	}
	for _, tt := range tests {
		c := core(t, property("k", tt.value))
		got, err := c.Int("k", 7)
		if got != tt.want || (err == nil) != tt.ok {
			t.Errorf("%q = %d, %v; want %d, %v", tt.value, got, err, tt.want, tt.ok)
		}
		if err != nil && (!strings.Contains(err.Error(), "core-site.xml:3") || !strings.Contains(err.Error(), tt.value) || !strings.Contains(err.Error(), "k (")) {
			t.Errorf("error %v names not key, file and value", err)
		}
	}
	if got, err := core(t, "").Int("k", 7); got != 7 || err != nil {
		t.Errorf("%d, %v", got, err)
	}
}

func TestBools(t *testing.T) {
	for value, want := range map[string]string{"true": "true", " FALSE ": "false", "": "true", "yes": "error", "1": "error"} {
		c := core(t, property("k", value))
		b, err := c.Bool("k", true)
		got := fmt.Sprint(b)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q = %s, want %s", value, got, want)
		}
	}
}

func TestDurations(t *testing.T) {
	const def = 5 * time.Second
	tests := []struct {
		key, value string
		want       time.Duration
		ok         bool
	}{
		{"a.interval-ms", "1500", 1500 * time.Millisecond, true},
		{"a.interval", "1500", 1500 * time.Millisecond, true},
		{"a.rolling-interval-secs", "86400", 24 * time.Hour, true},
		{"a.secs", "2", 2 * time.Second, true},
		{"a.mins", "2", 2 * time.Minute, true},
		{"a.hours", "2", 2 * time.Hour, true},
		{"a.days", "2", 48 * time.Hour, true},
		{"k", "10s", 10 * time.Second, true},
		{"k", "10 S", 10 * time.Second, true},
		{"k", "3m", 3 * time.Minute, true},
		{"k", "3ms", 3 * time.Millisecond, true},
		{"k", "3us", 3 * time.Microsecond, true},
		{"k", "3ns", 3, true},
		{"k", "2h", 2 * time.Hour, true},
		{"k", "1d", 24 * time.Hour, true},
		{"k", "-1", -time.Millisecond, true},
		{"k", "", def, true},
		{"k", "s", def, false},
		{"k", "1.5s", def, false},
		{"k", "10 weeks", def, false},
		{"k", "9999999999d", def, false},
	}
	for _, tt := range tests {
		c := core(t, property(tt.key, tt.value))
		got, err := c.Duration(tt.key, def)
		if got != tt.want || (err == nil) != tt.ok {
			t.Errorf("%s = %q: %v, %v; want %v, %v", tt.key, tt.value, got, err, tt.want, tt.ok)
		}
	}
}

func TestSizes(t *testing.T) {
	tests := []struct {
		value string
		want  int64
		ok    bool
	}{
		{"134217728", 128 << 20, true},
		{"128m", 128 << 20, true},
		{"1 G", 1 << 30, true},
		{"2K", 2048, true},
		{"-1", -1, true},
		{"7e", 7 << 60, true},
		{"8e", 5, false},
		{"0x10", 16, true},
		{"0x1e", 30, true},
		{"m", 5, false},
		{"1b", 5, false},
		{"", 5, true},
	}
	for _, tt := range tests {
		got, err := core(t, property("k", tt.value)).Size("k", 5)
		if got != tt.want || (err == nil) != tt.ok {
			t.Errorf("%q = %d, %v; want %d, %v", tt.value, got, err, tt.want, tt.ok)
		}
	}
}

func TestStrings(t *testing.T) {
	c := core(t, property("k", " a, b ,,\n c ")+property("none", " , "))
	if d := cmp.Diff([]string{"a", "b", "c"}, c.Strings("k")); d != "" {
		t.Error(d)
	}
	if got := c.Strings("none"); got != nil {
		t.Error(got)
	}
}
