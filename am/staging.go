package am

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"path"
	"time"

	"heddle/internal/launch"
	"heddle/system/files"
	"heddle/yarn"
)

// removeWithin bounds the last act of an application master: YARN waits for its
// end.
const removeWithin = 10 * time.Second

// removeStaging removes the application's files. It is called once the
// ResourceManager has taken the final status: before, another attempt may need
// the package. What cannot be removed is left to a later run-job, which sweeps.
func removeStaging(ctx context.Context, env Environment, id yarn.ApplicationID) {
	uri := env.Getenv(launch.EnvStaging)
	if uri == "" {
		return // of a run-job that does not tell it
	}
	ctx, cancel := context.WithTimeout(ctx, removeWithin)
	defer cancel()
	if err := removeFolder(ctx, env, uri, id); err != nil {
		env.Log.Warn("the application's staging folder is left to the next run-job", "folder", uri, "cause", err)
	}
}

func removeFolder(ctx context.Context, env Environment, uri string, id yarn.ApplicationID) error {
	u, err := url.Parse(uri)
	if err != nil {
		return fmt.Errorf("%s: %w", launch.EnvStaging, err)
	}
	if path.Base(u.Path) != id.String() {
		return fmt.Errorf("%s is not a folder of %s", uri, id)
	}
	fs, err := files.Open(ctx, u.Scheme+"://"+u.Host, files.Options{
		Conf: env.HadoopConf, User: cmp.Or(env.Getenv("HADOOP_USER_NAME"), env.Getenv("USER")), Timeout: removeWithin / 2, Idle: removeWithin / 2,
	})
	if err != nil {
		return err
	}
	defer fs.Close()
	return fs.RemoveAll(ctx, u.Path)
}
