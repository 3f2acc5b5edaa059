package yarnfake

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // what Hadoop uses
	"fmt"

	"google.golang.org/protobuf/proto"

	"heddle/yarn"
	"heddle/yarn/internal/pb"
	"heddle/yarn/internal/securitypb"
	"heddle/yarn/rpc"
	"heddle/yarn/security"
)

// keyRing has the keys that sign tokens.
type keyRing struct {
	masters map[int32][]byte // AMRM tokens, by key id
	current int32            // the key that signs
	oldest  int32            // the oldest that is accepted
	node    []byte           // NM and container tokens
}

func newKeyRing() keyRing {
	return keyRing{masters: map[int32][]byte{1: newKey()}, current: 1, oldest: 1, node: newKey()}
}

func newKey() []byte { return []byte(rand.Text()) }

func sign(key, identifier []byte) []byte {
	h := hmac.New(sha1.New, key)
	h.Write(identifier)
	return h.Sum(nil)
}

func tokenProto(kind, service string, identifier proto.Message, key []byte) *securitypb.TokenProto {
	b, err := proto.Marshal(identifier)
	if err != nil {
		panic(err) // all fields are ours
	}
	return &securitypb.TokenProto{Identifier: b, Password: sign(key, b), Kind: &kind, Service: &service}
}

// masterToken is the AMRM token of an attempt, whose service is empty as the real one's.
func (c *Cluster) masterToken(t *attempt) *securitypb.TokenProto {
	return tokenProto(security.KindAMRM, "", &pb.AMRMTokenIdentifierProto{
		AppAttemptId: attemptIDProto(t.id), KeyId: &c.keys.current,
	}, c.keys.masters[c.keys.current])
}

func (c *Cluster) nodeToken(t *attempt, n *node) *securitypb.TokenProto {
	return tokenProto(security.KindNM, n.id.String(), &pb.NMTokenIdentifierProto{
		AppAttemptId: attemptIDProto(t.id), NodeId: nodeIDProto(n.id), AppSubmitter: &t.app.user, KeyId: proto.Int32(1),
	}, c.keys.node)
}

func (c *Cluster) containerToken(k *container) *securitypb.TokenProto {
	return tokenProto(security.KindContainer, k.node.id.String(), &pb.ContainerTokenIdentifierProto{
		ContainerId: containerIDProto(k.id), NmHostAddr: proto.String(k.node.id.String()), AppSubmitter: &k.app.user, Resource: k.resource,
		ExpiryTimeStamp: proto.Int64(k.created.Add(containerExpiry).UnixMilli()), MasterKeyId: proto.Int32(1),
		RmIdentifier: proto.Int64(c.rmIdentifier()), Priority: &pb.PriorityProto{Priority: &k.priority}, CreationTime: millis(k.created),
	}, c.keys.node)
}

// rmIdentifier changes with each start of the ResourceManager.
func (c *Cluster) rmIdentifier() int64 { return c.started.UnixMilli() + c.epoch }

func invalidToken(format string, args ...any) error {
	return &rpc.RemoteError{
		Class: "org.apache.hadoop.security.token.SecretManager$InvalidToken", Message: fmt.Sprintf(format, args...),
		Code: rpc.FatalUnauthorized, Fatal: true,
	}
}

// masterPassword checks the token of a master that connects.
func (c *Cluster) masterPassword(identifier []byte) ([]byte, error) {
	var id pb.AMRMTokenIdentifierProto
	if err := proto.Unmarshal(identifier, &id); err != nil {
		return nil, invalidToken("cannot read the identifier: %v", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.findAttempt(attemptID(id.GetAppAttemptId()))
	if t == nil || !t.live() {
		return nil, invalidToken("%s not found in AMRMTokenSecretManager.", attemptID(id.GetAppAttemptId()))
	}
	key := c.keys.masters[id.GetKeyId()]
	if key == nil || id.GetKeyId() < c.keys.oldest {
		return nil, invalidToken("Invalid AMRMToken from %s", t.id)
	}
	return sign(key, identifier), nil
}

// nodePassword checks the token of a master that connects to a node.
func (c *Cluster) nodePassword(n *node) func(identifier []byte) ([]byte, error) {
	return func(identifier []byte) ([]byte, error) {
		var id pb.NMTokenIdentifierProto
		if err := proto.Unmarshal(identifier, &id); err != nil {
			return nil, invalidToken("cannot read the identifier: %v", err)
		}
		if id.GetNodeId().GetHost() != n.id.Host || id.GetNodeId().GetPort() != n.id.Port {
			return nil, invalidToken("Given NMToken for application : %s is not valid for current node manager.expected : %s found : %v",
				attemptID(id.GetAppAttemptId()), n.id, id.GetNodeId())
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		return sign(c.keys.node, identifier), nil
	}
}

// callerAttempt is whose token a call on the scheduler came with.
func (c *Cluster) callerAttempt(identifier []byte) (*attempt, int32, error) {
	var id pb.AMRMTokenIdentifierProto
	if err := proto.Unmarshal(identifier, &id); err != nil {
		return nil, 0, invalidToken("cannot read the identifier: %v", err)
	}
	t := c.findAttempt(attemptID(id.GetAppAttemptId()))
	if t == nil || !t.live() {
		return nil, 0, yarnError("ApplicationAttemptNotFoundException",
			"Application attempt %s doesn't exist in ApplicationMasterService cache.", attemptID(id.GetAppAttemptId()))
	}
	return t, id.GetKeyId(), nil
}

func (c *Cluster) findAttempt(id yarn.AttemptID) *attempt {
	a := c.apps[id.Application]
	if a == nil || id.Attempt < 1 || int(id.Attempt) > len(a.attempts) {
		return nil
	}
	return a.attempts[id.Attempt-1]
}

// yarnError is an exception of YARN's.
func yarnError(class, format string, args ...any) error {
	return &rpc.RemoteError{
		Class: "org.apache.hadoop.yarn.exceptions." + class, Message: fmt.Sprintf(format, args...), Code: rpc.ErrorApplication,
	}
}
