package hadoopconf

import (
	"os"
	"os/user"
)

// Names of the environment variables that say where the configuration is.
const (
	EnvHadoopConfDir = "HADOOP_CONF_DIR"
	EnvYarnConfDir   = "YARN_CONF_DIR"
	EnvHadoopHome    = "HADOOP_HOME"
)

// Environment is what a configuration may refer to by ${...} beside its own
// keys.
type Environment struct {
	// LookupEnv looks up an environment variable (${env.NAME}); nil: none is
	// set.
	LookupEnv func(name string) (string, bool)
	// Properties are what Java calls system properties: user.name, user.home,
	// java.io.tmpdir. They win over keys of the configuration.
	Properties map[string]string
}

// OSEnvironment is the Environment of this process. user.name is the operating
// system's user, as in Java, whatever HADOOP_USER_NAME says.
func OSEnvironment() Environment {
	p := map[string]string{"java.io.tmpdir": os.TempDir()}
	if u, err := user.Current(); err == nil {
		p["user.name"] = u.Username
		p["user.home"] = u.HomeDir
	} else if name := os.Getenv("USER"); name != "" {
		p["user.name"] = name
		p["user.home"] = os.Getenv("HOME")
	}
	if dir, err := os.Getwd(); err == nil {
		p["user.dir"] = dir
	}
	return Environment{LookupEnv: os.LookupEnv, Properties: p}
}

// DirsFromEnvironment returns the configuration directories that the
// environment names, in the order in which they are searched: HADOOP_CONF_DIR
// and YARN_CONF_DIR, or, where neither is set, HADOOP_HOME/etc/hadoop. It may
// be empty; Load then says what to set.
func DirsFromEnvironment(lookup func(name string) (string, bool)) []string {
	var dirs []string
	for _, name := range []string{EnvHadoopConfDir, EnvYarnConfDir} {
		if dir, ok := lookup(name); ok && dir != "" && (len(dirs) == 0 || dirs[0] != dir) {
			dirs = append(dirs, dir)
		}
	}
	if home, ok := lookup(EnvHadoopHome); ok && home != "" && len(dirs) == 0 {
		dirs = append(dirs, home+"/etc/hadoop")
	}
	return dirs
}
