package hadoopconf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// siteFiles are the files that Load reads, in this order; later ones win.
var siteFiles = []string{"core-site.xml", "yarn-site.xml", "hdfs-site.xml"}

// Load reads the configuration of the directories (see DirsFromEnvironment) over
// the built-in defaults. Each of core-site.xml, yarn-site.xml and hdfs-site.xml
// is taken from the first directory that has it, as Java takes it from the
// class path; one that no directory has is no error, but at least one file must
// be there.
func Load(dirs ...string) (*Conf, error) {
	return LoadEnvironment(OSEnvironment(), dirs...)
}

// LoadEnvironment is Load with the environment given.
func LoadEnvironment(env Environment, dirs ...string) (*Conf, error) {
	if len(dirs) == 0 {
		return nil, fmt.Errorf("no Hadoop configuration: set %s to the directory that holds core-site.xml and yarn-site.xml", EnvHadoopConfDir)
	}
	for _, dir := range dirs {
		switch info, err := os.Stat(dir); {
		case errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("configuration directory %s does not exist: set %s to the directory that holds core-site.xml and yarn-site.xml", dir, EnvHadoopConfDir)
		case err != nil:
			return nil, fmt.Errorf("configuration directory of Hadoop (%s): %w", EnvHadoopConfDir, err)
		case !info.IsDir():
			return nil, fmt.Errorf("configuration directory %s is not a directory: set %s to the directory that holds core-site.xml and yarn-site.xml", dir, EnvHadoopConfDir)
		}
	}
	c := newConf(env)
	c.dirs = append(c.dirs, dirs...)
	found := false
	for _, name := range siteFiles {
		for _, dir := range dirs {
			path := filepath.Join(dir, name)
			err := c.readFile(path, nil)
			if errors.Is(err, errNoFile) {
				continue
			}
			if err != nil {
				return nil, fmt.Errorf("configuration of Hadoop (%s): %w", EnvHadoopConfDir, err)
			}
			found = true
			break
		}
	}
	if !found {
		return nil, fmt.Errorf("configuration directory %s holds none of %s: set %s to the directory that does",
			strings.Join(dirs, ", "), strings.Join(siteFiles, ", "), EnvHadoopConfDir)
	}
	return c, nil
}

// Defaults returns the built-in defaults alone, without any file: for what runs
// without a cluster.
func Defaults() *Conf { return newConf(OSEnvironment()) }

// builtInSuffix ends the origin of values that no file sets.
const builtInSuffix = " (built in)"

func newConf(env Environment) *Conf {
	c := &Conf{entries: make(map[string]entry), env: env}
	for file, defaults := range builtIn {
		for key, value := range defaults {
			c.entries[key] = entry{value: value, set: true, origin: file + builtInSuffix}
		}
	}
	return c
}
