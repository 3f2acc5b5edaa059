package yarn

import (
	"fmt"
	"strings"
	"time"

	"heddle/yarn/internal/pb"
	"heddle/yarn/security"
)

// ApplicationState is how far an application is (Hadoop: YarnApplicationState).
type ApplicationState string

// The states of an application, in their usual order.
const (
	StateNew       ApplicationState = "NEW"
	StateNewSaving ApplicationState = "NEW_SAVING"
	StateSubmitted ApplicationState = "SUBMITTED"
	StateAccepted  ApplicationState = "ACCEPTED" // waits for room for its master
	StateRunning   ApplicationState = "RUNNING"  // its master has registered
	StateFinished  ApplicationState = "FINISHED" // its master said how it ended: see FinalStatus
	StateFailed    ApplicationState = "FAILED"
	StateKilled    ApplicationState = "KILLED"
)

// LiveStates are the states of applications that have not ended.
var LiveStates = []ApplicationState{StateNew, StateNewSaving, StateSubmitted, StateAccepted, StateRunning}

// Done tells whether the application has ended.
func (s ApplicationState) Done() bool {
	return s == StateFinished || s == StateFailed || s == StateKilled
}

// FinalStatus is how the master says that its application ended (Hadoop: FinalApplicationStatus).
type FinalStatus string

// The final statuses.
const (
	FinalUndefined FinalStatus = "UNDEFINED" // has not ended, or nobody said how
	FinalSucceeded FinalStatus = "SUCCEEDED"
	FinalFailed    FinalStatus = "FAILED"
	FinalKilled    FinalStatus = "KILLED"
)

// ApplicationReport is what the ResourceManager tells of an application.
type ApplicationReport struct {
	// ID names it.
	ID ApplicationID
	// Attempt is the current attempt; zero before the first.
	Attempt AttemptID
	// User, Queue, Name and Type are as submitted; the queue with its path ("root.default").
	User, Queue, Name, Type string
	// Tags are as submitted, often in lower case.
	Tags []string
	// State is how far it is.
	State ApplicationState
	// FinalStatus is how it ended: UNDEFINED until then.
	FinalStatus FinalStatus
	// Diagnostics tells why it waits or failed; "" if there is nothing to tell.
	Diagnostics string
	// TrackingURL leads through YARN's proxy; OriginalTrackingURL is what the master gave. "" if there is none.
	TrackingURL, OriginalTrackingURL string
	// Host and RPCPort are where the master listens; "" and -1 if it does not.
	Host    string
	RPCPort int32
	// Progress is between 0 and 1.
	Progress float32
	// Submitted, Launched and Finished are points in its life; zero if not yet.
	Submitted, Launched, Finished time.Time
	// UsedContainers and Used are what it holds now; zero once it has ended.
	UsedContainers int
	Used           Resource
	// AMRMToken is given to the owner of an unmanaged master only.
	AMRMToken *security.Token
}

// AttemptState is how far an attempt is (Hadoop: YarnApplicationAttemptState).
type AttemptState string

// The states of an attempt, in their usual order.
const (
	AttemptNew             AttemptState = "NEW"
	AttemptSubmitted       AttemptState = "SUBMITTED"
	AttemptScheduled       AttemptState = "SCHEDULED"
	AttemptAllocatedSaving AttemptState = "ALLOCATED_SAVING"
	AttemptAllocated       AttemptState = "ALLOCATED"
	AttemptLaunched        AttemptState = "LAUNCHED"
	AttemptRunning         AttemptState = "RUNNING"
	AttemptFinishing       AttemptState = "FINISHING"
	AttemptFinished        AttemptState = "FINISHED"
	AttemptFailed          AttemptState = "FAILED"
	AttemptKilled          AttemptState = "KILLED"
)

// AttemptReport is what the ResourceManager tells of an attempt.
type AttemptReport struct {
	// ID names it.
	ID AttemptID
	// State is how far it is.
	State AttemptState
	// Container is the master's own; zero before there is one.
	Container ContainerID
	// Host and RPCPort are where the master listens; "" and -1 if it does not.
	Host    string
	RPCPort int32
	// TrackingURL leads through the proxy, OriginalTrackingURL is the master's.
	TrackingURL, OriginalTrackingURL string
	// Diagnostics tells why it failed; "" if there is nothing to tell.
	Diagnostics string
	// Started and Finished are its times; zero if not yet.
	Started, Finished time.Time
}

