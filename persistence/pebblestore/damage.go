package pebblestore

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// Damage is a file of the store whose bytes are not what was written, or cannot
// be read. Errors of Get, Scan, Verify and Scrub hold one (errors.As with
// *Damage) when a damaged file is their reason.
type Damage struct {
	// File is the path of the damaged file.
	File string
	// The damage concerns keys of [From, To); others of the range may be sound. A
	// nil To means the end of the key space.
	From, To []byte
	// Err tells what is wrong.
	Err error
}

func (d *Damage) Error() string { return fmt.Sprintf("damaged file %s: %v", d.File, d.Err) }

func (d *Damage) Unwrap() error { return d.Err }

// damaged turns Pebble's error into a Damage when it is about a damaged file.
func damaged(err error) error {
	info := pebble.ExtractDataCorruptionInfo(err)
	if info == nil {
		return err
	}
	if d := (*Damage)(nil); errors.As(err, &d) {
		return err
	}
	return damageOf(*info)
}

func damageOf(info pebble.DataCorruptionInfo) *Damage {
	d := &Damage{File: info.Path, From: clone(info.Bounds.Start), Err: info.Details}
	if end := info.Bounds.End; end.Key != nil {
		d.To = behind(end.Key)
	}
	return d
}

// behind gives the first key after key.
func behind(key []byte) []byte { return append(append(make([]byte, 0, len(key)+1), key...), 0) }

func clone(b []byte) []byte { return append([]byte(nil), b...) }
