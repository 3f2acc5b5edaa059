package job

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"

	"heddle/coordinator"
	"heddle/system/files"
	"heddle/yarn"
	"heddle/yarn/hadoopconf"
	"heddle/yarn/rpc"
)

// Cluster is the YARN cluster that the environment names
// (HADOOP_CONF_DIR, else YARN_CONF_DIR).
type Cluster struct {
	conf   *hadoopconf.Conf
	client *yarn.Client
	user   string
	log    *slog.Logger

	// Staging is where the files of the job are that a command is about
	// (yarn.job.staging.directory); "" for the default.
	Staging string
}

// OpenCluster reads the cluster's configuration. Nothing is connected yet.
func OpenCluster(log *slog.Logger) (*Cluster, error) {
	dirs := hadoopconf.DirsFromEnvironment(os.LookupEnv)
	if len(dirs) == 0 {
		return nil, Usage("no Hadoop configuration: set HADOOP_CONF_DIR to the folder with core-site.xml and yarn-site.xml")
	}
	conf, err := hadoopconf.Load(dirs...)
	if err != nil {
		return nil, usageError{err}
	}
	c := &Cluster{conf: conf, log: log, user: os.Getenv("HADOOP_USER_NAME")}
	if c.user == "" {
		u, err := user.Current()
		if err != nil {
			return nil, fmt.Errorf("the user's name: %w; set HADOOP_USER_NAME", err)
		}
		c.user = u.Username
	}
	o, err := yarn.ClientOptionsFrom(conf, rpc.Options{User: c.user, Logger: log, CallerContext: "heddle-run-job"})
	if err != nil {
		return nil, usageError{err}
	}
	c.client, err = yarn.NewClient(o)
	return c, err
}

// Close ends the connections.
func (c *Cluster) Close() error { return c.client.Close() }

// stagingFS opens the file system for the jobs' files.
func (c *Cluster) stagingFS(ctx context.Context, uri string) (files.FileSystem, error) {
	return files.Open(ctx, uri, files.Options{Conf: c.conf, User: c.user})
}

// live are the states of an application that has not ended.
var live = []yarn.ApplicationState{yarn.StateNew, yarn.StateNewSaving, yarn.StateSubmitted, yarn.StateAccepted, yarn.StateRunning}

// named gives the applications of a job of this user, the newest first.
func (c *Cluster) named(ctx context.Context, name string, states ...yarn.ApplicationState) ([]yarn.ApplicationReport, error) {
	found, err := c.client.Reports(ctx, yarn.ApplicationFilter{Name: name, States: states})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(found, func(a, b yarn.ApplicationReport) int { return b.ID.Compare(a.ID) })
	return found, nil
}

// Which says which application a command is about.
type Which struct {
	// Application is its id; "" if the job's configuration says it.
	Application string
	// Name is "<job.name>_<job.id>".
	Name string
}

// find gives the application: by id, or the newest of the job's, one that still
// runs before one that has ended.
func (c *Cluster) find(ctx context.Context, w Which) (yarn.ApplicationReport, error) {
	if w.Application != "" {
		id, err := yarn.ParseApplicationID(w.Application)
		if err != nil {
			return yarn.ApplicationReport{}, usageError{err}
		}
		r, err := c.client.Report(ctx, id)
		if errors.Is(err, yarn.ErrNotFound) {
			return r, Usage("%s: the ResourceManager does not know this application; run-job list shows those that it does", w.Application)
		}
		return r, err
	}
	all, err := c.named(ctx, w.Name)
	if err != nil {
		return yarn.ApplicationReport{}, err
	}
	if i := slices.IndexFunc(all, func(r yarn.ApplicationReport) bool { return !r.State.Done() }); i >= 0 {
		return all[i], nil
	}
	if len(all) == 0 {
		return yarn.ApplicationReport{}, Usage("no application of the job %s is known to the ResourceManager; run-job list shows those that are", w.Name)
	}
	return all[0], nil
}

// ask speaks to the application master's pages: at its own address, else through
// YARN's proxy.
func (c *Cluster) ask(ctx context.Context, r yarn.ApplicationReport, f func(coordinator.Operator) error) error {
	err := errors.New("it has not told its address yet")
	for _, url := range []string{r.OriginalTrackingURL, r.TrackingURL} {
		if url == "" || url == "N/A" {
			continue
		}
		if !strings.Contains(url, "://") {
			url = "http://" + url
		}
		if url == r.TrackingURL || strings.HasPrefix(url, "http://"+r.TrackingURL) {
			url = strings.TrimSuffix(url, "/") + "/"
		}
		if err = f(coordinator.Operator{UI: url}); err == nil || errors.Is(err, coordinator.ErrForbidden) || ctx.Err() != nil {
			return err
		}
	}
	return fmt.Errorf("application master of %s: %w", r.ID, err)
}

// secretFile is where the secret of an application of this user is kept.
func secretFile(application string) (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("folder for the job's secret: %w", err)
	}
	return filepath.Join(dir, "heddle", "secrets", application), nil
}

// keepSecret writes the job's secret to a file that only the user can read.
func keepSecret(application string, secret []byte) error {
	file, err := secretFile(application)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("folder for the job's secret: %w", err)
	}
	if err := os.WriteFile(file, []byte(coordinator.SecretText(secret)+"\n"), 0o600); err != nil {
		return fmt.Errorf("file for the job's secret: %w", err)
	}
	return nil
}

// secretOf finds an application's secret: in the user's file, else in the
// application's staging folder.
func (c *Cluster) secretOf(ctx context.Context, application string) ([]byte, error) {
	file, err := secretFile(application)
	if err == nil {
		var b []byte
		if b, err = os.ReadFile(file); err == nil {
			return coordinator.ParseSecret(strings.TrimSpace(string(b)))
		}
	}
	fs, fsErr := c.stagingFS(ctx, "")
	if fsErr != nil {
		return nil, cmp.Or(fsErr, err)
	}
	defer fs.Close()
	f, fsErr := fs.Open(ctx, stagingFolder(fs, c.Staging, application)+"/secret")
	if fsErr != nil {
		return nil, fmt.Errorf("the job's secret is neither in %s nor in its staging folder: %w", file, fsErr)
	}
	defer f.Close()
	b := make([]byte, 1024)
	n, _ := f.Read(b)
	return coordinator.ParseSecret(strings.TrimSpace(string(b[:n])))
}

// stagingFolder is where an application's files are: below
// yarn.job.staging.directory, or .heddle/staging in the user's home.
func stagingFolder(fs files.FileSystem, setting, application string) string {
	base := setting
	if base == "" {
		base = strings.TrimSuffix(fs.Home(), "/") + "/.heddle/staging"
	}
	return strings.TrimSuffix(base, "/") + "/" + application
}

// forgetSecret removes the user's copy.
func forgetSecret(application string) error {
	file, err := secretFile(application)
	if err != nil {
		return err
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("file of the job's secret: %w", err)
	}
	return nil
}
