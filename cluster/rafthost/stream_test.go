package rafthost

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"
)

func stream(t testing.TB, records ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	s, err := newStreamWriter(&b, func(int) error { return nil })
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range records {
		if err := s.record(fmt.Appendf(nil, "k%04d", i), []byte(r)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func collect(r io.Reader) (records []string, err error) {
	_, err = readStream(context.Background(), r, []byte("k"), []byte("l"), func(k, v []byte) error {
		records = append(records, string(v))
		return nil
	})
	return records, err
}

func TestAStreamGivesBackItsRecords(t *testing.T) {
	big := string(bytes.Repeat([]byte("0123456789"), 100_000)) // over several chunks
	for _, want := range [][]string{nil, {""}, {"a", "", "b"}, {big, "x", big[:chunkMax], big[:chunkMax-20]}} {
		got, err := collect(bytes.NewReader(stream(t, want...)))
		if err != nil || len(got) != len(want) {
			t.Fatalf("%d records come back as %d, %v", len(want), len(got), err)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("record %d of %d bytes comes back with %d", i, len(want[i]), len(got[i]))
			}
		}
	}
}

func TestADamagedStreamIsNoticed(t *testing.T) {
	whole := stream(t, "one", "two", "three")
	for n := range whole {
		if _, err := collect(bytes.NewReader(whole[:n])); err == nil {
			t.Errorf("a stream of %d of %d bytes is taken", n, len(whole))
		}
		for bit := range 8 {
			b := bytes.Clone(whole)
			b[n] ^= 1 << bit
			if got, err := collect(bytes.NewReader(b)); err == nil {
				t.Errorf("bit %d of byte %d flipped: taken as %q", bit, n, got)
			}
		}
	}
	if _, err := collect(bytes.NewReader(append(bytes.Clone(whole), 0))); err == nil {
		t.Error("a stream that goes on is taken")
	}
	if _, err := readStream(context.Background(), bytes.NewReader(whole), []byte("k0001"), []byte("l"), func(_, _ []byte) error { return nil }); err == nil {
		t.Error("a key out of the range is taken")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := readStream(ctx, bytes.NewReader(whole), []byte("k"), []byte("l"), func(_, _ []byte) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("after its context has ended: %v", err)
	}
}

func TestAPacerHoldsWrites(t *testing.T) {
	now := time.Unix(1, 0)
	p := &pacer{perSecond: 1000, now: func() time.Time { return now }}
	if err := p.wait(context.Background(), 500); err != nil { // the first goes at once
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.wait(ctx, 500); !errors.Is(err, context.Canceled) {
		t.Errorf("the second does not wait for the first: %v", err)
	}
	now = now.Add(time.Hour)
	if err := p.wait(context.Background(), 500); err != nil {
		t.Error(err)
	}
}

func FuzzReadStream(f *testing.F) {
	f.Add(stream(f))
	f.Add(stream(f, "one", "two"))
	f.Add([]byte(streamMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := collect(bytes.NewReader(b))
		if err != nil {
			return
		}
		size := 0
		for _, v := range got {
			size += len(v)
		}
		if size > len(b) {
			t.Errorf("%d bytes give records of %d", len(b), size)
		}
	})
}
