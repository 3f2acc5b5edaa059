package yarn

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"heddle/yarn/internal/pb"
	"heddle/yarn/security"
)

// LaunchContext describes the process of a container (Hadoop: ContainerLaunchContext).
//
// Nothing secret belongs into Environment or Command: YARN copies both into the
// log folder. Credentials is the place.
type LaunchContext struct {
	// Command is the shell command; write it with Command or ExecCommand. YARN runs
	// it as: exec /bin/bash -c "Command", with no redirection of its own.
	Command string
	// Environment is text that YARN puts into export K="V" without any quoting; use
	// EnvLiteral for values that are meant as they stand.
	Environment map[string]string
	// Resources are brought into the working directory under their keys.
	Resources map[string]LocalResource
	// Credentials become the file that HADOOP_TOKEN_FILE_LOCATION names. On a secure
	// cluster they need tokens for the file systems of the resources and of the logs,
	// and must not hold the master's own (security.KindAMRM). nil: none.
	Credentials *security.Credentials
	// ServiceData is passed to the NodeManager's auxiliary services, by their names.
	ServiceData map[string][]byte
	// ViewACL and ModifyACL say who may see and change the application, as
	// "user1,user2 group1,group2"; "" is its owner and the administrators only.
	ViewACL, ModifyACL string
}

// Check tells what is wrong with the context before YARN does.
func (l LaunchContext) Check() error {
	_, err := l.proto()
	return err
}

func (l LaunchContext) proto() (*pb.ContainerLaunchContextProto, error) {
	p := &pb.ContainerLaunchContextProto{}
	if l.Command != "" {
		p.Command = []string{l.Command}
	}
	// Sorted, so that the same context always gives the same bytes.
	for _, k := range slices.Sorted(maps.Keys(l.Environment)) {
		if k == "" || strings.ContainsAny(k, "=\x00 \n") {
			return nil, fmt.Errorf("launch context: %q is no name of an environment variable", k)
		}
		if strings.ContainsRune(l.Environment[k], 0) {
			return nil, fmt.Errorf("launch context: the value of the environment variable %s holds a zero byte", k)
		}
		p.Environment = append(p.Environment, &pb.StringStringMapProto{Key: proto.String(k), Value: proto.String(l.Environment[k])})
	}
	for _, k := range slices.Sorted(maps.Keys(l.Resources)) {
		if k == "" || path.IsAbs(k) || k == ".." || strings.HasPrefix(path.Clean(k), "../") {
			return nil, fmt.Errorf("launch context: the link %q would leave the working directory", k)
		}
		r, err := l.Resources[k].proto()
		if err != nil {
			return nil, fmt.Errorf("launch context: %w", err)
		}
		p.LocalResources = append(p.LocalResources, &pb.StringLocalResourceMapProto{Key: proto.String(k), Value: r})
	}
	if l.Credentials != nil {
		p.Tokens = l.Credentials.Encode()
	}
	for _, k := range slices.Sorted(maps.Keys(l.ServiceData)) {
		p.ServiceData = append(p.ServiceData, &pb.StringBytesMapProto{Key: proto.String(k), Value: l.ServiceData[k]})
	}
	if l.ViewACL != "" {
		p.Application_ACLs = append(p.Application_ACLs, &pb.ApplicationACLMapProto{
			AccessType: pb.ApplicationAccessTypeProto_APPACCESS_VIEW_APP.Enum(), Acl: proto.String(l.ViewACL)})
	}
	if l.ModifyACL != "" {
		p.Application_ACLs = append(p.Application_ACLs, &pb.ApplicationACLMapProto{
			AccessType: pb.ApplicationAccessTypeProto_APPACCESS_MODIFY_APP.Enum(), Acl: proto.String(l.ModifyACL)})
	}
	return p, nil
}

// proto turns the submission into Hadoop's ApplicationSubmissionContext.
func (s Submission) proto() (*pb.ApplicationSubmissionContextProto, error) {
	if s.ID.IsZero() {
		return nil, fmt.Errorf("submission: no application id: take one from NewApplication")
	}
	if !s.Unmanaged && s.Master.Command == "" {
		return nil, fmt.Errorf("submission of %s: no command for the application master", s.ID)
	}
	if s.Resource.MemoryMiB <= 0 || s.Resource.VCores <= 0 {
		return nil, fmt.Errorf("submission of %s: the application master's size is %v: both have to be above 0", s.ID, s.Resource)
	}
	master, err := s.Master.proto()
	if err != nil {
		return nil, fmt.Errorf("submission of %s: %w", s.ID, err)
	}
	p := &pb.ApplicationSubmissionContextProto{
		ApplicationId:                           s.ID.proto(),
		Priority:                                &pb.PriorityProto{Priority: &s.Priority},
		AmContainerSpec:                         master,
		CancelTokensWhenComplete:                proto.Bool(!s.KeepTokens),
		UnmanagedAm:                             &s.Unmanaged,
		MaxAppAttempts:                          &s.MaxAttempts,
		Resource:                                s.Resource.proto(),
		KeepContainersAcrossApplicationAttempts: &s.KeepContainers,
		ApplicationTags:                         s.Tags,
	}
	if s.Name != "" {
		p.ApplicationName = &s.Name
	}
	if s.Type != "" {
		p.ApplicationType = &s.Type
	}
	if s.Queue != "" {
		p.Queue = &s.Queue
	}
	if s.NodeLabel != "" {
		p.NodeLabelExpression = &s.NodeLabel
	}
	if label := s.MasterNodeLabel; label != "" {
		// With this list the server ignores Resource and NodeLabelExpression for the master.
		p.AmContainerResourceRequest = []*pb.ResourceRequestProto{{
			Priority:            &pb.PriorityProto{Priority: proto.Int32(0)},
			ResourceName:        proto.String(anyLocation),
			Capability:          s.Resource.proto(),
			NumContainers:       proto.Int32(1),
			RelaxLocality:       proto.Bool(true),
			NodeLabelExpression: &label,
		}}
	}
	if s.AttemptFailureWindow > 0 {
		p.AttemptFailuresValidityInterval = proto.Int64(s.AttemptFailureWindow.Milliseconds())
	}
	if s.RolledLogs != "" {
		p.LogAggregationContext = &pb.LogAggregationContextProto{RolledLogsIncludePattern: &s.RolledLogs, RolledLogsExcludePattern: proto.String("")}
	}
	if s.Lifetime > 0 {
		p.ApplicationTimeouts = []*pb.ApplicationTimeoutMapProto{{
			ApplicationTimeoutType: pb.ApplicationTimeoutTypeProto_APP_TIMEOUT_LIFETIME.Enum(),
			Timeout:                proto.Int64(max(1, int64(s.Lifetime.Seconds()))),
		}}
	}
	return p, nil
}
