package accounts

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
)

// A command's bytes:
//
//	version(1) kind(1) at(8, big-endian) change(JSON)
//
// A version or kind that is not known here was written by a newer release. It
// is refused, never passed over: a replica that skipped it would differ from
// the others from then on.
const commandVersion = 1

// Append appends the command's bytes to dst.
func (c Command) Append(dst []byte) ([]byte, error) {
	body, err := json.Marshal(c.Change)
	if err != nil {
		return nil, fmt.Errorf("encode command of kind %d: %w", c.Change.kind(), err)
	}
	dst = append(dst, commandVersion, byte(c.Change.kind()))
	dst = binary.BigEndian.AppendUint64(dst, uint64(c.At))
	return append(dst, body...), nil
}

// DecodeCommand reads what Append wrote.
func DecodeCommand(b []byte) (Command, error) {
	if len(b) < 10 {
		return Command{}, fmt.Errorf("decode command: %d bytes are too short", len(b))
	}
	if b[0] != commandVersion {
		return Command{}, fmt.Errorf("decode command: format %d is not known to this release, which knows %d", b[0], commandVersion)
	}
	change := newChange(kind(b[1]))
	if change == nil {
		return Command{}, fmt.Errorf("decode command: kind %d is not known to this release", b[1])
	}
	if err := strictJSON(b[10:], change); err != nil {
		return Command{}, fmt.Errorf("decode command of kind %d: %w", b[1], err)
	}
	return Command{At: int64(binary.BigEndian.Uint64(b[2:])), Change: change}, nil
}

// strictJSON reads one JSON value and refuses unknown fields and anything after
// it.
func strictJSON(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("there is something after the value")
	}
	return nil
}
