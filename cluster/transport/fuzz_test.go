package transport

import (
	"bytes"
	"encoding/binary"
	"io"
	"slices"
	"testing"
	"testing/iotest"
)

func FuzzHello(f *testing.F) {
	good := hello{Versions{1, 2}, ours, 3, 4, 5, laneStream}
	f.Add(good.append(nil))
	f.Add(good.append(nil)[:20])
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	longer := good.append(nil)
	f.Add(append(longer, "and more"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		h, err := readHello(r)
		if err != nil {
			return
		}
		again, err := readHello(bytes.NewReader(h.append(nil)))
		if err != nil || again != h {
			t.Errorf("%+v reads back as %+v, %v", h, again, err)
		}
		if size := helloHead + int(binary.BigEndian.Uint16(b[4:])); len(b)-r.Len() != size {
			t.Errorf("%d bytes were read of a hello of %d", len(b)-r.Len(), size)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	good := answer{RefusedCluster, 2, Versions{1, 2}, ours, 3, 4, "because"}
	f.Add(good.append(nil))
	lie := good.append(nil)
	lie[helloHead+34]++
	f.Add(lie)
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := readAnswer(bytes.NewReader(b))
		if err != nil || len(a.text) > textBytesMax {
			return
		}
		again, err := readAnswer(bytes.NewReader(a.append(nil)))
		if err != nil || again != a {
			t.Errorf("%+v reads back as %+v, %v", a, again, err)
		}
	})
}

func FuzzFrames(f *testing.F) {
	for _, check := range []bool{false, true} {
		b := appendFrame(nil, frameMessage, check, 1, 2, 3)
		b = appendFrame(b, framePing, check, 0, 0, 0, 0, 0, 0, 0, 1)
		f.Add(b, check)
		f.Add(b[:len(b)-3], check)
	}
	f.Add([]byte{0xFF, 0xFF, 0xFF, 0xFF, 1}, false)
	f.Add([]byte{0, 0, 0, 0, 1}, false)
	f.Fuzz(func(t *testing.T, b []byte, check bool) {
		type frame struct {
			kind frameKind
			body []byte
		}
		read := func(r io.Reader) (out []frame, end error) {
			fr := newFrameReader(r, 1<<20, check)
			for {
				kind, body, err := fr.next()
				if err != nil {
					return out, err
				}
				out = append(out, frame{kind, bytes.Clone(body)})
			}
		}
		one, end := read(bytes.NewReader(b))
		two, same := read(iotest.OneByteReader(bytes.NewReader(b)))
		equal := slices.EqualFunc(one, two, func(x, y frame) bool { return x.kind == y.kind && bytes.Equal(x.body, y.body) })
		if !equal || end.Error() != same.Error() {
			t.Errorf("read at once: %d frames, %v; byte by byte: %d frames, %v", len(one), end, len(two), same)
		}
		var back []byte
		for _, x := range one {
			back = appendFrame(back, x.kind, check, x.body...)
		}
		if !bytes.HasPrefix(b, back) || end == io.EOF && len(back) != len(b) {
			t.Errorf("%d bytes of %d read back: %v", len(back), len(b), end)
		}
	})
}

func TestALyingLengthTakesNoMemory(t *testing.T) {
	b := binary.BigEndian.AppendUint32(nil, 60<<20)
	b = append(b, byte(frameMessage), 1, 2, 3)
	fr := newFrameReader(bytes.NewReader(b), 64<<20, false)
	if _, _, err := fr.next(); err != io.ErrUnexpectedEOF {
		t.Errorf("got %v", err)
	}
	if cap(fr.large) > 4*readBytes {
		t.Errorf("%d bytes were taken for 8 that arrived", cap(fr.large))
	}
	b = binary.BigEndian.AppendUint32(nil, 0xFFFF_FFF0)
	fr = newFrameReader(bytes.NewReader(append(b, 1)), 64<<20, false)
	if _, _, err := fr.next(); err == nil || cap(fr.large) > 0 {
		t.Errorf("a length of 4 GiB: %v", err)
	}
}

// FuzzCalls feeds the answering end of a call lane with frames that no honest
// peer sends, and the asking end with their bodies as replies.
func FuzzCalls(f *testing.F) {
	l := letter{id: 7, kind: 1, body: []byte("hello")}
	f.Add(l.append(nil, true)[frameHead:])
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 9, 1, 0, 0, 0, 0})
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 9, 1, 0xFF, 0xFF, 0xFF, 0xFF})
	f.Fuzz(func(t *testing.T, body []byte) {
		c := &callee{t: &Transport{cfg: Config{Handler: &script{}, CallsMax: 4, CallBytesMax: 1 << 16, MessageBytesMax: 1 << 16, Self: func() Node { return 1 }}},
			w: &wire{}, ctx: t.Context(), tasks: map[uint64]*task{}}
		c.box.init(true)
		for _, take := range []func([]byte) error{c.begin, c.add, c.drop, c.begin} {
			if take(body) != nil {
				break
			}
		}
		c.work.Wait()
		for done := []*letter{nil}; len(done) > 0; {
			_, done = c.box.take(nil, done[:0])
			for _, l := range done {
				l.gone()
			}
		}
		held := 0
		for _, k := range c.tasks {
			held += k.total
		}
		if held != c.bytes {
			t.Errorf("%d bytes are counted, %d held", c.bytes, held)
		}
		var q caller
		q.bodyMax, q.waiting = 1<<16, map[uint64]*question{7: {done: make(chan struct{})}}
		for _, first := range []bool{true, false, true} {
			if q.take(first, body) != nil {
				break
			}
		}
	})
}
