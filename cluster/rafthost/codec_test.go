package rafthost

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"testing"

	"go.etcd.io/raft/v3/raftpb"
)

// The bytes of a released version, read by every later one.
func TestRecordsStayAsReleased(t *testing.T) {
	key := logKey(7, 300)
	e := &raftpb.Entry{Term: new(uint64(5)), Index: new(uint64(300)), Type: raftpb.EntryNormal.Enum(), Data: []byte("views")}
	for _, c := range []struct {
		name string
		got  []byte
		want string
	}{
		{"log key", key, "02" + "0007" + "000000000000012c"},
		{"entry", appendEntry(nil, key, e), "0000000000000005" + "00" + "8c05fde4" + "7669657773"},
		{"hard state key", groupKey(Control, keyHardState), "01" + "ffff" + "01"},
		{"hard state", hardState{5, 1, 299}.encode(), "0000000000000005" + "0000000000000001" + "000000000000012b" + "ffc85ce6"},
		{"persisted", point{298, 4}.encode(), "000000000000012a" + "0000000000000004" + "f1497918"},
		{"members", conf{1, []uint64{1}}.encode(), "01" + "0000000000000001" + "0001" + "0000000000000001" + "9d8c8130"},
	} {
		if h := hex.EncodeToString(c.got); h != c.want {
			t.Errorf("%s is\n%s, released was\n%s", c.name, h, c.want)
		}
	}
}

func TestRecordsAreReadBack(t *testing.T) {
	s := hardState{1 << 60, 3, 77}
	if got, err := decodeHardState(s.encode()); err != nil || got != s {
		t.Errorf("hard state %+v, %v", got, err)
	}
	p := point{12, 3}
	if got, err := decodePoint(p.encode()); err != nil || got != p {
		t.Errorf("point %+v, %v", got, err)
	}
	for _, c := range []conf{{1, []uint64{1}}, {9, []uint64{7, 8, 9}}} {
		if got, err := decodeConf(c.encode()); err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("members %+v, %v", got, err)
		}
	}
	if _, err := decodePoint(s.encode()); err == nil {
		t.Error("a hard state is read as a point")
	}
}

func FuzzDecodeEntry(f *testing.F) {
	key := logKey(7, 300)
	for _, data := range []string{"", "x", "some views"} {
		e := &raftpb.Entry{Term: new(uint64(5)), Index: new(uint64(300)), Type: raftpb.EntryNormal.Enum(), Data: []byte(data)}
		f.Add(key, appendEntry(nil, key, e))
	}
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, key, value []byte) {
		e, err := decodeEntry(key, value)
		if err != nil {
			return
		}
		if again := appendEntry(nil, key, e); !bytes.Equal(again, value) {
			t.Errorf("entry %x under %x is written as %x", value, key, again)
		}
	})
}

func FuzzDecodeRecords(f *testing.F) {
	f.Add(hardState{1, 2, 3}.encode())
	f.Add(point{1, 2}.encode())
	f.Add(conf{1, []uint64{1, 2, 3}}.encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, v []byte) {
		if s, err := decodeHardState(v); err == nil && !bytes.Equal(s.encode(), v) {
			t.Errorf("hard state %x is written as %x", v, s.encode())
		}
		if p, err := decodePoint(v); err == nil && !bytes.Equal(p.encode(), v) {
			t.Errorf("point %x is written as %x", v, p.encode())
		}
		if c, err := decodeConf(v); err == nil && !bytes.Equal(c.encode(), v) {
			t.Errorf("members %x are written as %x", v, c.encode())
		}
	})
}
