package rafthost

import (
	"context"
	"fmt"
	"log/slog"

	"go.etcd.io/raft/v3"
)

var _ raft.Logger = (*raftLogger)(nil)

// raftLogger passes on what raft says. Elections are its diary, not news, so its
// Info is our Debug. Panic and Fatal mean a broken invariant of raft and panic.
type raftLogger struct{ log *slog.Logger }

func (l *raftLogger) say(v slog.Level, format string, args ...any) {
	if ctx := context.Background(); l.log.Enabled(ctx, v) {
		l.log.Log(ctx, v, fmt.Sprintf(format, args...))
	}
}

const levelTrace = slog.LevelDebug - 4

func (l *raftLogger) Debug(v ...any)              { l.say(levelTrace, "%s", fmt.Sprint(v...)) }
func (l *raftLogger) Debugf(f string, v ...any)   { l.say(levelTrace, f, v...) }
func (l *raftLogger) Info(v ...any)               { l.say(slog.LevelDebug, "%s", fmt.Sprint(v...)) }
func (l *raftLogger) Infof(f string, v ...any)    { l.say(slog.LevelDebug, f, v...) }
func (l *raftLogger) Warning(v ...any)            { l.say(slog.LevelWarn, "%s", fmt.Sprint(v...)) }
func (l *raftLogger) Warningf(f string, v ...any) { l.say(slog.LevelWarn, f, v...) }
func (l *raftLogger) Error(v ...any)              { l.say(slog.LevelError, "%s", fmt.Sprint(v...)) }
func (l *raftLogger) Errorf(f string, v ...any)   { l.say(slog.LevelError, f, v...) }
func (l *raftLogger) Fatal(v ...any)              { panic(fmt.Sprint(v...)) }
func (l *raftLogger) Fatalf(f string, v ...any)   { panic(fmt.Sprintf(f, v...)) }
func (l *raftLogger) Panic(v ...any)              { panic(fmt.Sprint(v...)) }
func (l *raftLogger) Panicf(f string, v ...any)   { panic(fmt.Sprintf(f, v...)) }
