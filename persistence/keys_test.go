package persistence

import (
	"bytes"
	"testing"
)

func TestKeysOfASiteAreInOrderAndReadBack(t *testing.T) {
	k := SiteKey(258, 7, 3, 20_000, 9)
	group, site, kind, period, chunk, ok := ParseSiteKey(k)
	if !ok || group != 258 || site != 7 || kind != 3 || period != 20_000 || chunk != 9 {
		t.Fatal(group, site, kind, period, chunk, ok)
	}
	if _, _, _, _, _, ok := ParseSiteKey(k[:len(k)-1]); ok {
		t.Fatal("a short key was read")
	}
	from, to := SiteSpan(258, 7)
	if bytes.Compare(k, from) < 0 || bytes.Compare(k, to) >= 0 {
		t.Fatal("a record lies outside its site's span")
	}
	if other := SiteKey(258, 8, 0, 0, 0); bytes.Compare(other, to) < 0 {
		t.Fatal("the next site lies inside the span")
	}
}

func TestTheSpanOfALogIsItsGroups(t *testing.T) {
	from, to := LogSpan(258)
	if !bytes.Equal(from, []byte{TableLog, 1, 2}) || !bytes.Equal(to, []byte{TableLog, 1, 3}) {
		t.Fatal(from, to)
	}
}

func TestTheStateOfAGroupIsOneSpan(t *testing.T) {
	from, to := StateSpan(255)
	if !bytes.Equal(from, []byte{TableSite, 0, 255}) || !bytes.Equal(to, []byte{TableSite, 1}) {
		t.Error(from, to)
	}
	for group := range uint16(256) {
		from, to := StateSpan(group)
		for _, k := range [][]byte{SiteKey(group, 0, 0, 0, 0), SiteKey(group, ^uint64(0), 255, ^uint32(0), ^uint32(0))} {
			if bytes.Compare(k, from) < 0 || bytes.Compare(k, to) >= 0 {
				t.Errorf("group %d: %x lies outside of [%x, %x)", group, k, from, to)
			}
		}
		if next := SiteKey(group+1, 0, 0, 0, 0); bytes.Compare(next, to) < 0 {
			t.Errorf("group %d: the next group lies inside of [%x, %x)", group, from, to)
		}
	}
	from, to = StateSpan(0xffff)
	if !bytes.Equal(from, []byte{TableControl}) || !bytes.Equal(to, []byte{TableSpool}) {
		t.Error("control:", from, to)
	}
}

// Keys are kept for ever: a change here needs a new data format.
func TestKeysKeepTheirBytes(t *testing.T) {
	if k := SiteKey(0x0102, 0x0304050607080910, 0x11, 0x12131415, 0x16171819); !bytes.Equal(k, []byte{4, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19}) {
		t.Errorf("%x", k)
	}
	for i, table := range []byte{TableIdent, TableGroup, TableLog, 3, TableSite, TableControl, TableSpool} {
		if int(table) != i {
			t.Errorf("table %d is %d", i, table)
		}
	}
}

func TestAfterIsTheFirstKeyBehindAPrefix(t *testing.T) {
	for _, c := range []struct{ prefix, want []byte }{
		{[]byte{1, 2}, []byte{1, 3}},
		{[]byte{1, 255}, []byte{2}},
		{[]byte{255, 255}, nil},
	} {
		if got := After(c.prefix); !bytes.Equal(got, c.want) {
			t.Errorf("After(%v) = %v, want %v", c.prefix, got, c.want)
		}
	}
}
