package snapshot

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"heddle/storage"
	"heddle/system/files"
)

// known is a manifest as it was found.
type known struct {
	name     string
	sequence int64
	writer   string
	// files are those that lie outside of the manifest.
	files []File
	// err says why there is no manifest: errDamaged, errOtherFormat, or that it
	// could not be read just now.
	err error
}

// listed are the manifests of a folder, the newest first.
func listed(entries []files.Entry) []known {
	var found []known
	for _, e := range entries {
		if sequence, writer, ok := parseManifestName(e.Name); ok && !e.Dir {
			found = append(found, known{name: e.Name, sequence: sequence, writer: writer})
		}
	}
	slices.SortFunc(found, func(a, b known) int {
		return cmp.Or(cmp.Compare(b.sequence, a.sequence), cmp.Compare(b.name, a.name))
	})
	return found
}

// stock are the files that lie in the file system: sizes by checksum. Those that
// are known to be bad do not count.
func stock(entries []files.Entry, bad map[string]bool) map[string]int64 {
	have := map[string]int64{}
	for _, e := range entries {
		if !e.Dir && isSum(e.Name) && !bad[e.Name] {
			have[e.Name] = e.Size
		}
	}
	return have
}

// missing gives those of the files that have to be uploaded, each content once.
// What lies there may be on its way out: so who has written a manifest looks
// whether it is whole.
func missing(want []File, have map[string]int64) []File {
	var need []File
	seen := map[string]bool{}
	for _, f := range want {
		if f.inline() || seen[f.Sum] {
			continue
		}
		seen[f.Sum] = true
		if size, there := have[f.Sum]; !there || size != f.Size {
			need = append(need, f)
		}
	}
	return need
}

// needs gives the sums of all files that a manifest names; all is true if one of
// them could not be read and so may name any.
func needs(manifests []known) (sums map[string]bool, all bool) {
	sums = map[string]bool{}
	for _, k := range manifests {
		all = all || k.err != nil && !isDamaged(k.err)
		for _, f := range k.files {
			sums[f.Sum] = true
		}
	}
	return sums, all
}

// complete tells if all files of the manifest lie there.
func (k known) complete(have map[string]int64) bool {
	for _, f := range k.files {
		if size, ok := have[f.Sum]; !ok || size != f.Size {
			return false
		}
	}
	return true
}

// grace is how long a file stays that no manifest names: an upload of another
// process may be about to name it.
const grace = time.Hour

// trash is what can be removed.
type trash struct {
	manifests, files []string
}

// sweep decides what is removed once a new snapshot is complete: all but the
// newest retain complete manifests, and the files that none of the others needs.
// The manifests are in the order of listed, the entries those of both folders;
// now is the file system's.
//
// A manifest that cannot be read now, or is of another version, is not judged:
// it stays until it is older than those that are kept, and as long as it stays
// no file is removed, for it may need any.
func sweep(now time.Time, manifests []known, manifestEntries, fileEntries []files.Entry, bad map[string]bool, retain int) trash {
	var t trash
	have := stock(fileEntries, bad)
	needed := map[string]bool{}
	kept := 0
	unjudged := false
	for _, k := range manifests {
		switch {
		case isDamaged(k.err), k.err == nil && !k.complete(have), kept >= retain:
			t.manifests = append(t.manifests, k.name)
		case k.err != nil:
			unjudged = true
		default:
			kept++
			for _, f := range k.files {
				needed[f.Sum] = true
			}
		}
	}
	old := func(e files.Entry) bool { return !e.Dir && now.Sub(e.ModTime) > grace }
	for _, e := range manifestEntries {
		if old(e) && files.IsTemporary(e.Name) {
			t.manifests = append(t.manifests, e.Name)
		}
	}
	for _, e := range fileEntries {
		switch {
		case !old(e):
		case files.IsTemporary(e.Name), isSum(e.Name) && !needed[e.Name] && !unjudged:
			t.files = append(t.files, e.Name)
		}
	}
	return t
}

// differences lists what is other in got, for a message.
func differences(want, got storage.Identity) string {
	w, g := fields(want), fields(got)
	var out []string
	for _, name := range slices.Sorted(maps.Keys(w)) {
		if w[name] != g[name] {
			out = append(out, fmt.Sprintf("%s %q, not %q", name, fmt.Sprint(g[name]), fmt.Sprint(w[name])))
		}
	}
	return strings.Join(out, ", ")
}

// fields are those of an identity under their names in files.
func fields(id storage.Identity) map[string]any {
	m := map[string]any{}
	b, err := json.Marshal(id)
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil {
		return map[string]any{"identity": id}
	}
	return m
}

func isDamaged(err error) bool { return errors.Is(err, errDamaged) }

// verdict is what becomes of a snapshot at a restore.
type verdict int

const (
	// restoreIt: it fits.
	restoreIt verdict = iota
	// passOver it without a word: it is as it should be, but not of use now.
	passOver
	// warnOf it: it is not as it should be.
	warnOf
)

// judge decides whether a store is restored from a snapshot.
func judge(w storage.Wanted, m Manifest) (verdict, string) {
	if m.Identity != w.ID {
		return warnOf, "it is of another store: " + differences(w.ID, m.Identity)
	}
	if w.Useless != nil {
		if why := w.Useless(m.Mark, m.bytes()); why != "" {
			return passOver, why
		}
	}
	return restoreIt, ""
}
