package am

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"heddle/config"
	"heddle/container"
	"heddle/coordinator"
	"heddle/internal/launch"
	"heddle/jobmodel"
	"heddle/system"
	"heddle/yarn"
	"heddle/yarn/hadoopconf"
	"heddle/yarn/rpc"
	"heddle/yarn/security"
)

// Environment is what YARN gives the process of an application master.
type Environment struct {
	// Getenv looks a variable up (os.Getenv).
	Getenv func(string) string
	// HadoopConf is the cluster's configuration on this node.
	HadoopConf *hadoopconf.Conf
	// Credentials are those of the file that HADOOP_TOKEN_FILE_LOCATION names.
	Credentials *security.Credentials
	Log         *slog.Logger
}

// fastHeartbeat is the time between heartbeats while containers are waited for.
const fastHeartbeat = 100 * time.Millisecond

// RunOnYARN is the whole of the application master's process: it reads the
// job's configuration from the coordinator stream, registers, and drives the
// job to its end.
func RunOnYARN(ctx context.Context, env Environment) (Finish, error) {
	id, err := yarn.ParseContainerID(env.Getenv("CONTAINER_ID"))
	if err != nil {
		return Finish{}, fmt.Errorf("run-am is started by YARN, which sets CONTAINER_ID: %w", err)
	}
	var pkg launch.Package
	if err := json.Unmarshal([]byte(env.Getenv(launch.EnvPackage)), &pkg); err != nil {
		return Finish{}, fmt.Errorf("%s does not describe the job's package: %w; submit the job with run-job", launch.EnvPackage, err)
	}
	secret, err := jobSecret(env.Credentials)
	if err != nil {
		return Finish{}, err
	}
	rpcOptions := rpc.Options{Logger: env.Log, CallerContext: "heddle-am"}
	mo, err := yarn.MasterOptionsFrom(env.HadoopConf, env.Credentials, rpcOptions)
	if err != nil {
		return Finish{}, err
	}
	mo.Logger = env.Log
	racks := &racks{}
	mo.RackOf = racks.of
	master, err := yarn.NewMaster(mo)
	if err != nil {
		return Finish{}, err
	}
	defer master.Close()

	cfg, finish, err := run(ctx, env, id, pkg, secret, master, racks)
	if err == nil && finish.Unregister {
		removeStaging(ctx, env, id.Attempt.Application)
	}
	if err == nil || ctx.Err() != nil {
		return finish, err
	}
	// The cause of a failed start stands in the application's diagnostics, and
	// no second attempt is made for what a second one cannot mend.
	if fatal(err) {
		failed := Finish{Status: Failed, Diagnostics: mask(cfg, err.Error()), Unregister: true}
		over := unregister(ctx, master, failed)
		if over == nil {
			removeStaging(ctx, env, id.Attempt.Application)
		}
		return failed, errors.Join(err, over)
	}
	return finish, err
}

// jobSecret takes the job's secret from the credentials.
func jobSecret(c *security.Credentials) ([]byte, error) {
	text, ok := c.Secret(launch.SecretJob)
	if !ok {
		return nil, fmt.Errorf("the credentials file holds no %s; submit the job with run-job", launch.SecretJob)
	}
	return coordinator.ParseSecret(string(text))
}

// exitUsage is the code of an error of wrong usage or configuration.
const exitUsage = 2

// fatal says if another attempt of the application master would fail alike:
// wrong configuration and missing topics, not a service that is away.
func fatal(err error) bool {
	var coded interface{ ExitCode() int }
	return errors.As(err, &coded) && coded.ExitCode() == exitUsage
}

// mask leaves secrets out of what everybody can read.
func mask(c config.Config, text string) string {
	for _, v := range c.Secrets() {
		if len(v) >= 6 {
			text = strings.ReplaceAll(text, v, config.Mask)
		}
	}
	return text
}

// unregister ends an application that never got to run.
func unregister(ctx context.Context, m *yarn.Master, f Finish) error {
	if _, err := m.Register(ctx, yarn.Registration{}); err != nil {
		return fmt.Errorf("register, to say how the application ended: %w", err)
	}
	return m.Finish(ctx, yarn.FinalStatus(f.Status), f.Diagnostics, "")
}

func run(ctx context.Context, env Environment, id yarn.ContainerID, pkg launch.Package, secret []byte, master *yarn.Master, racks *racks) (config.Config, Finish, error) {
	bootstrap, err := bootstrapConfig(env)
	if err != nil {
		return bootstrap, Finish{}, err
	}
	cfg, err := readConfig(ctx, bootstrap, id.Attempt.Application.String(), env)
	if err != nil {
		return bootstrap, Finish{}, err
	}
	systems, err := container.OpenSystems(cfg, env.Log)
	if err != nil {
		return cfg, Finish{}, err
	}
	defer systems.Close()
	if config.JobHostAffinity.Of(cfg) {
		racks.learn(ctx, env)
	}
	nodes, err := yarn.NewNodes(yarn.NodesOptions{Tokens: master.NodeToken, Logger: env.Log})
	if err != nil {
		return cfg, Finish{}, err
	}
	defer nodes.Close()
	user := env.Getenv("USER")
	app := NewApplication(Options{
		Config: cfg, Systems: systems, Secret: secret, Log: env.Log, Host: env.Getenv("NM_HOST"),
		Who: coordinator.Job{
			ApplicationID: id.Attempt.Application.String(), AttemptID: id.Attempt.String(),
			Name: config.JobName.Of(cfg), ID: config.JobID.Of(cfg), User: user, Factory: "yarn",
		},
		LogURL: func(a Allocation) string {
			return "http://" + a.HTTP + "/node/containerlogs/" + a.ID + "/" + user
		},
		Cluster: func(url string, _ jobmodel.JobModel) (Cluster, error) {
			memory, err := config.ContainerMemoryMB(cfg)
			if err != nil {
				return nil, err
			}
			cores, err := config.ContainerCPUCores(cfg)
			if err != nil {
				return nil, err
			}
			l := launcher{url: url, pkg: pkg, secret: secret, config: cfg, credentials: env.Credentials, user: env.Getenv("HADOOP_USER_NAME"), storeBase: env.Getenv(launch.EnvStoreBase)}
			return &YARN{
				Master: master, Nodes: nodes,
				Resource: yarn.Resource{MemoryMiB: int64(memory), VCores: int32(cores)},
				Label:    config.YarnContainerLabel.Of(cfg),
				Context:  l.context, Slow: config.YarnAMPollInterval.Of(cfg), Fast: fastHeartbeat, Log: env.Log,
			}, nil
		},
	})
	finish, err := app.Run(ctx)
	return cfg, finish, err
}

