package container

import (
	"context"
	"fmt"
	"slices"
	"time"

	"heddle/config"
	"heddle/storage"
	"heddle/storage/snapshot"
	"heddle/system/files"
)

// snapshotIdle bounds the wait for an answer of the file system of snapshots:
// less than elsewhere, for a restore can do without it.
const snapshotIdle = 20 * time.Second

// openSnapshots makes the keeper of snapshots, if there are to be any.
func (c *Container) openSnapshots() error {
	uri := config.HeddleSnapshotURI.Of(c.opts.Config)
	kept := func(s storage.Spec) bool { return s.OnDisk() && s.Logged() }
	if c.snapshots = c.opts.Snapshots; c.snapshots != nil || uri == "" || !slices.ContainsFunc(c.opts.Stores, kept) {
		return nil
	}
	system, root, err := files.Split(uri)
	if err != nil {
		return fmt.Errorf("%s: %w", config.HeddleSnapshotURI.Name(), err)
	}
	c.keeper = snapshot.New(snapshot.Options{
		Open: func(ctx context.Context) (files.FileSystem, error) {
			o, err := files.FromEnvironment(c.lookupEnv)
			if err != nil {
				return nil, err
			}
			o.Idle = snapshotIdle
			return files.Open(ctx, system, o)
		},
		Root: root, Scratch: c.disk.logged.Copies(),
		Interval: config.HeddleSnapshotInterval.Of(c.opts.Config), Retain: config.HeddleSnapshotRetain.Of(c.opts.Config),
		BytesPerSecond: int64(config.HeddleSnapshotBytesPerSecond.Of(c.opts.Config)),
		Metrics:        c.opts.Metrics(""), Logger: c.log, Now: c.now,
	})
	c.snapshots = c.keeper
	c.log.Info("snapshots of the stores", "folder", uri)
	return nil
}

// closeSnapshots ends the keeper. What is not complete is of no use to anybody
// and costs nothing but time.
func (c *Container) closeSnapshots() {
	if c.keeper == nil {
		return
	}
	if err := c.keeper.Close(); err != nil {
		c.log.Warn("while ending the snapshots", "error", err)
	}
}

func (c *Container) lookupEnv(name string) (string, bool) {
	v := c.opts.Getenv(name)
	return v, v != ""
}