// Submission describes an application to submit (Hadoop: ApplicationSubmissionContext).
type Submission struct {
	// ID is the one from NewApplication.
	ID ApplicationID
	// Name is shown to people; "" is "N/A".
	Name string
	// Type is at most 20 characters long, the rest is cut by the server; "" is "YARN".
	Type string
	// Queue is "" for "default".
	Queue string
	// Tags are at most 10, of at most 100 ASCII characters.
	Tags []string
	// Priority among the applications of a queue: the larger number goes first. The
	// cluster caps it (yarn.cluster.max-application-priority, 0).
	Priority int32
	// Master is the process of the application master.
	Master LaunchContext
	// Resource is the size of its container.
	Resource Resource
	// MaxAttempts is how often the master may be started; 0 leaves it to the cluster (2).
	MaxAttempts int32
	// AttemptFailureWindow, if above 0, is how long a failed attempt counts.
	AttemptFailureWindow time.Duration
	// KeepContainers lets containers go on when the master dies: the next attempt adopts them.
	KeepContainers bool
	// NodeLabel is where the application's containers go unless a request says otherwise; MasterNodeLabel is
	// where the master goes (NodeLabel if empty).
	NodeLabel, MasterNodeLabel string
	// Unmanaged tells YARN not to start a master: one runs elsewhere.
	Unmanaged bool
	// KeepTokens leaves the delegation tokens of the launch context alive when the application ends.
	KeepTokens bool
	// Lifetime, if above 0, is when YARN kills the application; whole seconds.
	Lifetime time.Duration
	// RolledLogs, if not empty, is a regular expression of the log files that are
	// aggregated while the application still runs.
	RolledLogs string
}

func applicationReportFromProto(p *pb.ApplicationReportProto) ApplicationReport {
	r := ApplicationReport{
		ID:                  applicationIDFromProto(p.GetApplicationId()),
		User:                p.GetUser(),
		Queue:               p.GetQueue(),
		Name:                p.GetName(),
		Type:                p.GetApplicationType(),
		Tags:                p.GetApplicationTags(),
		FinalStatus:         FinalUndefined,
		Diagnostics:         diagnostics(p.GetDiagnostics()),
		TrackingURL:         notAvailable(p.GetTrackingUrl()),
		OriginalTrackingURL: notAvailable(p.GetOriginalTrackingUrl()),
		Host:                notAvailable(p.GetHost()),
		RPCPort:             p.GetRpcPort(),
		Progress:            p.GetProgress(),
		Submitted:           timeFromMillis(p.GetStartTime()),
		Launched:            timeFromMillis(p.GetLaunchTime()),
		Finished:            timeFromMillis(p.GetFinishTime()),
		AMRMToken:           security.TokenFromProto(p.GetAmRmToken()),
	}
	if p.CurrentApplicationAttemptId != nil {
		r.Attempt = attemptIDFromProto(p.CurrentApplicationAttemptId)
	}
	if p.YarnApplicationState != nil {
		r.State = ApplicationState(p.YarnApplicationState.String())
	}
	if p.FinalApplicationStatus != nil {
		r.FinalStatus = finalStatusFromProto(*p.FinalApplicationStatus)
	}
	// Usage is -1 in every part once the application has ended.
	if u := p.GetAppResource_Usage(); u.GetNumUsedContainers() > 0 {
		r.UsedContainers = int(u.GetNumUsedContainers())
		r.Used = resourceFromProto(u.GetUsedResources())
	}
	return r
}

func attemptReportFromProto(p *pb.ApplicationAttemptReportProto) AttemptReport {
	r := AttemptReport{
		ID:                  attemptIDFromProto(p.GetApplicationAttemptId()),
		Host:                notAvailable(p.GetHost()),
		RPCPort:             p.GetRpcPort(),
		TrackingURL:         notAvailable(p.GetTrackingUrl()),
		OriginalTrackingURL: notAvailable(p.GetOriginalTrackingUrl()),
		Diagnostics:         diagnostics(p.GetDiagnostics()),
		Started:             timeFromMillis(p.GetStartTime()),
		Finished:            timeFromMillis(p.GetFinishTime()),
	}
	if p.AmContainerId != nil {
		r.Container = containerIDFromProto(p.AmContainerId)
	}
	if p.YarnApplicationAttemptState != nil {
		r.State = AttemptState(strings.TrimPrefix(p.YarnApplicationAttemptState.String(), "APP_ATTEMPT_"))
	}
	return r
}

func finalStatusFromProto(s pb.FinalApplicationStatusProto) FinalStatus {
	return FinalStatus(strings.TrimPrefix(s.String(), "APP_"))
}

func (s FinalStatus) proto() (pb.FinalApplicationStatusProto, error) {
	v, ok := pb.FinalApplicationStatusProto_value["APP_"+string(s)]
	if !ok {
		return 0, fmt.Errorf("%q is no final status: one of %s, %s, %s", string(s), FinalSucceeded, FinalFailed, FinalKilled)
	}
	return pb.FinalApplicationStatusProto(v), nil
}

// notAvailable turns Hadoop's "N/A" for none into an empty text.
func notAvailable(s string) string {
	if s == "N/A" {
		return ""
	}
	return s
}
