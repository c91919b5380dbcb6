package pebblestore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// stageManifestName is the file that makes a stage whole.
const stageManifestName = "MANIFEST"

// stageTable names the i-th table of a stage.
func stageTable(i int) string { return fmt.Sprintf("%06d.sst", i) }

// stageManifest tells what a stage consists of.
type stageManifest struct {
	Records     uint64
	First, Last []byte // keys; empty when there are no records
	Files       []stagedFile
}

// stagedFile is one table: its length and the crc32c of all its bytes.
type stagedFile struct {
	Size uint64
	Sum  uint32
}

// The layout: magic(4) version(4) records(8) first(4+n) last(4+n) files(4)
// {size(8) crc32c(4)}… crc32c(4), big-endian.
const (
	stageMagic   = "ffsg"
	stageVersion = 1
)

var errStageDamaged = errors.New("manifest of the stage is damaged")

func (m stageManifest) encode() []byte {
	b := []byte(stageMagic)
	b = binary.BigEndian.AppendUint32(b, stageVersion)
	b = binary.BigEndian.AppendUint64(b, m.Records)
	for _, k := range [][]byte{m.First, m.Last} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(k)))
		b = append(b, k...)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.Files)))
	for _, f := range m.Files {
		b = binary.BigEndian.AppendUint64(b, f.Size)
		b = binary.BigEndian.AppendUint32(b, f.Sum)
	}
	return binary.BigEndian.AppendUint32(b, sum(b))
}

func decodeStageManifest(b []byte) (m stageManifest, err error) {
	if len(b) < 12 || string(b[:4]) != stageMagic {
		return m, errStageDamaged
	}
	if v := binary.BigEndian.Uint32(b[4:]); v > stageVersion {
		return m, fmt.Errorf("manifest of the stage has version %d, the newest this version reads is %d", v, stageVersion)
	} else if v == 0 {
		return m, errStageDamaged
	}
	body, tail := b[:len(b)-4], b[len(b)-4:]
	if sum(body) != binary.BigEndian.Uint32(tail) {
		return m, errStageDamaged
	}
	ok := true
	take := func(n int) []byte {
		if !ok || n < 0 || n > len(body) {
			ok = false
			return make([]byte, 8)
		}
		out := body[:n]
		body = body[n:]
		return out
	}
	take(8)
	m.Records = binary.BigEndian.Uint64(take(8))
	m.First = clone(take(int(binary.BigEndian.Uint32(take(4)))))
	m.Last = clone(take(int(binary.BigEndian.Uint32(take(4)))))
	n := int(binary.BigEndian.Uint32(take(4)))
	if !ok || n*12 != len(body) || (n == 0) != (m.Records == 0) {
		return stageManifest{}, errStageDamaged
	}
	for range n {
		m.Files = append(m.Files, stagedFile{Size: binary.BigEndian.Uint64(take(8)), Sum: binary.BigEndian.Uint32(take(4))})
	}
	return m, nil
}

// readManifest reads the manifest of the stage in dir.
func (s *Store) readManifest(dir string) (m stageManifest, err error) {
	path := s.fs.PathJoin(dir, stageManifestName)
	if unfinished, err := s.missing(path); unfinished || err != nil {
		return m, errors.Join(errors.New("the stage is not finished"), err)
	}
	f, err := s.fs.Open(path)
	if err != nil {
		return m, err
	}
	b, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil {
		return m, fmt.Errorf("read %s: %w", path, err)
	}
	if m, err = decodeStageManifest(b); err != nil {
		return m, &Damage{File: path, Err: err}
	}
	return m, nil
}

// stageFile is the table under the hand of a table writer: it counts and sums
// what goes into it. Not safe for concurrent use.
type stageFile struct {
	f    vfs.File
	size uint64
	sum  uint32
}

// Write implements objstorage.Writable.
func (w *stageFile) Write(p []byte) error {
	w.sum = crc32.Update(w.sum, crc32.MakeTable(crc32.Castagnoli), p)
	w.size += uint64(len(p))
	_, err := w.f.Write(p)
	return err
}

// Finish implements objstorage.Writable.
func (w *stageFile) Finish() error { return errors.Join(w.f.Sync(), w.f.Close()) }

// Abort implements objstorage.Writable.
func (w *stageFile) Abort() { _ = w.f.Close() } // the file goes with its stage

// writeFile makes a whole and synced file; its directory is the caller's to sync.
func writeFile(fs vfs.FS, path string, content []byte) error {
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func sortedNames(names []string) []string {
	names = slices.Clone(names)
	slices.Sort(names)
	return names
}
