package rafthost

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"testing"

	"go.etcd.io/raft/v3/raftpb"
)

// The bytes of a released version, read by every later one.
func TestRecordsStayAsReleased(t *testing.T) {
	joint := conf{replica: 65538, index: 77, voters: []uint64{1, 65538}, learners: []uint64{131075}, outgoing: []uint64{1, 196612}, learnersNext: []uint64{196612}, autoLeave: true}
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
		{"members", conf{replica: 1, voters: []uint64{1}}.encode(), "01" + "0000000000000001" + "0001" + "0000000000000001" + "9d8c8130"},
		{"conf change", appendEntry(nil, key, &raftpb.Entry{Term: new(uint64(5)), Index: new(uint64(300)), Type: raftpb.EntryConfChangeV2.Enum()}), "000000000000000502ae0f8d48"},
		{"truncated key", groupKey(7, keyTruncated), "01" + "0007" + "02"},
		{"truncated", point{290, 4}.encode(), "00000000000001220000000000000004493a8b8f"},
		{"marker key", groupKey(7, keyMarker), "01" + "0007" + "05"},
		{"marker", marker{point{298, 4}, "group-7-298-4", joint}.encode(), "01000000000000012a0000000000000004000d67726f75702d372d3239382d34004e020000000000010002000000000000004d0100020000000000000001000000000001000200010000000000020003000200000000000000010000000000030004000100000000000300043f15118e8f8f6f84"},
		{"newest replica key", groupKey(7, keyLast), "01" + "0007" + "06"},
		{"newest replica", encodeLast(5<<16 | 3), "0000000000050003a4e7771a"},
		{"members 2", joint.encode(), "020000000000010002000000000000004d0100020000000000000001000000000001000200010000000000020003000200000000000000010000000000030004000100000000000300043f15118e"},
		{"members of a blank replica", conf{replica: 5<<16 | 3}.encode(), "0200000000000500030000000000000000000000000000000000703cfebc"},
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
	for _, c := range []conf{{replica: 1, voters: []uint64{1}}, {replica: 9, voters: []uint64{7, 8, 9}}, {replica: 9}, {replica: 9, index: 4, voters: []uint64{9}},
		{replica: 9, index: 4, voters: []uint64{9}, learners: []uint64{1, 2}, outgoing: []uint64{3}, learnersNext: []uint64{3}, autoLeave: true}} {
		if got, err := decodeConf(c.encode()); err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("members %+v, %v", got, err)
		}
	}
	m := marker{point{5, 6}, "stage", conf{replica: 9, index: 4, voters: []uint64{9}}}
	if got, err := decodeMarker(m.encode()); err != nil || !reflect.DeepEqual(got, m) {
		t.Errorf("marker %+v, %v", got, err)
	}
	if _, err := decodeMarker(seal([]byte{2})); !errors.Is(err, errTooNew) {
		t.Errorf("a newer marker: %v", err)
	}
	if _, err := decodeConf(seal([]byte{3})); !errors.Is(err, errTooNew) {
		t.Errorf("newer members: %v", err)
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
	for _, v := range [][]byte{hardState{1, 2, 3}.encode(), point{1, 2}.encode(), conf{replica: 1, voters: []uint64{1, 2, 3}}.encode()} {
		f.Add(v[:len(v)-4])
	}
	for _, v := range [][]byte{conf{replica: 9, index: 4, voters: []uint64{9}, learners: []uint64{1}, outgoing: []uint64{3}, autoLeave: true}.encode(),
		marker{point{5, 6}, "stage", conf{replica: 9}}.encode(), encodeLast(9)} {
		f.Add(v[:len(v)-4])
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, v []byte) {
		v = seal(bytes.Clone(v)) // so that more than the checksum is tried
		if m, err := decodeMarker(v); err == nil && !bytes.Equal(m.encode(), v) {
			t.Errorf("marker %x is written as %x", v, m.encode())
		}
		if r, err := decodeLast(v); err == nil && !bytes.Equal(encodeLast(r), v) {
			t.Errorf("replica %x is written as %x", v, encodeLast(r))
		}
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
