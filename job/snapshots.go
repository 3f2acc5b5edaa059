package job

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"heddle/config"
	"heddle/storage/engine"
	"heddle/storage/snapshot"
	"heddle/system/files"
)

// checkSnapshots looks whether snapshots can be written where heddle.snapshot.uri
// says; try: by writing. It gives the key with the name of the file system in it,
// so that a container need not know which one is the cluster's default.
func (j *Job) checkSnapshots(ctx context.Context, try bool) (map[string]string, error) {
	key := config.HeddleSnapshotURI.Name()
	uri := config.HeddleSnapshotURI.Of(j.Config)
	if uri == "" {
		return nil, nil
	}
	fault := func(hint, format string, args ...any) error {
		return &config.Error{Key: key, Origin: j.Config.Origin(key), Problem: fmt.Sprintf(format, args...), Hint: hint}
	}
	stores, err := config.Stores(j.Config)
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(stores, func(s config.StoreConfig) bool { return s.Engine != engine.Memory && s.Logged() }) {
		j.say.Warn("%s is set, but no store lies on disk and has a changelog: there is nothing to keep copies of", key)
		return nil, nil
	}
	system, root, err := files.Split(uri)
	if err != nil {
		return nil, fault("", "%v", err)
	}
	o, err := files.FromEnvironment(os.LookupEnv)
	if err != nil {
		return nil, fault("correct HADOOP_CONF_DIR", "%v", err)
	}
	if system == "" {
		system = o.Conf.DefaultFS()
	}
	if j.Factory == config.YARN && strings.HasPrefix(system, "file:") {
		j.say.Warn("%s: snapshots go to %s of each node; they are of use only if that is one folder for all of them", key, root)
	}
	there, err := files.Open(ctx, system, o)
	if err != nil {
		if errors.Is(err, files.ErrUnreachable) {
			return nil, fmt.Errorf("%w (%s)", err, fault("", "the snapshots' file system"))
		}
		return nil, fault("", "%v", err)
	}
	defer there.Close()
	switch s, err := there.Stat(ctx, root); {
	case err == nil && !s.Dir:
		return nil, fault("name a folder", "%s is a file", s.URI)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, fault("name a folder that "+o.User+" may use", "%v", err)
	}
	if try {
		// Where the job will write: the folder of all jobs may be another user's.
		folder := snapshot.JobFolder(root, config.JobName.Of(j.Config), config.JobID.Of(j.Config))
		file := files.Temporary(path.Join(folder, "try"))
		_, err := there.Put(ctx, file, strings.NewReader("x"), 0o600)
		if err == nil {
			err = there.RemoveAll(ctx, file)
		}
		if err != nil {
			return nil, fault("name a folder that "+o.User+" may write to", "%v", err)
		}
	}
	return map[string]string{key: files.Join(system, root)}, nil
}
