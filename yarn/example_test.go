package yarn_test

import (
	"context"
	"fmt"
	"log"

	"heddle/yarn"
	"heddle/yarn/hadoopconf"
	"heddle/yarn/rpc"
	"heddle/yarn/security"
)

// A submission: the package is on HDFS, the secret in the credentials.
func ExampleClient_Submit() {
	ctx := context.Background()
	conf, err := hadoopconf.Load("/etc/hadoop/conf")
	if err != nil {
		log.Fatal(err)
	}
	options, err := yarn.ClientOptionsFrom(conf, rpc.Options{User: "alice"})
	if err != nil {
		log.Fatal(err)
	}
	client, err := yarn.NewClient(options)
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	id, maximum, err := client.NewApplication(ctx)
	if err != nil {
		log.Fatal(err)
	}
	size := yarn.Resource{MemoryMiB: 256, VCores: 1}
	if !size.FitsIn(maximum) {
		log.Fatalf("the cluster gives containers of at most %v", maximum)
	}
	creds := &security.Credentials{}
	creds.AddSecret("job.secret", []byte("..."))
	report, err := client.Submit(ctx, yarn.Submission{
		ID: id, Name: "clicks_1", Type: "Heddle", Resource: size, KeepContainers: true,
		Master: yarn.LaunchContext{
			Command:     yarn.ExecCommand("__package/bin/run-am"),
			Environment: map[string]string{"HADOOP_USER_NAME": yarn.EnvLiteral("alice")},
			Resources: map[string]yarn.LocalResource{"__package": {
				URL: "hdfs://namenode:8020/user/alice/clicks.tar.gz", Size: 12345678, Timestamp: 1700000000000, Type: yarn.ResourceArchive,
			}},
			Credentials: creds,
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.ID, report.State, report.TrackingURL)
}

// A master that runs one process and ends with it.
func ExampleMaster() {
	ctx := context.Background()
	conf, err := hadoopconf.Load("/etc/hadoop/conf")
	if err != nil {
		log.Fatal(err)
	}
	creds, err := security.ReadCredentialsFile("container_tokens")
	if err != nil {
		log.Fatal(err)
	}
	options, err := yarn.MasterOptionsFrom(conf, creds, rpc.Options{})
	if err != nil {
		log.Fatal(err)
	}
	master, err := yarn.NewMaster(options)
	if err != nil {
		log.Fatal(err)
	}
	defer master.Close()
	nodes, err := yarn.NewNodes(yarn.NodesOptions{Tokens: master.NodeToken})
	if err != nil {
		log.Fatal(err)
	}
	defer nodes.Close()
	if _, err := master.Register(ctx, yarn.Registration{Host: "localhost"}); err != nil {
		log.Fatal(err)
	}
	if err := master.Request(yarn.Request{ID: 1, Resource: yarn.Resource{MemoryMiB: 256, VCores: 1}}); err != nil {
		log.Fatal(err)
	}
	for {
		a, err := master.Allocate(ctx, 0)
		if err != nil {
			log.Fatal(err)
		}
		for _, c := range a.Containers {
			if err := nodes.Start(ctx, c, yarn.LaunchContext{Command: yarn.ExecCommand("date")}); err != nil {
				log.Fatal(err)
			}
		}
		for _, s := range a.Completed {
			status := yarn.FinalSucceeded
			if s.Exit != yarn.ExitSuccess {
				status = yarn.FinalFailed
			}
			if err := master.Finish(ctx, status, s.Diagnostics, ""); err != nil {
				log.Fatal(err)
			}
			return
		}
		// A real one waits here for a second.
	}
}
