// Package am is the application master: it asks for containers, starts one
// process in each, restarts those that fail by Samza's counting rules, and ends
// the application with the right final status.
//
// The decisions are in Machine, a state machine without clock, goroutine or
// I/O: Step takes an event and gives actions; time is an event. Run drives a
// Machine against a Cluster (YARN's ResourceManager and NodeManagers, or child
// processes on this machine) and the coordinator's HTTP server: it turns their
// answers into events, and actions into calls.
//
// It is not the coordinator: the JobModel, the coordinator stream and the HTTP
// contract are in package coordinator.
package am
