package job

import (
	"fmt"
	"strings"

	"heddle/config"
	"heddle/internal/launch"
	"heddle/yarn"
)

// fits compares what the job asks for with the largest container there is.
func (j *Job) fits(maximum yarn.Resource) error {
	memory, err := config.ContainerMemoryMB(j.Config)
	if err != nil {
		return err
	}
	cores, err := config.ContainerCPUCores(j.Config)
	if err != nil {
		return err
	}
	for _, v := range []struct {
		key          string
		wants, limit int
		what         string
	}{
		{config.ContainerMemory.Found(j.Config), memory, int(maximum.MemoryMiB), "MiB of memory"},
		{config.ContainerCores.Found(j.Config), cores, int(maximum.VCores), "cores"},
		{config.YarnAMMemory.Name(), config.YarnAMMemory.Of(j.Config), int(maximum.MemoryMiB), "MiB of memory"},
		{config.YarnAMCores.Name(), config.YarnAMCores.Of(j.Config), int(maximum.VCores), "cores"},
	} {
		if v.wants > v.limit {
			return &config.Error{Key: v.key, Origin: j.Config.Origin(v.key),
				Problem: fmt.Sprintf("%d %s is more than the cluster gives one container, at most %d", v.wants, v.what, v.limit),
				Hint:    "ask for less"}
		}
	}
	return nil
}

// checkStoreBase refuses a base for local state that would lie in the work folder
// of each container, and go with it; "": none is set.
func checkStoreBase(dir string) error {
	if dir == "" || strings.HasPrefix(dir, "/") {
		return nil
	}
	return Usage("%s=%s: it would lie in the container's work folder, which YARN removes with the container; set it to a folder that is there on every node, a path from /", launch.EnvStoreBase, dir)
}
