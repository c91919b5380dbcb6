package pebblestore

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"maps"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/vfs"

	"footfall/persistence"
)

var _ persistence.Stager = (*Store)(nil)

// stagedSuffix is appended to the store's directory: stages lie beside the
// database, which would delete files that it does not know, and on the same file
// system, so that their tables are linked and not copied.
const stagedSuffix = "-staged"

func (s *Store) stagesDir() string { return s.dir + stagedSuffix }

// stageDir gives the directory of a stage, after a look at the name.
func (s *Store) stageDir(name string) (string, error) {
	if name == "" || len(name) > 128 {
		return "", fmt.Errorf("stage %.130q: a name has 1 to 128 characters", name)
	}
	for _, c := range []byte(name) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-') {
			return "", fmt.Errorf("stage %q: a name consists of letters, digits and '-'", name)
		}
	}
	return s.fs.PathJoin(s.stagesDir(), name), nil
}

// stage writes tables in the database's own format. Not safe for concurrent use.
type stage struct {
	s    *Store
	name string
	dir  string
	to   uint64 // size at which the next table begins
	w    *sstable.Writer
	file *stageFile // w's, nil between tables
	m    stageManifest
	err  error // the first error: only Discard may follow
	done bool  // finished or discarded
	gone bool  // discarded
}

// stages knows the stages that are being written: a table writer has goroutines,
// which end with it. Safe for concurrent use.
type stages struct {
	mu   sync.Mutex
	open map[string]*stage
}

// begin makes g the stage of its name.
func (o *stages) begin(g *stage) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open == nil {
		o.open = map[string]*stage{}
	}
	o.open[g.name] = g
}

// end forgets g.
func (o *stages) end(g *stage) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open[g.name] == g {
		delete(o.open, g.name)
	}
}

// take gives the stage that is being written under a name, or nil, and forgets it.
func (o *stages) take(name string) *stage {
	o.mu.Lock()
	defer o.mu.Unlock()
	g := o.open[name]
	delete(o.open, name)
	return g
}

// names of the stages that are being written.
func (o *stages) names() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Collect(maps.Keys(o.open))
}

// stopStage ends the writing of a stage, whose handle is of no use then.
func (s *Store) stopStage(name, why string) {
	if g := s.stages.take(name); g != nil {
		g.stop(why)
	}
}

// stopStages ends the writing of all.
func (s *Store) stopStages() {
	for _, name := range s.stages.names() {
		s.stopStage(name, "the store is closed")
	}
}

// Stage implements persistence.Stager.
func (s *Store) Stage(name string) (persistence.Stage, error) {
	if err := s.events.failed(); err != nil {
		return nil, err
	}
	dir, err := s.stageDir(name)
	if err != nil {
		return nil, err
	}
	s.stopStage(name, "another stage of its name was begun")
	if err := s.removeStage(dir); err != nil {
		return nil, fmt.Errorf("stage %s: %w", name, err)
	}
	if err := s.fs.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("stage %s: %w", name, err)
	}
	g := &stage{s: s, name: name, dir: dir, to: s.stageTo}
	s.stages.begin(g)
	return g, nil
}

// Put implements persistence.Stage.
func (g *stage) Put(key, value []byte) error {
	switch {
	case g.err != nil:
		return g.err
	case g.done:
		return fmt.Errorf("put key %x: the stage is finished", key)
	case g.m.Records > 0 && bytes.Compare(key, g.m.Last) <= 0:
		g.err = fmt.Errorf("put key %x: it is not behind %x", key, g.m.Last)
		return g.err
	}
	if err := g.put(key, value); err != nil {
		g.err = fmt.Errorf("put key %x: %w", key, err)
	}
	return g.err
}

