package importer

import (
	"encoding/json"
	"testing"

	"footfall/analytics"
)

// Whatever a line holds, the batch stays JSON with one object per event, and
// the texts of a log's events keep within the limits of the door.
func FuzzEncode(f *testing.F) {
	f.Add([]byte(`1.2.3.4 - - [17/May/2015:10:00:00 +0000] "GET /a%20\"b?x=\xff HTTP/1.1" 200 1 "http://r/\"" "A\\"`))
	f.Add([]byte(`host - - [17/May/2015:10:00:00 +0000] "GET * HTTP/1.1" 200 1`))
	f.Add([]byte(`{"timestamp":"2020-01-01T00:00:00Z","url":"https://example.com/"}`))
	f.Add([]byte(`{"timestamp":1,"id":"","site":null,"x":[{"y":"}"}]} `))
	f.Add([]byte("{\"timestamp\":\"\xff\"}"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, format := range []Format{Combined, NDJSON} {
			e := newEncoder(Options{Site: "example.com", Format: format, KeepBots: true})
			b := &batch{}
			e.add(b, 0, 1, raw, false)
			e.add(b, 0, 2, raw, false)
			if b.lines != 2 || len(b.events)%2 != 0 {
				t.Fatalf("%q: %d lines, %d events", raw, b.lines, len(b.events))
			}
			if len(b.events) == 0 {
				continue
			}
			var events []stored
			if format == NDJSON {
				var objects []map[string]any
				if err := json.Unmarshal(append(b.body, ']'), &objects); err != nil || len(objects) != 2 || objects[0]["id"] == nil || objects[0]["site"] == nil {
					t.Fatalf("%q: %v in %s", raw, err, b.body)
				}
				continue
			}
			if err := json.Unmarshal(append(b.body, ']'), &events); err != nil || len(events) != 2 {
				t.Fatalf("%q: %v in %s", raw, err, b.body)
			}
			for _, x := range events {
				if len(x.URL) > analytics.URLBytesMax || len(x.Page) > analytics.URLBytesMax || len(x.Referrer) > analytics.ReferrerBytesMax ||
					x.Page == "" || x.ID == "" || (x.IP == "") == (x.Visitor == "") {
					t.Fatalf("%q: %+v", raw, x)
				}
			}
			if events[0].ID == events[1].ID {
				t.Fatalf("%q: both times the id %s", raw, events[0].ID)
			}
		}
	})
}
