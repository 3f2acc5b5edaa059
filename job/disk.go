package job

import (
	"cmp"
	"os"
	"path/filepath"

	"heddle/config"
	"heddle/storage"
	"heddle/storage/local"
)

// checkDisk looks whether the stores can lie where they are to lie. On YARN nobody
// knows the disks of the nodes before a container is there.
func (j *Job) checkDisk() error {
	if !j.onThisMachine() {
		return nil
	}
	specs, err := storage.Specs(j.Config)
	if err != nil {
		return err
	}
	home := filepath.Join(j.home(), "state")
	for _, s := range specs {
		if !s.OnDisk() {
			continue
		}
		key, base := config.JobNonLoggedStoreBaseDir.Name(), cmp.Or(config.JobNonLoggedStoreBaseDir.Of(j.Config), home)
		if s.Logged() || s.FromSide() {
			key = config.JobStoreBaseDir.Name()
			if os.Getenv(local.EnvBase) != "" {
				key = local.EnvBase
			}
			if base, err = local.Base(os.Getenv, config.JobStoreBaseDir.Of(j.Config), home); err != nil {
				return err
			}
		}
		of := local.Job{Base: base, Name: config.JobName.Of(j.Config), ID: config.JobID.Of(j.Config)}
		if err := of.Check(); err != nil {
			return &config.Error{Key: key, Origin: j.Config.Origin(key),
				Problem: "the state of the store \"" + s.Name + "\" cannot lie in " + base + ": " + err.Error(),
				Hint:    "name a folder that the job can write to, or make room for one there"}
		}
	}
	return nil
}
