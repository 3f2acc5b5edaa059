package container

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"heddle/config"
	"heddle/system"
)

// preloadedOffsets reads heddle.run.preloaded.* of the inputs: the offsets of
// the first records that run-job appended at this start.
func preloadedOffsets(c config.Config) (map[system.Partition]int64, error) {
	inputs, err := config.Inputs(c)
	if err != nil {
		return nil, err
	}
	broadcast, err := config.BroadcastStreams(c)
	if err != nil {
		return nil, err
	}
	out := map[system.Partition]int64{}
	for _, in := range slices.Concat(inputs, broadcast) {
		text := config.HeddleRunPreloaded.Of(c, in.System, in.Stream)
		if text == "" {
			continue
		}
		for entry := range strings.SplitSeq(text, ",") {
			p, o, ok := strings.Cut(strings.TrimSpace(entry), ":")
			partition, err1 := strconv.ParseInt(p, 10, 32)
			offset, err2 := strconv.ParseInt(o, 10, 64)
			if !ok || err1 != nil || err2 != nil || partition < 0 || offset < 0 {
				key := config.HeddleRunPreloaded.Name(in.System, in.Stream)
				return nil, &config.Error{Key: key, Origin: c.Origin(key), Problem: fmt.Sprintf("%q: expected partition:offset,...", text)}
			}
			out[system.Partition{System: in.System, Stream: in.Stream, Partition: int32(partition)}] = offset
		}
	}
	return out, nil
}
