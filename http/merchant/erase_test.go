package merchant

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"footfall/analytics"
	"footfall/analytics/site"
)

func TestAVisitorIsErasedByTheNameOfTheEventsAPI(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	b := n.as(p, Admin)
	b.do("POST", "/v1/sites/shop.example/erase", `{"visitor":" anna@example.com "}`).want(200, `{"visits":2,"events":3}`)
	want := fmt.Sprintf("shop.example anna@example.com user %d", p.user[Admin].ID)
	if len(n.erased) != 1 || n.erased[0] != want {
		t.Fatalf("erased %q, want %q", n.erased, want)
	}
	n.bearer(n.operatorToken).do("POST", "/v1/sites/shop.example/erase", `{"visitor":"b"}`).want(200)
	if n.erased[1] != "shop.example b operator" {
		t.Fatalf("erased %q", n.erased[1])
	}
	for _, c := range []struct{ body, want string }{
		{`{}`, "visitor: is required"},
		{`{"visitor":"  "}`, "visitor: is required"},
		{`{"visitor":7}`, "visitor: must be a text"},
		{`{"visitor":"` + strings.Repeat("x", analytics.VisitorBytesMax+1) + `"}`, "visitor: is longer than 256 bytes"},
		{`{"user":"x"}`, "user: is not a field"},
	} {
		b.do("POST", "/v1/sites/shop.example/erase", c.body).want(400, c.want)
	}
	if len(n.erased) != 2 {
		t.Fatalf("a wrong request erased: %q", n.erased)
	}
	n.count.err = context.DeadlineExceeded
	b.do("POST", "/v1/sites/shop.example/erase", `{"visitor":"anna"}`).want(503, "visitor: not all is erased yet")
}

// TestClosedMonthsCanBeCheckedFromTheAnswer makes the digests from nothing but
// the answer.
func TestClosedMonthsCanBeCheckedFromTheAnswer(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	b := n.as(p, Viewer)
	b.do("GET", "/v1/sites/shop.example/seals", "").want(200, `"seals":[]`)
	var before [32]byte
	for i := range int32(3) {
		s := site.Seal{Month: site.MonthNumber(2026, 11) + i, Figures: fmt.Appendf(nil, `{"visits":%d,"best_pages":[{"page":"/a\\u003cb","x":1.50}]}`, i), Index: uint64(i), At: begin.UnixMilli()}
		s.Digest = site.SealDigest(before, p.site.ID, s.Month, s.Figures)
		before = s.Digest
		n.sealed = append(n.sealed, s)
	}
	var out struct {
		ID    string `json:"site_id"`
		Seals []struct {
			Month, Digest string
			Figures       raw
		}
	}
	b.do("GET", "/v1/sites/shop.example/seals", "").want(200, `"month":"2027-01"`, `"sealed_at":"2026-11-18T10:30:00Z"`).read(&out)
	if out.ID != fmt.Sprint(uint64(p.site.ID)) || len(out.Seals) != 3 {
		t.Fatalf("%+v", out)
	}
	before = [32]byte{}
	for i, s := range out.Seals {
		before = site.SealDigest(before, p.site.ID, n.sealed[i].Month, s.Figures)
		if s.Digest != hex.EncodeToString(before[:]) || s.Month != site.MonthLabel(n.sealed[i].Month) {
			t.Errorf("%s: the digest cannot be made from %s", s.Month, s.Figures)
		}
	}
}

// raw is JSON as it stands in an answer.
type raw []byte

// UnmarshalJSON keeps the bytes.
func (r *raw) UnmarshalJSON(b []byte) error {
	*r = append((*r)[:0], b...)
	return nil
}