// bootstrapConfig is the part of the configuration that leads to the
// coordinator stream.
func bootstrapConfig(env Environment) (config.Config, error) {
	var m map[string]string
	if err := json.Unmarshal([]byte(env.Getenv(launch.EnvCoordinatorConfig)), &m); err != nil {
		return config.Config{}, fmt.Errorf("%s is no JSON object of texts: %w; submit the job with run-job", launch.EnvCoordinatorConfig, err)
	}
	return launch.WithSecrets(config.New(m), env.Credentials)
}

// Waiting for the configuration of this application.
const (
	configEvery = 50 * time.Millisecond
	configWait  = 2 * time.Minute
)

// readConfig takes the whole configuration from the coordinator stream, and the
// secrets from the credentials. run-job writes it after the submit, once it
// knows that no other application runs the job; until then the stream holds
// that of an earlier run, or does not exist.
func readConfig(ctx context.Context, bootstrap config.Config, application string, env Environment) (config.Config, error) {
	systems, err := container.OpenSystems(bootstrap, env.Log)
	if err != nil {
		return bootstrap, err
	}
	defer systems.Close()
	name, err := config.CoordinatorSystem(bootstrap)
	if err != nil {
		return bootstrap, err
	}
	sys, err := systems.Get(name)
	if err != nil {
		return bootstrap, err
	}
	stream, err := coordinator.OpenStream(ctx, sys, config.JobName.Of(bootstrap), config.JobID.Of(bootstrap))
	if err != nil {
		return bootstrap, err
	}
	defer stream.Close()
	patience := time.NewTimer(configWait)
	defer patience.Stop()
	for {
		snap, err := stream.Read(ctx)
		switch {
		case err == nil && config.HeddleRunApplication.Of(snap.Config()) == application:
			return launch.WithSecrets(snap.Config(), env.Credentials)
		case err != nil && !errors.Is(err, system.ErrNoStream):
			return bootstrap, err
		}
		select {
		case <-time.After(configEvery):
		case <-patience.C:
			return bootstrap, fmt.Errorf("the coordinator stream %s holds no configuration for %s after %s: run-job ended before it wrote it; submit the job again", stream.Topic(), application, configWait)
		case <-ctx.Done():
			return bootstrap, ctx.Err()
		}
	}
}

// launcher makes the launch contexts of containers.
type launcher struct {
	url         string
	pkg         launch.Package
	secret      []byte
	config      config.Config
	credentials *security.Credentials
	user        string
	// storeBase is LOGGED_STORE_BASE_DIR; "" leaves it to the node.
	storeBase string
}

func (l launcher) context(a Launch) (yarn.LaunchContext, error) {
	creds := forContainers(l.credentials)
	creds.AddSecret(launch.SecretCredential, []byte(coordinator.DeriveCredential(l.secret, a.Processor)))
	if err := launch.AddConfig(creds, l.config); err != nil {
		return yarn.LaunchContext{}, err
	}
	env := map[string]string{
		launch.EnvContainerID:    yarn.EnvLiteral(a.Processor),
		launch.EnvCoordinatorURL: yarn.EnvLiteral(l.url),
		launch.EnvExecutionID:    yarn.EnvLiteral(a.In.ID),
	}
	if l.user != "" {
		env["HADOOP_USER_NAME"] = yarn.EnvLiteral(l.user)
	}
	if l.storeBase != "" {
		env[launch.EnvStoreBase] = yarn.EnvLiteral(l.storeBase)
	}
	return yarn.LaunchContext{
		Command:     Command("run-container"),
		Environment: env,
		Resources: map[string]yarn.LocalResource{
			launch.Dir: {URL: l.pkg.URL, Size: l.pkg.Size, Timestamp: l.pkg.Timestamp, Type: yarn.ResourceArchive, Visibility: yarn.VisibilityApplication},
		},
		Credentials: creds,
	}, nil
}

// forContainers gives what a container may have of the application master's
// credentials: neither its right to speak to the scheduler nor the job's secret.
func forContainers(c *security.Credentials) *security.Credentials {
	out := &security.Credentials{}
	for name, t := range c.Tokens() {
		out.AddToken(name, t)
	}
	out.RemoveKind(security.KindAMRM)
	for _, name := range c.Secrets() {
		if b, ok := c.Secret(name); ok && name != launch.SecretJob {
			out.AddSecret(name, b)
		}
	}
	return out
}

// Command is the launch command of a program in the package, as Samza's: the
// log folder under the name logs, and an exec, so that the process is found by
// the program's name and gets YARN's signals itself.
func Command(program string) string {
	return "export " + launch.EnvLogDir + "=" + yarn.LogDir + " && ln -sfn " + yarn.LogDir + " logs && exec ./" +
		launch.Dir + "/bin/" + program + " 1>logs/stdout 2>logs/stderr"
}
