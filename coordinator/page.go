package coordinator

import (
	"bytes"
	"cmp"
	"embed"
	"fmt"
	"html/template"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed ui
var uiFiles embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"count": count, "rate": rate, "bytes": byteSize, "ago": ago, "percent": percent, "lag": lagText, "offset": offsetText,
	"lower": strings.ToLower, "json": jsonText, "left": leftText,
}).ParseFS(uiFiles, "ui/*.html"))

// pageData is what the templates show.
type pageData struct {
	Status
	TaskList []TaskStatus
	// Hidden is the number of tasks that are not in TaskList.
	Hidden int
}

func (s *Server) pageData() pageData {
	d := pageData{Status: s.Status(), TaskList: s.Tasks("")}
	if len(d.TaskList) > maxShown {
		worstFirst(d.TaskList)
		d.Hidden = len(d.TaskList) - maxShown
		d.TaskList = d.TaskList[:maxShown]
	}
	return d
}

// page serves the whole page; it shows the job without scripts too, and with
// them replaces its middle by live every two seconds.
func (s *Server) page(w http.ResponseWriter, r *http.Request) { s.render(w, r, "page.html") }

// live serves the middle of the page.
func (s *Server) live(w http.ResponseWriter, r *http.Request) { s.render(w, r, "live.html") }

func (s *Server) render(w http.ResponseWriter, r *http.Request, name string) {
	s.renderWith(w, r, name, s.pageData())
}

// renderWith serves a page; its forms lead back to the job only.
func (s *Server) renderWith(w http.ResponseWriter, r *http.Request, name string, data any) {
	var buf bytes.Buffer
	if err := pages.ExecuteTemplate(&buf, name, data); err != nil {
		s.log.Error("the page could not be made", "error", err)
		s.fail(w, r, http.StatusInternalServerError, "the page could not be made")
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	s.send(w, r, http.StatusOK, "text/html; charset=utf-8", buf.Bytes(), nil)
}

func (s *Server) asset(w http.ResponseWriter, r *http.Request, name string) {
	b, err := uiFiles.ReadFile("ui/" + name)
	if err != nil {
		s.fail(w, r, http.StatusNotFound, "there is no such page; the job's pages begin at /ui/")
		return
	}
	kind := "text/css; charset=utf-8"
	if strings.HasSuffix(name, ".js") {
		kind = "text/javascript; charset=utf-8"
	}
	s.send(w, r, http.StatusOK, kind, b, nil)
}

// count writes 1234567 as 1,234,567.
func count(n any) string {
	var v int64
	switch n := n.(type) {
	case int:
		v = int64(n)
	case int64:
		v = n
	}
	s := strconv.FormatInt(v, 10)
	sign := ""
	if v < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

func rate(f float64) string {
	switch {
	case f == 0:
		return "0/s"
	case f < 10:
		return strconv.FormatFloat(f, 'f', 1, 64) + "/s"
	}
	return count(int64(f)) + "/s"
}

func byteSize(n int64) string {
	if n <= 0 {
		return ""
	}
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	case n < 1<<30:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}

// ago says how long before now a time was.
func ago(now, then int64) string {
	if then == 0 {
		return ""
	}
	d := time.Duration(max(0, now-then)) * time.Millisecond
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm %ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh %dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd %dh", int(d.Hours())/24, int(d.Hours())%24)
}

func percent(done, total int64) string {
	if total <= 0 {
		return ""
	}
	return fmt.Sprintf("%d %%", min(100, 100*done/total))
}

func lagText(n int64) string {
	if n < 0 {
		return "?"
	}
	return count(n)
}

func offsetText(n int64) string {
	if n < 0 {
		return "?"
	}
	return strconv.FormatInt(n, 10)
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
