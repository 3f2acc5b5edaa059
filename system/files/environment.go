package files

import (
	"fmt"
	"os/user"

	"heddle/yarn/hadoopconf"
)

// FromEnvironment gives the options that the environment of a process says:
// the configuration of HADOOP_CONF_DIR (or YARN_CONF_DIR), Hadoop's defaults
// without one; and the user, HADOOP_USER_NAME or the one of the operating
// system.
func FromEnvironment(lookup func(name string) (string, bool)) (Options, error) {
	o := Options{Conf: hadoopconf.Defaults()}
	if dirs := hadoopconf.DirsFromEnvironment(lookup); len(dirs) > 0 {
		conf, err := hadoopconf.Load(dirs...)
		if err != nil {
			return o, err
		}
		o.Conf = conf
	}
	if name, _ := lookup("HADOOP_USER_NAME"); name != "" {
		o.User = name
		return o, nil
	}
	u, err := user.Current()
	if err != nil {
		return o, fmt.Errorf("the user's name: %w; set HADOOP_USER_NAME", err)
	}
	o.User = u.Username
	return o, nil
}
