package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"heddle/config"
	"heddle/job"
)

func newValidate() *cobra.Command {
	var f flags
	var asJSON bool
	c := &cobra.Command{
		Use:   "validate",
		Short: "Check a job and show its resolved plan, without changing anything",
		Long:  "Check everything that can be known before a start, and show the resolved plan: what\nwould be made, and each key with where its value came from.",
		Example: `  bin/run-job.sh validate --config-path=job.properties
  bin/run-job.sh validate --config-path=job.properties --json`,
		Args: exactly(0, "no argument"),
		RunE: func(c *cobra.Command, _ []string) error {
			j, _, err := f.load(c, true)
			if err != nil {
				return err
			}
			v, err := j.Validate(c.Context(), building())
			if err != nil {
				return err
			}
			return printed(os.Stdout, asJSON, v, v.Print)
		},
	}
	f.add(c)
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object")
	return c
}

func newPackage() *cobra.Command {
	var f flags
	var out, upload string
	c := &cobra.Command{
		Use:   "package",
		Short: "Make the package of a job: static Linux binaries and the configuration in a tar.gz",
		Example: `  bin/run-job.sh package --config-path=job.properties --output=job.tar.gz
  bin/run-job.sh package --config-path=job.properties --upload=hdfs://namenode:8020/packages/job.tar.gz`,
		Args: exactly(0, "no argument"),
		RunE: func(c *cobra.Command, _ []string) error {
			j, _, err := f.load(c, false)
			if err != nil {
				return err
			}
			if upload != "" {
				return onCluster(&f, func(cl *job.Cluster) error {
					return j.UploadPackage(c.Context(), cl, upload, building())
				})
			}
			file, err := j.Package(c.Context(), out, building())
			if err != nil {
				return err
			}
			info, err := os.Stat(file)
			if err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "%s of %s\n", job.Bytes(info.Size()), "bin/run-am, bin/run-container, config/job.properties")
			_, err = fmt.Println(file)
			return err
		},
	}
	f.add(c)
	c.Flags().StringVarP(&out, "output", "o", "", "the file to write (default below heddle.home)")
	c.Flags().StringVar(&upload, "upload", "", "put it on the cluster's file system, at this URI")
	return c
}

func newReference() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "config-reference",
		Short: "Print every configuration key with its type, default and meaning",
		Example: `  bin/run-job.sh config-reference
  bin/run-job.sh config-reference --json`,
		Args: exactly(0, "no argument"),
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return config.ReferenceJSON(os.Stdout)
			}
			return config.Reference(os.Stdout)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "JSON instead of Markdown")
	return c
}
