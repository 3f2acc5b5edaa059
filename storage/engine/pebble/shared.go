package pebble

import (
	"runtime"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// shared is what the engines of a process have in common that name the same
// Share: a cache of blocks and one of open files. It lives as long as one of
// them.
type shared struct {
	name   string
	bytes  int64
	users  int
	blocks *pebble.Cache
	files  *pebble.FileCache
	said   map[string]bool
}

// first tells if a note has not been logged yet for any engine of the Share.
func (s *shared) first(note string) bool {
	shares.Lock()
	defer shares.Unlock()
	if s.said[note] {
		return false
	}
	s.said[note] = true
	return true
}

const (
	// defaultCacheBytes is the size of the cache of blocks if none is asked for.
	defaultCacheBytes = 32 << 20
	// openFiles bounds the tables that the engines of one Share hold open, unless
	// another number is asked for.
	openFiles = 1000
)

var shares struct {
	sync.Mutex
	byName map[string]*shared
}

// share takes a part in what the engines of the name have in common. The first
// one decides how large the cache is. The database takes the memory of its
// memtables out of the cache of blocks, which is to be only that: it is made
// larger by what the caller's memtables may take. The part is given up by
// calling leave.
func share(name string, bytes, memtables int64, files int) (s *shared, leave func()) {
	if bytes <= 0 {
		bytes = defaultCacheBytes
	}
	if files <= 0 {
		files = openFiles
	}
	shares.Lock()
	defer shares.Unlock()
	s = shares.byName[name]
	if s == nil {
		s = &shared{
			name: name, bytes: bytes, said: map[string]bool{},
			blocks: pebble.NewCache(bytes),
			files:  pebble.NewFileCache(runtime.GOMAXPROCS(0), files),
		}
		if shares.byName == nil {
			shares.byName = map[string]*shared{}
		}
		shares.byName[name] = s
	}
	s.users++
	shrink := s.blocks.Reserve(-int(memtables))
	return s, func() {
		shares.Lock()
		defer shares.Unlock()
		shrink()
		if s.users--; s.users == 0 {
			delete(shares.byName, name)
			s.files.Unref()
			s.blocks.Unref()
		}
	}
}
