package pebblestore

import (
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// failStop ends the store at the first error of its log files, on the way back
// from the operating system. Pebble reports most of them to its logger, but one
// that it meets while it changes from one log file to the next breaks the
// process apart (it unlocks a lock twice while it panics), with another exit
// code and without a word about the disk.
type failStop struct {
	vfs.FS
	ev *events
}

func (f failStop) Unwrap() vfs.FS { return f.FS }

func (f failStop) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, c)
	return f.watch(name, file, err)
}

func (f failStop) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.ReuseForWrite(oldname, newname, c)
	return f.watch(newname, file, err)
}

func (f failStop) watch(name string, file vfs.File, err error) (vfs.File, error) {
	if !strings.HasSuffix(name, ".log") {
		return file, err
	}
	if err != nil {
		return nil, f.ev.logFile("create", name, err)
	}
	return logFile{file, name, f.ev}, nil
}

type logFile struct {
	vfs.File
	name string
	ev   *events
}

func (l logFile) Write(p []byte) (int, error) {
	n, err := l.File.Write(p)
	return n, l.ev.logFile("write", l.name, err)
}

func (l logFile) Sync() error { return l.ev.logFile("sync", l.name, l.File.Sync()) }

func (l logFile) SyncData() error { return l.ev.logFile("sync", l.name, l.File.SyncData()) }

func (l logFile) SyncTo(length int64) (bool, error) {
	full, err := l.File.SyncTo(length)
	return full, l.ev.logFile("sync", l.name, err)
}

func (e *events) logFile(what, name string, err error) error {
	if err == nil {
		return nil
	}
	return e.fail(fmt.Errorf("%s %s: %w", what, name, err))
}
