package storage

import "encoding/binary"

// accessOp is what an access did, by Samza's numbers.
type accessOp int32

const (
	accessRead     accessOp = 1
	accessWrite    accessOp = 2
	accessDelete   accessOp = 3
	accessRange    accessOp = 4
	accessSnapshot accessOp = 5
)

// An access log's records are of Samza's form: the key is the time as Java's
// Long, the value an AccessLogMessage as Java serializes objects. These are the
// parts of that stream which are the same in each (Java Object Serialization
// Specification, chapter 6): the classes with their fields and serial version
// ids, as Samza 1.8.0 is compiled.
const (
	accessHead = "\xac\xed\x00\x05" + // magic, version
		"sr\x00\x2corg.apache.samza.storage.kv.AccessLogMessage" + "\x5d\x28\x95\xf9\x99\xc9\xf5\x17" + "\x02\x00\x04" +
		"I\x00\x0bDBOperation" + "J\x00\x08duration" + "J\x00\x09timestamp" + "L\x00\x04keyst\x00\x15Ljava/util/ArrayList;" + "xp"
	accessKeys = "sr\x00\x13java.util.ArrayList" + "\x78\x81\xd2\x1d\x99\xc7\x61\x9d" + "\x03\x00\x01" + "I\x00\x04sizexp"
	// firstBytes begins the first byte array, with its class; others refer to
	// that.
	firstBytes = "ur\x00\x02[B" + "\xac\xf3\x17\xf8\x06\x08\x54\xe0" + "\x02\x00\x00xp"
	otherBytes = "uq\x00\x7e\x00\x05"
	blockData  = "w\x04"
	javaNull   = 'p'
	blockEnd   = 'x'
)

// access is one entry of an access log.
type access struct {
	op accessOp
	// took is in ns, at in ms since the Unix epoch.
	took, at int64
	keys     [][]byte // nil: null, an open bound
}

// appendAccess appends the entry as Java serializes it.
func appendAccess(dst []byte, a access) []byte {
	dst = append(dst, accessHead...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(a.op))
	dst = binary.BigEndian.AppendUint64(dst, uint64(a.took))
	dst = binary.BigEndian.AppendUint64(dst, uint64(a.at))
	dst = append(dst, accessKeys...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(a.keys)))
	dst = append(dst, blockData...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(a.keys))) // the capacity
	begin := firstBytes
	for _, k := range a.keys {
		if k == nil {
			dst = append(dst, javaNull)
			continue
		}
		dst = append(dst, begin...)
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(k)))
		dst = append(dst, k...)
		begin = otherBytes
	}
	return append(dst, blockEnd)
}
