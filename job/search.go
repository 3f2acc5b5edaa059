package job

import (
	"context"
	"sync"

	"heddle/yarn"
)

// Of an attempt that has ended only its nodes know something: which containers
// ran there is told by their log folders. YARN numbers the containers of an
// attempt from 1, so that they can be asked for one after the other.
const (
	// searchAtOnce bounds the questions under way, searchAhead is how many numbers
	// in a row have to be unknown on every node for the search to end, and
	// searchMost bounds the questions of one search.
	searchAtOnce = 16
	searchAhead  = 24
	searchMost   = 20000
)

// search finds the containers of an attempt on the nodes that know its
// application, each with the address of the node's web server.
func (f *logFollower) search(ctx context.Context, a yarn.AttemptReport) map[yarn.ContainerID]string {
	if found, ok := f.searched[a.ID]; ok {
		return found
	}
	found := map[yarn.ContainerID]string{}
	f.searched[a.ID] = found
	if a.Container == (yarn.ContainerID{}) {
		return found // not even its master was started
	}
	if f.nodes == nil {
		f.nodes = f.nodesOf(ctx, a.ID.Application)
	}
	id, asked := a.Container, 0
	epoch := id.ID &^ (1<<40 - 1) // the number's upper bits count the ResourceManager's restarts
	for next := int64(1); len(f.nodes) > 0 && asked < searchMost && ctx.Err() == nil; next += searchAhead {
		type question struct {
			id   yarn.ContainerID
			node string
		}
		var all []question
		for n := range int64(searchAhead) {
			id.ID = epoch + next + n
			for _, node := range f.nodes {
				all = append(all, question{id, node})
			}
		}
		asked += len(all)
		var mu sync.Mutex
		before := len(found)
		atOnce(all, func(q question) {
			if files, err := f.reader.Files(ctx, q.node, q.id); err == nil && len(files) > 0 {
				mu.Lock()
				found[q.id] = q.node
				mu.Unlock()
			}
		})
		if len(found) == before {
			break
		}
	}
	return found
}

// nodesOf gives the web servers of the nodes that know an application.
func (f *logFollower) nodesOf(ctx context.Context, id yarn.ApplicationID) []string {
	reports, err := f.cluster.client.Nodes(ctx, yarn.NodeRunning)
	if err != nil {
		f.cluster.log.Warn("the nodes of the cluster are not known, and so neither are the logs on them", "cause", err)
	}
	var mu sync.Mutex
	nodes := []string{}
	atOnce(reports, func(r yarn.NodeReport) {
		if yes, err := f.reader.Knows(ctx, r.HTTPAddress, id); err == nil && yes {
			mu.Lock()
			nodes = append(nodes, r.HTTPAddress)
			mu.Unlock()
		}
	})
	return nodes
}

// atOnce does something with each of a list, some of them at the same time.
func atOnce[T any](list []T, do func(T)) {
	slots := make(chan struct{}, searchAtOnce)
	var all sync.WaitGroup
	for _, v := range list {
		slots <- struct{}{}
		all.Go(func() {
			do(v)
			<-slots
		})
	}
	all.Wait()
}
