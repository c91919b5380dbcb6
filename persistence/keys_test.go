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
