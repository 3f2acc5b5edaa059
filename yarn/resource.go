package yarn

import (
	"fmt"

	"heddle/yarn/internal/pb"
)

// Resource is an amount of memory and processor. Resource types beyond these two
// (yarn.io/gpu, ...) are neither asked for nor reported.
type Resource struct {
	// MemoryMiB is memory in MiB ("memory-mb").
	MemoryMiB int64
	// VCores is the number of virtual cores ("vcores").
	VCores int32
}

// String gives for example "1024 MiB, 1 vcores".
func (r Resource) String() string { return fmt.Sprintf("%d MiB, %d vcores", r.MemoryMiB, r.VCores) }

// FitsIn tells whether r is no larger than limit in any part.
func (r Resource) FitsIn(limit Resource) bool {
	return r.MemoryMiB <= limit.MemoryMiB && r.VCores <= limit.VCores
}

// Add gives the sum of both.
func (r Resource) Add(o Resource) Resource {
	return Resource{MemoryMiB: r.MemoryMiB + o.MemoryMiB, VCores: r.VCores + o.VCores}
}

// Sub gives the difference of both; parts may become negative.
func (r Resource) Sub(o Resource) Resource {
	return Resource{MemoryMiB: r.MemoryMiB - o.MemoryMiB, VCores: r.VCores - o.VCores}
}

func resourceFromProto(p *pb.ResourceProto) Resource {
	return Resource{MemoryMiB: p.GetMemory(), VCores: p.GetVirtualCores()}
}

// proto leaves resource_value_map out: receivers overwrite its memory-mb and
// vcores with the two fields anyway.
func (r Resource) proto() *pb.ResourceProto {
	return &pb.ResourceProto{Memory: &r.MemoryMiB, VirtualCores: &r.VCores}
}
