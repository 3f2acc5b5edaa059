package hadoopconf

import "testing"

func FuzzXML(f *testing.F) {
	f.Add([]byte(`<?xml version="1.0"?><configuration><property><name>a</name><value>${b}</value><final>true</final></property></configuration>`))
	f.Add([]byte(`<configuration xmlns:xi="x"><xi:include href="y"><xi:fallback><property name="b" value="${a}"/></xi:fallback></xi:include></configuration>`))
	f.Add([]byte(`<?xml version="1.0" encoding="latin1"?><configuration/>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := newConf(testEnvironment())
		err := c.readXML(b, "fuzz.xml", func(string) error { return errNoFile })
		if err != nil {
			return
		}
		for _, key := range c.Keys() {
			if _, ok := c.Get(key); !ok {
				t.Fatalf("%q is among the keys but has no value", key)
			}
			if c.Origin(key) == "" {
				t.Fatalf("%q has no origin", key)
			}
			_, _ = c.Duration(key, 0)
			_, _ = c.Size(key, 0)
			_, _ = c.Int(key, 0)
		}
		c.ResourceManagerAddresses()
		_, _ = c.ResourceManagers()
		c.ProxyAddress()
		c.NameNodes(c.DefaultFS())
	})
}
