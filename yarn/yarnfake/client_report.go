package yarnfake

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"heddle/yarn/internal/pb"
	"heddle/yarn/rpc/rpcfake"
)

func (c *Cluster) getApplicationReport(_ *rpcfake.Call, req *pb.GetApplicationReportRequestProto) (*pb.GetApplicationReportResponseProto, error) {
	a, err := c.findApp(applicationID(req.GetApplicationId()))
	if err != nil {
		return nil, err
	}
	return &pb.GetApplicationReportResponseProto{ApplicationReport: c.report(a)}, nil
}

func (c *Cluster) report(a *app) *pb.ApplicationReportProto {
	s := a.submission
	used, count := c.usage(a)
	r := &pb.ApplicationReportProto{
		ApplicationId: applicationIDProto(a.id), User: &a.user, Queue: proto.String("root.default"), Name: proto.String(s.GetApplicationName()),
		ApplicationType: proto.String(s.GetApplicationType()), ApplicationTags: lower(s.GetApplicationTags()),
		YarnApplicationState: &a.state, FinalApplicationStatus: &a.final, Diagnostics: &a.diagnostics,
		StartTime: millis(a.submitted), SubmitTime: millis(a.submitted), LaunchTime: millis(a.launched), FinishTime: millis(a.finished),
		Host: proto.String("N/A"), RpcPort: proto.Int32(-1), TrackingUrl: proto.String("N/A"), OriginalTrackingUrl: proto.String("N/A"),
		AppResource_Usage: &pb.ApplicationResourceUsageReportProto{
			NumUsedContainers: &count, UsedResources: resourceProto(used),
		},
		UnmanagedApplication: proto.Bool(s.GetUnmanagedAm()),
	}
	if a.over() {
		r.AppResource_Usage.NumUsedContainers = proto.Int32(-1)
		r.Progress = proto.Float32(1)
	}
	t := a.attempt()
	if t == nil {
		return r
	}
	r.CurrentApplicationAttemptId = attemptIDProto(t.id)
	if t.registered || t.unregistered {
		r.Host, r.RpcPort, r.Progress = proto.String(t.host), proto.Int32(t.port), proto.Float32(t.progress)
		r.OriginalTrackingUrl = proto.String(t.trackingURL)
	}
	r.TrackingUrl = proto.String(c.proxyURL(a))
	if s.GetUnmanagedAm() && t.live() {
		r.AmRmToken = c.masterToken(t)
	}
	return r
}

func (c *Cluster) proxyURL(a *app) string { return fmt.Sprintf("http://%s/proxy/%s/", c.webHost, a.id) }

func lower(tags []string) []string {
	out := make([]string, len(tags))
	for i, t := range tags {
		out[i] = strings.ToLower(t)
	}
	return out
}

func (c *Cluster) getApplications(_ *rpcfake.Call, req *pb.GetApplicationsRequestProto) (*pb.GetApplicationsResponseProto, error) {
	resp := &pb.GetApplicationsResponseProto{}
	for _, a := range c.sortedApps() {
		r := c.report(a)
		matches := func(wanted []string, have ...string) bool {
			return len(wanted) == 0 || slices.ContainsFunc(wanted, func(w string) bool {
				return slices.ContainsFunc(have, func(h string) bool { return strings.EqualFold(w, h) })
			})
		}
		if !matches(req.GetApplicationTypes(), r.GetApplicationType()) || !matches(req.GetUsers(), r.GetUser()) ||
			!matches(req.GetQueues(), "default", "root.default") || !matches(req.GetApplicationTags(), r.GetApplicationTags()...) ||
			req.Name != nil && req.GetName() != r.GetName() ||
			req.StartBegin != nil && r.GetStartTime() < req.GetStartBegin() ||
			len(req.GetApplicationStates()) > 0 && !slices.Contains(req.GetApplicationStates(), a.state) {
			continue
		}
		if req.GetLimit() > 0 && int64(len(resp.Applications)) >= req.GetLimit() {
			break
		}
		resp.Applications = append(resp.Applications, r)
	}
	return resp, nil
}

