package hadoopconf

// renamed are keys that Hadoop gave another name; files may use either.
var renamed = map[string]string{
	"fs.default.name":             "fs.defaultFS",
	"dfs.federation.nameservices": "dfs.nameservices",
}

// builtIn are the values of Hadoop 3.4.1's own default files (they lie inside
// its jars) that a client needs, by file.
var builtIn = map[string]map[string]string{
	"core-default.xml": {
		"fs.defaultFS":                               "file:///",
		"hadoop.tmp.dir":                             "/tmp/hadoop-${user.name}",
		"hadoop.security.authentication":             "simple",
		"hadoop.security.authorization":              "false",
		"hadoop.rpc.protection":                      "authentication",
		"hadoop.security.token.service.use_ip":       "true",
		"ipc.client.connect.timeout":                 "20000",
		"ipc.client.connect.max.retries":             "10",
		"ipc.client.connect.retry.interval":          "1000",
		"ipc.client.connection.maxidletime":          "10000",
		"ipc.client.rpc-timeout.ms":                  "120000",
		"ipc.client.ping":                            "true",
		"ipc.ping.interval":                          "60000",
		"ipc.maximum.data.length":                    "134217728",
		"ipc.maximum.response.length":                "134217728",
		"ipc.client.fallback-to-simple-auth-allowed": "false",
	},
	"yarn-default.xml": {
		"yarn.resourcemanager.hostname":                                   "0.0.0.0",
		"yarn.resourcemanager.address":                                    "${yarn.resourcemanager.hostname}:8032",
		"yarn.resourcemanager.scheduler.address":                          "${yarn.resourcemanager.hostname}:8030",
		"yarn.resourcemanager.resource-tracker.address":                   "${yarn.resourcemanager.hostname}:8031",
		"yarn.resourcemanager.admin.address":                              "${yarn.resourcemanager.hostname}:8033",
		"yarn.resourcemanager.webapp.address":                             "${yarn.resourcemanager.hostname}:8088",
		"yarn.resourcemanager.webapp.https.address":                       "${yarn.resourcemanager.hostname}:8090",
		"yarn.http.policy":                                                "HTTP_ONLY",
		"yarn.resourcemanager.ha.enabled":                                 "false",
		"yarn.client.failover-retries":                                    "0",
		"yarn.client.failover-retries-on-socket-timeouts":                 "0",
		"yarn.resourcemanager.connect.max-wait.ms":                        "900000",
		"yarn.resourcemanager.connect.retry-interval.ms":                  "30000",
		"yarn.client.nodemanager-connect.max-wait-ms":                     "180000",
		"yarn.client.nodemanager-connect.retry-interval-ms":               "10000",
		"yarn.client.application-client-protocol.poll-interval-ms":        "200",
		"yarn.client.application-client-protocol.poll-timeout-ms":         "-1",
		"yarn.am.liveness-monitor.expiry-interval-ms":                     "900000",
		"yarn.resourcemanager.rm.container-allocation.expiry-interval-ms": "600000",
		"yarn.scheduler.minimum-allocation-mb":                            "1024",
		"yarn.scheduler.maximum-allocation-mb":                            "8192",
		"yarn.scheduler.minimum-allocation-vcores":                        "1",
		"yarn.scheduler.maximum-allocation-vcores":                        "4",
		"yarn.nodemanager.local-dirs":                                     "${hadoop.tmp.dir}/nm-local-dir",
		"yarn.nodemanager.remote-app-log-dir":                             "/tmp/logs",
		"yarn.nodemanager.remote-app-log-dir-suffix":                      "logs",
		"yarn.log-aggregation-enable":                                     "false",
		"yarn.timeline-service.enabled":                                   "false",
		"yarn.timeline-service.hostname":                                  "0.0.0.0",
		"yarn.timeline-service.address":                                   "${yarn.timeline-service.hostname}:10200",
		"yarn.timeline-service.webapp.address":                            "${yarn.timeline-service.hostname}:8188",
		"yarn.timeline-service.webapp.https.address":                      "${yarn.timeline-service.hostname}:8190",
	},
}
