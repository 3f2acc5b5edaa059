package pb

import (
	"encoding/hex"
	"testing"

	"google.golang.org/protobuf/proto"
)

// The answer that a ResourceManager 3.4.1 gave to getNewApplication.
func TestGetNewApplicationResponseOfARealResourceManager(t *testing.T) {
	b, err := hex.DecodeString("0a09080110a4fab8c7a034" +
		"122b0880401004" + "1a140a096d656d6f72792d6d621080401a024d692000" + "1a0e0a0676636f72657310041a002000")
	if err != nil {
		t.Fatal(err)
	}
	var r GetNewApplicationResponseProto
	if err := proto.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	if r.GetApplicationId().GetId() != 1 || r.GetApplicationId().GetClusterTimestamp() != 1795446160676 {
		t.Errorf("application id %v", r.GetApplicationId())
	}
	c := r.GetMaximumCapability()
	if c.GetMemory() != 8192 || c.GetVirtualCores() != 4 {
		t.Errorf("maximum capability %v", c)
	}
	m := c.GetResourceValueMap()
	if len(m) != 2 || m[0].GetKey() != "memory-mb" || m[0].GetUnits() != "Mi" || m[0].GetValue() != 8192 || m[1].GetKey() != "vcores" {
		t.Errorf("resource value map %v", m)
	}
	if len(r.ProtoReflect().GetUnknown()) != 0 {
		t.Errorf("unknown fields %x", r.ProtoReflect().GetUnknown())
	}
}

// The identifier of the AMRM token of a real run (reference: the golden SASL exchange).
func TestAMRMTokenIdentifier(t *testing.T) {
	b, _ := hex.DecodeString("0a0d0a09080210a4fab8c7a034100110dbf6f8b6fdffffffff01")
	var id AMRMTokenIdentifierProto
	if err := proto.Unmarshal(b, &id); err != nil {
		t.Fatal(err)
	}
	if id.GetAppAttemptId().GetAttemptId() != 1 || id.GetAppAttemptId().GetApplicationId().GetId() != 2 || id.GetKeyId() >= 0 {
		t.Errorf("identifier %v", &id)
	}
}
