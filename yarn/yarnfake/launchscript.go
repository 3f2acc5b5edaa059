package yarnfake

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"heddle/yarn/internal/pb"
)

// launchScript is the shell script by which a NodeManager starts a container:
// values stand between double quotes as they are, the command passes through a
// second shell.
func launchScript(k *container, l *pb.ContainerLaunchContextProto) string {
	n, work, logs := k.node, k.node.workDir(k), k.node.logDir(k)
	expand := strings.NewReplacer("<LOG_DIR>", logs, "<CPS>", ":", "<ADD_OPENS>", "", "{{", "$", "}}", "").Replace
	var b strings.Builder
	b.WriteString("#!/bin/bash\nset -o pipefail -e\n")
	export := func(key, value string) { fmt.Fprintf(&b, "export %s=\"%s\"\n", key, value) }
	own := [][2]string{
		{"CONTAINER_ID", k.id.String()},
		{"NM_HOST", n.id.Host},
		{"NM_PORT", strconv.Itoa(int(n.id.Port))},
		{"NM_HTTP_PORT", n.http[strings.LastIndexByte(n.http, ':')+1:]},
		{"LOCAL_DIRS", filepath.Dir(work)},
		{"LOCAL_USER_DIRS", filepath.Join(n.dir, "local", "usercache", k.app.user)},
		{"LOG_DIRS", logs},
		{"USER", k.app.user},
		{"LOGNAME", k.app.user},
		{"HOME", "/home/"},
		{"PWD", work},
		{"HADOOP_TOKEN_FILE_LOCATION", filepath.Join(work, "container_tokens")},
		{"JVM_PID", "$$"},
		{"MALLOC_ARENA_MAX", "4"},
	}
	given := map[string]string{}
	for _, kv := range l.GetEnvironment() {
		given[kv.GetKey()] = kv.GetValue()
	}
	for _, kv := range own {
		export(kv[0], kv[1])
		delete(given, kv[0]) // the node's own wins
	}
	for _, key := range byDependency(given) {
		export(key, expand(given[key]))
	}
	fmt.Fprintf(&b, "cd \"%s\"\n", work)
	fmt.Fprintf(&b, "exec /bin/bash -c \"%s\"\n", expand(strings.Join(l.GetCommand(), " ")))
	return b.String()
}

// byDependency orders variables such that one comes after those that its value names.
func byDependency(env map[string]string) []string {
	var keys, out []string
	for k := range env {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	done := map[string]bool{}
	var visit func(k string)
	visit = func(k string) {
		if done[k] {
			return
		}
		done[k] = true
		for _, other := range keys {
			if strings.Contains(env[k], "{{"+other+"}}") || strings.Contains(env[k], "$"+other) {
				visit(other)
			}
		}
		out = append(out, k)
	}
	for _, k := range keys {
		visit(k)
	}
	return out
}