func (c *Cluster) attemptReport(t *attempt) *pb.ApplicationAttemptReportProto {
	r := &pb.ApplicationAttemptReportProto{
		ApplicationAttemptId: attemptIDProto(t.id), Host: &t.host, RpcPort: &t.port, OriginalTrackingUrl: &t.trackingURL,
		TrackingUrl: proto.String(c.proxyURL(t.app)), Diagnostics: &t.diagnostics, YarnApplicationAttemptState: &t.state,
		StartTime: millis(t.started), FinishTime: millis(t.finished),
	}
	if t.master != nil {
		r.AmContainerId = containerIDProto(t.master.id)
	}
	return r
}

func (c *Cluster) getApplicationAttemptReport(_ *rpcfake.Call, req *pb.GetApplicationAttemptReportRequestProto) (*pb.GetApplicationAttemptReportResponseProto, error) {
	id := attemptID(req.GetApplicationAttemptId())
	if _, err := c.findApp(id.Application); err != nil {
		return nil, err
	}
	t := c.findAttempt(id)
	if t == nil {
		return nil, yarnError("ApplicationAttemptNotFoundException", "ApplicationAttempt with id '%s' doesn't exist in RM.", id)
	}
	return &pb.GetApplicationAttemptReportResponseProto{ApplicationAttemptReport: c.attemptReport(t)}, nil
}

func (c *Cluster) getApplicationAttempts(_ *rpcfake.Call, req *pb.GetApplicationAttemptsRequestProto) (*pb.GetApplicationAttemptsResponseProto, error) {
	a, err := c.findApp(applicationID(req.GetApplicationId()))
	if err != nil {
		return nil, err
	}
	resp := &pb.GetApplicationAttemptsResponseProto{}
	for _, t := range a.attempts {
		resp.ApplicationAttempts = append(resp.ApplicationAttempts, c.attemptReport(t))
	}
	return resp, nil
}

func (c *Cluster) containerReport(k *container) *pb.ContainerReportProto {
	return &pb.ContainerReportProto{
		ContainerId: containerIDProto(k.id), Resource: k.resource, NodeId: nodeIDProto(k.node.id), Priority: &pb.PriorityProto{Priority: proto.Int32(k.priority)},
		CreationTime: millis(k.created), FinishTime: millis(k.finished), DiagnosticsInfo: proto.String(k.diagnostics),
		ContainerExitStatus: proto.Int32(int32(k.exit)), ContainerState: k.status().State, NodeHttpAddress: proto.String("http://" + k.node.http),
		LogUrl: proto.String(fmt.Sprintf("http://%s/node/containerlogs/%s/%s", k.node.http, k.id, k.app.user)),
	}
}

// getContainers knows, as a ResourceManager without history, the live ones only.
func (c *Cluster) getContainers(_ *rpcfake.Call, req *pb.GetContainersRequestProto) (*pb.GetContainersResponseProto, error) {
	id := attemptID(req.GetApplicationAttemptId())
	a, err := c.findApp(id.Application)
	if err != nil {
		return nil, err
	}
	if c.findAttempt(id) == nil {
		return nil, yarnError("ApplicationAttemptNotFoundException", "ApplicationAttempt with id '%s' doesn't exist in RM.", id)
	}
	resp := &pb.GetContainersResponseProto{}
	for _, k := range a.sortedContainers() {
		if k.id.Attempt == id && k.state != complete {
			resp.Containers = append(resp.Containers, c.containerReport(k))
		}
	}
	return resp, nil
}

func (c *Cluster) getContainerReport(_ *rpcfake.Call, req *pb.GetContainerReportRequestProto) (*pb.GetContainerReportResponseProto, error) {
	id := containerID(req.GetContainerId())
	k := c.findContainer(id)
	if k == nil || k.state == complete {
		return nil, yarnError("ContainerNotFoundException", "Container with id '%s' doesn't exist in RM.", id)
	}
	return &pb.GetContainerReportResponseProto{ContainerReport: c.containerReport(k)}, nil
}
