package config

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestConfigIsImmutable(t *testing.T) {
	c := New(map[string]string{"a": "1", "b.x": "2", "b.y": "3", "b.": "4", "gone": ""})
	d := c.With(map[string]string{"a": "9", "b.x": "", "new": "n"})
	e := c.Without("a")
	m := c.Map()
	m["a"] = "changed"
	for _, tt := range []struct {
		name string
		c    Config
		want map[string]string
	}{
		{"New", c, map[string]string{"a": "1", "b.x": "2", "b.y": "3", "b.": "4"}},
		{"With", d, map[string]string{"a": "9", "b.y": "3", "b.": "4", "new": "n"}},
		{"Without", e, map[string]string{"b.x": "2", "b.y": "3", "b.": "4"}},
		{"Subset", c.Subset("b.", false), map[string]string{"b.x": "2", "b.y": "3", "b.": "4"}},
		{"Subset stripped", c.Subset("b.", true), map[string]string{"x": "2", "y": "3"}},
		{"zero", Config{}.With(map[string]string{"a": "1"}), map[string]string{"a": "1"}},
		{"zero without", Config{}.Without("a"), map[string]string{}},
	} {
		if d := cmp.Diff(tt.want, tt.c.Map()); d != "" {
			t.Errorf("%s: %s", tt.name, d)
		}
	}
	if d.Origin("a").Source != OriginDerived || d.Origin("b.y").Source != OriginGiven {
		t.Error("origins of With")
	}
	if !c.Equal(New(c.Map())) || c.Equal(d) {
		t.Error("Equal")
	}
}

func TestConfigJSON(t *testing.T) {
	c := New(map[string]string{"b": "2", "a": "<é>"})
	raw, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var back Config
	if err := json.Unmarshal(raw, &back); err != nil || !back.Equal(c) {
		t.Errorf("%s: %v", raw, err)
	}
	if err := json.Unmarshal([]byte(`{"a":1}`), &back); err == nil {
		t.Error("a number is taken for a string")
	}
}

func TestSecrets(t *testing.T) {
	secret := []string{
		"sensitive.anything", "sensitive.job.name",
		"systems.kafka.consumer.sasl.jaas.config",
		"systems.kafka.producer.ssl.key.password",
		"systems.kafka.consumer.ssl.keystore.key",
		"systems.kafka.consumer.sasl.oauthbearer.client.credentials.client.secret",
		"my.service.password", "db.PASSWORD", "vendor.api.key", "some.access.token",
		"azure.storage.connect", "serializers.registry.avro.basic.auth.user.info",
	}
	plain := []string{
		"job.name", "yarn.token.renewal.interval.seconds", "yarn.credentials.file", "heddle.coordinator.secrets",
		"systems.kafka.consumer.sasl.oauthbearer.token.endpoint.url",
		"systems.kafka.consumer.ssl.truststore.location",
		"streams.password-resets.samza.msg.serde", "streams.password-resets.cleanup.policy",
		"systems.kafka.streams.token.events.samza.key.serde", "heddle.preload.kafka.secret-events",
		"stores.tokens.factory", "stores.tokens.changelog.kafka.segment.bytes", "task.opts",
	}
	for _, k := range secret {
		if !IsSecret(k) {
			t.Errorf("%s is shown", k)
		}
	}
	for _, k := range plain {
		if IsSecret(k) {
			t.Errorf("%s is hidden", k)
		}
	}

	c := New(map[string]string{
		"job.name": "x", "sensitive.a": "s1", "my.password": "s2",
		"yarn.package.path": "http://user:s3@host/p.tgz",
		"task.opts":         `-Xmx1g -Djavax.net.ssl.keyStorePassword=s4 -Da=b`,
	})
	want := map[string]string{
		"job.name": "x", "sensitive.a": Mask, "my.password": Mask,
		"yarn.package.path": "http://user:" + Mask + "@host/p.tgz",
		"task.opts":         "-Xmx1g -Djavax.net.ssl.keyStorePassword=" + Mask + " -Da=b",
	}
	if d := cmp.Diff(want, c.Redacted().Map()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(map[string]string{"sensitive.a": "s1", "my.password": "s2"}, c.Secrets()); d != "" {
		t.Error(d)
	}
	if n := c.WithoutSecrets(); n.Len() != 3 {
		t.Errorf("without secrets: %v", n.Keys())
	}
}
