package yarnfake

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"heddle/yarn"
)

const webHeaderTimeout = 10 * time.Second

func (c *Cluster) serve(host string, h http.Handler) (string, *http.Server, error) {
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		return "", nil, err
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: webHeaderTimeout}
	c.wg.Go(func() { _ = s.Serve(l) })
	return l.Addr().String(), s, nil
}

// serveNodeWeb serves the logs of a node's containers as a NodeManager 3.4.1 does.
func (c *Cluster) serveNodeWeb(n *node, host string) (string, *http.Server, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ws/v1/node/containers/{id}/logs", func(w http.ResponseWriter, r *http.Request) { c.listLogs(n, w, r) })
	mux.HandleFunc("GET /ws/v1/node/containers/{id}/logs/{file}", func(w http.ResponseWriter, r *http.Request) { c.sendLog(n, w, r) })
	mux.HandleFunc("GET /node/containerlogs/{id}/{user}", func(w http.ResponseWriter, r *http.Request) { c.listLogs(n, w, r) })
	return c.serve(host, mux)
}

// findLogs gives the log folder of a container and whether it runs.
func (c *Cluster) findLogs(n *node, text string) (dir string, running, ok bool) {
	id, err := yarn.ParseContainerID(text)
	if err != nil {
		return "", false, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.findContainer(id)
	if k == nil || k.node != n || k.state == allocated {
		return "", false, false
	}
	return n.logDir(k), k.state != complete, true
}

const logTime = "Mon Jan 02 15:04:05 -0700 2006"

func (c *Cluster) listLogs(n *node, w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	dir, _, ok := c.findLogs(n, id)
	if !ok {
		w.Header().Set("Content-Type", "application/json;charset=utf-8")
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, `{"RemoteException":{"exception":"WebApplicationException","message":"org.apache.hadoop.yarn.webapp.NotFoundException: java.lang.Exception: Unknown container. Container either has not started or has already completed or doesn't belong to this node at all.","javaClassName":"javax.ws.rs.WebApplicationException"}}`)
		return
	}
	type file struct {
		FileName         string `json:"fileName"`
		FileSize         string `json:"fileSize"`
		LastModifiedTime string `json:"lastModifiedTime"`
	}
	files := []file{}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			files = append(files, file{e.Name(), strconv.FormatInt(info.Size(), 10), info.ModTime().UTC().Format(logTime)})
		}
	}
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	_ = json.NewEncoder(w).Encode(map[string]any{"containerLogsInfo": map[string]any{
		"containerLogInfo": files, "logAggregationType": "LOCAL", "containerId": id, "nodeId": n.id.String(),
	}})
}

func (c *Cluster) sendLog(n *node, w http.ResponseWriter, r *http.Request) {
	id, name := r.PathValue("id"), r.PathValue("file")
	if strings.HasPrefix(r.Header.Get("Accept"), "application/json") {
		w.WriteHeader(http.StatusServiceUnavailable) // so the real one
		return
	}
	dir, running, ok := c.findLogs(n, id)
	if !ok || name != filepath.Base(name) {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, "java.lang.Exception: Unknown container. Container either has not started or has already completed or doesn't belong to this node at all.")
		return
	}
	content, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, "java.lang.Exception: Cannot find this log on the local disk.")
		return
	}
	part := content
	if size, err := strconv.Atoi(r.URL.Query().Get("size")); err == nil {
		if size >= 0 && size < len(part) {
			part = part[:size]
		} else if size < 0 && -size < len(part) {
			part = part[len(part)+size:]
		}
		// size=-0 is 0: nothing.
	}
	end := "."
	if running {
		end = ".This log file belongs to a running container (" + id + ") and so may not be complete."
	}
	fmt.Fprintf(w, "Container: %s on %s\nLogAggregationType: LOCAL\n%s\nLogType:%s\nLogLastModifiedTime:%s\nLogLength:%d\nLogContents:\n",
		id, n.id, strings.Repeat("=", 72), name, time.Now().UTC().Format(logTime), len(content))
	_, _ = w.Write(part)
	fmt.Fprintf(w, "End of LogType:%s%s\n%s\n\n", name, end, strings.Repeat("*", 72))
}

// startWeb serves the ResourceManager's web: the proxy to tracking URLs.
func (c *Cluster) startWeb() (err error) {
	mux := http.NewServeMux()
	mux.HandleFunc("/proxy/{id}/", c.proxy)
	mux.HandleFunc("GET /isActive", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "I am Active!") })
	c.webHost, c.web, err = c.serve("127.0.0.1", mux)
	return err
}

// passed are the request headers that YARN's proxy passes on.
var passed = []string{
	"User-Agent", "Accept", "Accept-Encoding", "Accept-Language", "Accept-Charset", "Content-Type", "Origin",
	"Access-Control-Request-Method", "Access-Control-Request-Headers",
}

// proxy leads to the tracking URL of an application: GET and PUT only, few
// headers, a cookie that names the user.
func (c *Cluster) proxy(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodPut && r.Method != http.MethodHead {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	id, err := yarn.ParseApplicationID(r.PathValue("id"))
	c.mu.Lock()
	var tracking string
	over := false
	if a := c.apps[id]; err == nil && a != nil {
		over = a.over()
		if t := a.attempt(); t != nil {
			tracking = t.trackingURL
		}
	}
	c.mu.Unlock()
	if tracking == "" || tracking == "N/A" {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintf(w, "%s has no tracking URL", id)
		return
	}
	if !strings.Contains(tracking, "://") {
		tracking = "http://" + tracking
	}
	target, err := url.Parse(tracking)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	if over {
		http.Redirect(w, r, tracking, http.StatusFound)
		return
	}
	p := &httputil.ReverseProxy{Rewrite: func(pr *httputil.ProxyRequest) {
		rest := strings.TrimPrefix(pr.In.URL.Path, "/proxy/"+id.String())
		pr.Out.URL.Scheme, pr.Out.URL.Host = target.Scheme, target.Host
		pr.Out.URL.Path = strings.TrimRight(target.Path, "/") + rest
		pr.Out.URL.RawPath = ""
		for name := range pr.Out.Header {
			if !slices.Contains(passed, name) {
				pr.Out.Header.Del(name)
			}
		}
		pr.Out.Host = ""
		pr.Out.Header.Set("Cookie", "proxy-user="+webUser(pr.In))
	}}
	p.ServeHTTP(w, r)
}

// webUser is who looks: user.name, or the one whom YARN takes for it.
func webUser(r *http.Request) string {
	if u := r.URL.Query().Get("user.name"); u != "" {
		return url.QueryEscape(u)
	}
	return "dr.who"
}
