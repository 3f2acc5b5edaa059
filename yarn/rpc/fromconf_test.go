package rpc

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"heddle/yarn/hadoopconf"
	"heddle/yarn/security"
)

func conf(t *testing.T, keys ...string) *hadoopconf.Conf {
	t.Helper()
	text := "<configuration>"
	for i := 0; i < len(keys); i += 2 {
		text += "<property><name>" + keys[i] + "</name><value>" + keys[i+1] + "</value></property>"
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "core-site.xml"), []byte(text+"</configuration>"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := hadoopconf.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFromConf(t *testing.T) {
	o, err := Options{}.FromConf(conf(t))
	if err != nil {
		t.Fatal(err)
	}
	// Hadoop's defaults are this package's.
	if o.DialTimeout != DefaultDialTimeout || o.CallTimeout != DefaultCallTimeout || o.PingInterval != DefaultPingInterval ||
		o.IdleTimeout != DefaultIdleTimeout || o.MaxFrame != DefaultMaxFrame || o.Protection != nil {
		t.Errorf("defaults: %+v", o)
	}
	c := conf(t, "ipc.client.connect.timeout", "5s", "ipc.client.rpc-timeout.ms", "0", "ipc.client.ping", "false",
		"ipc.client.connection.maxidletime", "60000", "ipc.maximum.response.length", "64m", "hadoop.rpc.protection", "privacy, integrity")
	if o, err = (Options{}).FromConf(c); err != nil {
		t.Fatal(err)
	}
	if o.DialTimeout != 5*time.Second || o.CallTimeout >= 0 || o.PingInterval >= 0 || o.IdleTimeout != time.Minute ||
		o.MaxFrame != 64<<20 || len(o.Protection) != 2 || o.Protection[0] != security.QOPPrivacy {
		t.Errorf("from the file: %+v", o)
	}
	// What the caller says stays.
	if o, err = (Options{DialTimeout: time.Second, CallTimeout: 2, IdleTimeout: 4, MaxFrame: 5, Protection: []security.QOP{security.QOPAuth}}).FromConf(c); err != nil {
		t.Fatal(err)
	}
	if o.DialTimeout != time.Second || o.CallTimeout != 2 || o.IdleTimeout != 4 || o.MaxFrame != 5 || len(o.Protection) != 1 {
		t.Errorf("of the caller: %+v", o)
	}
	for key, value := range map[string]string{
		"ipc.client.connect.timeout": "soon", "ipc.client.ping": "perhaps", "ipc.maximum.response.length": "large", "hadoop.rpc.protection": "privacy,secret",
	} {
		if _, err := (Options{}).FromConf(conf(t, key, value)); err == nil || !strings.Contains(err.Error(), key) || !strings.Contains(err.Error(), "core-site.xml") {
			t.Errorf("%s=%s: %v", key, value, err)
		}
	}
}