func (g *stage) put(key, value []byte) error {
	if g.w == nil {
		if err := g.begin(); err != nil {
			return err
		}
	}
	if err := g.w.Set(key, value); err != nil {
		return err
	}
	if g.m.Records == 0 {
		g.m.First = clone(key)
	}
	g.m.Records++
	g.m.Last = append(g.m.Last[:0], key...)
	if g.w.Raw().EstimatedSize() >= g.to {
		return g.end()
	}
	return nil
}

// begin opens the next table.
func (g *stage) begin() error {
	f, err := g.s.fs.Create(g.s.fs.PathJoin(g.dir, stageTable(len(g.m.Files))), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	// Synced bit by bit, so that the end of a table does not hold up the log.
	g.file = &stageFile{f: vfs.NewSyncingFile(f, vfs.SyncingFileOptions{BytesPerSync: g.s.pebble.BytesPerSync})}
	// Where an installed table mostly lands: the lowest level.
	level := len(g.s.pebble.Levels) - 1
	g.w = sstable.NewWriter(g.file, g.s.pebble.MakeWriterOptions(level, g.s.db.TableFormat()))
	return nil
}

// end finishes the table that is open.
func (g *stage) end() error {
	w := g.w
	g.w = nil
	if err := w.Close(); err != nil { // syncs
		return err
	}
	g.m.Files = append(g.m.Files, stagedFile{Size: g.file.size, Sum: g.file.sum})
	return nil
}

// Finish implements persistence.Stage.
func (g *stage) Finish() error {
	if g.err != nil {
		return g.err
	}
	if g.done {
		return errors.New("finish stage: it is finished")
	}
	if err := g.finish(); err != nil {
		g.err = fmt.Errorf("finish stage: %w", err)
		return g.err
	}
	g.done = true
	g.s.stages.end(g)
	return nil
}

// finish writes the manifest when everything that it speaks of is safe. Its name
// appears at once and last.
func (g *stage) finish() error {
	if g.w != nil {
		if err := g.end(); err != nil {
			return err
		}
	}
	fs := g.s.fs
	draft := fs.PathJoin(g.dir, stageManifestName+".new")
	if err := errors.Join(g.s.syncDir(g.dir), g.s.syncDir(g.s.stagesDir()), g.s.syncDir(fs.PathDir(g.s.stagesDir()))); err != nil {
		return err
	}
	if err := writeFile(fs, draft, g.m.encode()); err != nil {
		return err
	}
	if err := fs.Rename(draft, fs.PathJoin(g.dir, stageManifestName)); err != nil {
		return err
	}
	return g.s.syncDir(g.dir)
}

// Discard implements persistence.Stage.
func (g *stage) Discard() error {
	if g.gone {
		return nil
	}
	g.s.stages.end(g)
	g.stop("the stage was discarded")
	if err := g.s.removeStage(g.dir); err != nil {
		return fmt.Errorf("discard stage: %w", err)
	}
	g.gone = true
	return nil
}

// stop ends the table writer; the files stay.
func (g *stage) stop(why string) {
	if g.w != nil {
		_ = g.w.Close() // its table goes with the stage
		g.w = nil
	}
	if g.err == nil {
		g.err = errors.New(why)
	}
}

// Install implements persistence.Stager. Everything committed before is synced
// first, so that a crash does not leave the new records beside an older state of
// the rest of the store. The tables are linked into the database under a copy of
// their names, since it removes the names that it is given: a stage stays whole
// until its manifest goes, and can be installed once more.
func (s *Store) Install(name string, from, to []byte) error {
	dir, err := s.stageDir(name)
	if err != nil {
		return err
	}
	if bytes.Compare(from, to) >= 0 {
		return fmt.Errorf("install stage %s in [%x, %x): an empty range", name, from, to)
	}
	return s.guard("install", func() error {
		if err := s.install(dir, from, to); err != nil {
			return fmt.Errorf("install stage %s in [%x, %x): %w", name, from, to, err)
		}
		return nil
	})
}

func (s *Store) install(dir string, from, to []byte) error {
	if gone, err := s.missing(dir); gone || err != nil {
		return err
	}
	m, err := s.readManifest(dir)
	if err != nil {
		return err
	}
	if m.Records > 0 && (bytes.Compare(m.First, from) < 0 || bytes.Compare(m.Last, to) >= 0) {
		return fmt.Errorf("records lie outside, in [%x, %x]", m.First, m.Last)
	}
	for i, f := range m.Files {
		if err := s.checkStaged(s.fs.PathJoin(dir, stageTable(i)), f); err != nil {
			return err
		}
	}
	if m.Records == 0 {
		b := s.NewBatch()
		b.DeleteRange(from, to)
		if err := s.Commit(b, true); err != nil {
			return err
		}
	} else if err := s.ingest(dir, len(m.Files), from, to); err != nil {
		return err
	}
	s.installs.Add(1)
	return s.removeStage(dir)
}

func (s *Store) missing(path string) (bool, error) {
	switch _, err := s.fs.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return true, nil
	default:
		return false, err
	}
}

