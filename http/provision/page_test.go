package provision

import (
	"math"
	"slices"
	"testing"

	"github.com/valyala/fasthttp"
	"pgregory.net/rapid"

	"footfall/analytics/accounts"
)

// TestPagesTileAList walks random lists in both directions.
func TestPagesTileAList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfDistinct(rapid.Uint64Range(1, 60), rapid.ID[uint64]).Draw(t, "ids")
		slices.Sort(ids)
		want := slices.Clone(ids)
		slices.Reverse(want)
		l := listed(ids, func(x uint64) uint64 { return x })
		p := page{limit: rapid.IntRange(1, 12).Draw(t, "limit")}
		var got []uint64
		part, m := cut(l, p)
		for {
			got = append(got, part...)
			if m.After == nil {
				break
			}
			after, err := readCursor("after", *m.After)
			if err != nil || len(part) != p.limit {
				t.Fatalf("a page of %d goes on, %v", len(part), err)
			}
			part, m = cut(l, page{limit: p.limit, after: after})
		}
		if !slices.Equal(got, want) {
			t.Fatalf("forward %v, want %v", got, want)
		}
		got = part
		for m.Before != nil {
			before, err := readCursor("before", *m.Before)
			if err != nil {
				t.Fatal(err)
			}
			part, m = cut(l, page{limit: p.limit, before: before})
			got = append(slices.Clone(part), got...)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("backward %v, want %v", got, want)
		}
	})
}

func FuzzCursor(f *testing.F) {
	for _, id := range []uint64{1, 77, math.MaxInt64} {
		f.Add(*cursor(id))
	}
	f.Add("")
	f.Add("aWQ6MDA1")
	f.Fuzz(func(t *testing.T, text string) {
		id, err := readCursor("after", text)
		if err != nil || text == "" {
			return
		}
		if again, err := readCursor("after", *cursor(id)); err != nil || again != id || id > math.MaxInt64 {
			t.Fatalf("%q is %d, then %d, %v", text, id, again, err)
		}
	})
}

// FuzzFields: whatever a body is, it is read or refused, and every call can ask
// for its members.
func FuzzFields(f *testing.F) {
	f.Add(`{"site_id":"shop.example","custom_props":{"a":1},"tracker_script_configuration":{"outbound_links":true}}`, "application/json", "limit=5&after=x")
	f.Add("a[b]=c&a=d&a[e]=f", "application/x-www-form-urlencoded", "a[b]=x")
	f.Add("--x\r\nContent-Disposition: form-data; name=\"domain\"\r\n\r\na.b\r\n--x--\r\n", "multipart/form-data; boundary=x", "")
	f.Add("--x\r\nContent-Disposition: form-data; name=\"domain\"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=3D\r\n--x--\r\n", `multipart/form-data; boundary="x"`, "%zz")
	f.Fuzz(func(t *testing.T, body, kind, query string) {
		var ctx fasthttp.RequestCtx
		ctx.Request.Header.SetMethod("PUT")
		ctx.Request.SetRequestURI("/api/v1/sites?" + query)
		ctx.Request.SetBodyString(body)
		ctx.Request.Header.SetContentType(kind)
		fields, err := readFields(&ctx, accounts.Identity{Key: 1})
		if err != nil {
			return
		}
		for name := range fields {
			_, _ = fields.text(name)
			if m, err := fields.object(name); err == nil {
				_, _ = conditions(m)
			}
		}
		_, _ = fields.trackerChange()
		_, _ = fields.page()
	})
}
