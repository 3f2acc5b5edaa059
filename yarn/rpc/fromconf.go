package rpc

import (
	"fmt"
	"time"

	"heddle/yarn/hadoopconf"
	"heddle/yarn/security"
)

// FromConf returns o with what Hadoop's configuration says filled in where o
// says nothing: timeouts, pings, the limit of a frame (ipc.client.*,
// ipc.ping.interval, ipc.maximum.response.length), and, where a file sets it,
// hadoop.rpc.protection. (Hadoop's default for that one, authentication alone,
// is not taken over: without a word of the user's, what the server asks for is
// given.)
func (o Options) FromConf(conf *hadoopconf.Conf) (Options, error) {
	for _, d := range []struct {
		key   string
		field *time.Duration
		off   bool // 0 means "none", which is negative here
	}{
		{"ipc.client.connect.timeout", &o.DialTimeout, false},
		{"ipc.client.rpc-timeout.ms", &o.CallTimeout, true},
		{"ipc.ping.interval", &o.PingInterval, false},
		{"ipc.client.connection.maxidletime", &o.IdleTimeout, false},
	} {
		if *d.field != 0 {
			continue
		}
		value, err := conf.DurationIn(d.key, time.Millisecond, 0)
		if err != nil {
			return o, err
		}
		if value == 0 && d.off {
			value = -1
		}
		*d.field = value
	}
	ping, err := conf.Bool("ipc.client.ping", true)
	if err != nil {
		return o, err
	}
	if !ping {
		o.PingInterval = -1
	}
	if o.MaxFrame == 0 {
		const key = "ipc.maximum.response.length"
		limit, err := conf.Size(key, DefaultMaxFrame)
		if err != nil {
			return o, err
		}
		// Hadoop takes 0 and less for "no limit"; here there always is one.
		if limit > 0 && limit <= 1<<31-1 {
			o.MaxFrame = int(limit)
		}
	}
	const protection = "hadoop.rpc.protection"
	if len(o.Protection) == 0 && conf.Configured(protection) {
		qops, unknown := security.ParseProtection(conf.String(protection, ""))
		if len(unknown) > 0 {
			return o, fmt.Errorf("%s (%s): %q is none of authentication, integrity, privacy", protection, conf.Origin(protection), unknown[0])
		}
		o.Protection = qops
	}
	return o, nil
}