// checkStaged reads a table of a stage once more before it replaces anything.
func (s *Store) checkStaged(path string, want stagedFile) (err error) {
	f, err := s.fs.Open(path, vfs.SequentialReadsOption)
	if err != nil {
		return err
	}
	defer func() {
		if e := f.Close(); err == nil {
			err = e
		}
	}()
	h := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	n, err := io.Copy(h, f)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	if uint64(n) != want.Size || h.Sum32() != want.Sum {
		return &Damage{File: path, Err: fmt.Errorf("%d bytes with sum %08x, want %d with %08x", n, h.Sum32(), want.Size, want.Sum)}
	}
	return nil
}

// clearStages removes what stages that were not finished left behind.
func (s *Store) clearStages() error {
	names, err := s.stageNames()
	if err != nil {
		return err
	}
	for _, name := range names {
		dir := s.fs.PathJoin(s.stagesDir(), name)
		unfinished, err := s.missing(s.fs.PathJoin(dir, stageManifestName))
		if err == nil && unfinished {
			err = s.removeStage(dir)
		}
		if err != nil {
			return fmt.Errorf("clear stage %s: %w", name, err)
		}
	}
	return nil
}

// stageNames lists all stages in order of name, finished or not.
func (s *Store) stageNames() ([]string, error) {
	list, err := s.fs.List(s.stagesDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list stages: %w", err)
	}
	return sortedNames(list), nil
}

// Staged implements persistence.Stager.
func (s *Store) Staged() ([]string, error) {
	if err := s.events.failed(); err != nil {
		return nil, err
	}
	all, err := s.stageNames()
	if err != nil {
		return nil, err
	}
	var finished []string
	for _, name := range all {
		unfinished, err := s.missing(s.fs.PathJoin(s.stagesDir(), name, stageManifestName))
		if err != nil {
			return nil, fmt.Errorf("list stages: %w", err)
		}
		if !unfinished {
			finished = append(finished, name)
		}
	}
	return finished, nil
}

// Unstage implements persistence.Stager.
func (s *Store) Unstage(name string) error {
	if err := s.events.failed(); err != nil {
		return err
	}
	dir, err := s.stageDir(name)
	if err != nil {
		return err
	}
	s.stopStage(name, "the stage was removed")
	if err := s.removeStage(dir); err != nil {
		return fmt.Errorf("unstage %s: %w", name, err)
	}
	return nil
}

// removeStage takes the manifest first: whatever a crash leaves of the rest is
// not a stage any more.
func (s *Store) removeStage(dir string) error {
	gone, err := s.missing(dir)
	if gone || err != nil {
		return err
	}
	switch err := s.fs.Remove(s.fs.PathJoin(dir, stageManifestName)); {
	case err == nil:
		if err := s.syncDir(dir); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := s.fs.RemoveAll(dir); err != nil {
		return err
	}
	return s.syncDir(s.stagesDir())
}

func (s *Store) syncDir(dir string) error {
	d, err := s.fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
