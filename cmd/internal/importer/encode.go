package importer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cespare/xxhash/v2"

	"footfall/analytics"
	"footfall/cmd/internal/logformat"
)

// encoder turns lines into events of a batch. It belongs to one goroutine.
type encoder struct {
	o      Options
	prefix []byte // `https://example.com`
	site   []byte // `"example.com"`
	parser logformat.Parser
	line   logformat.Line

	// seen holds a hash of every line sent, again those sent more than once with
	// their number. Two lines that share a hash only get other ids than they
	// would alone, the same ones at every import.
	seen  map[uint64]struct{}
	again map[uint64]uint32

	sha     hash.Hash
	scratch []byte
	url     []byte
}

func newEncoder(o Options) *encoder {
	e := &encoder{o: o, seen: map[uint64]struct{}{}, again: map[uint64]uint32{}, sha: sha256.New()}
	e.parser.Zone = o.Zone
	e.prefix = []byte("https://" + o.Site)
	e.site = appendString(nil, o.Site)
	return e
}

// add decides what becomes of a line and puts it into b.
func (e *encoder) add(b *batch, input int32, number int64, raw []byte, long bool) {
	b.lines++
	if long {
		b.reject(input, number, fmt.Sprintf("line: longer than %d bytes", lineBytesMax), raw)
		return
	}
	if e.o.Format == NDJSON {
		e.addObject(b, input, number, raw)
		return
	}
	if err := e.parser.Parse(raw, &e.line); err != nil {
		b.reject(input, number, err.Error(), raw)
		return
	}
	page, skip := e.parser.View(&e.line, e.o.AllPaths)
	if skip != logformat.Counted {
		b.skip(skip)
		return
	}
	b.begin()
	b.body = e.appendView(b.body, raw, page)
	b.end(input, number, raw, true)
}

// appendView appends the event of e.line.
func (e *encoder) appendView(dst, raw, page []byte) []byte {
	l := &e.line
	dst = append(dst, `{"id":"`...)
	dst = e.appendID(dst, raw)
	dst = append(dst, `","timestamp":"`...)
	dst = time.UnixMilli(l.Time).UTC().AppendFormat(dst, time.RFC3339)
	dst = append(dst, `","site":`...)
	dst = append(dst, e.site...)
	dst = append(dst, `,"name":"pageview","url":`...)
	page = cut(page, analytics.URLBytesMax)
	e.url = appendURL(e.url[:0], e.prefix, page, logformat.Query(l.Target))
	dst = appendString(dst, e.url)
	dst = append(dst, `,"page":`...)
	dst = appendString(dst, page)
	if r := e.unescaped(l.Referrer); len(r) > 0 {
		dst = append(dst, `,"referrer":`...)
		dst = appendString(dst, shortened(r, analytics.ReferrerBytesMax))
	}
	agent := e.unescaped(l.Agent)
	if addr, err := netip.ParseAddr(string(l.Host)); err == nil {
		dst = append(dst, `,"ip":"`...)
		dst = addr.WithZone("").Unmap().AppendTo(dst)
		dst = append(dst, '"')
	} else {
		dst = append(dst, `,"visitor":"`...)
		dst = e.appendVisitor(dst, l, agent)
		dst = append(dst, '"')
	}
	if l.HasAgent { // also when it is empty, which tells a bot
		dst = append(dst, `,"user_agent":`...)
		dst = appendString(dst, cut(agent, agentBytesMax))
	}
	// A log without user agents cannot tell bots; all of its views count.
	if e.o.KeepBots || !l.HasAgent {
		dst = append(dst, `,"keep_bots":true`...)
	}
	return append(dst, '}')
}

// agentBytesMax is more than any real browser says.
const agentBytesMax = 1000

// unescaped gives a logged text as it was sent, empty for "-". It is valid until
// the next call.
func (e *encoder) unescaped(text []byte) []byte {
	if len(text) == 1 && text[0] == '-' {
		return nil
	}
	e.scratch = logformat.AppendUnescaped(e.scratch[:0], text)
	return e.scratch
}

// appendID appends the event id of a line: 128 bits over its bytes and how many
// times that very line came before.
func (e *encoder) appendID(dst, raw []byte) []byte {
	key := xxhash.Sum64(raw)
	n := uint32(0)
	if _, repeated := e.seen[key]; repeated {
		n = e.again[key] + 1
		e.again[key] = n
	} else {
		e.seen[key] = struct{}{}
	}
	e.sha.Reset()
	e.sha.Write(raw)
	var tail [16]byte
	e.sha.Write(strconv.AppendUint(append(tail[:0], '\n'), uint64(n), 10)) // no line holds a line feed
	return e.appendSum(dst)
}

// appendVisitor names the visitor of a line whose host is no address. The name
// changes with the day, as the ids made of addresses do.
func (e *encoder) appendVisitor(dst []byte, l *logformat.Line, agent []byte) []byte {
	e.sha.Reset()
	e.sha.Write(l.Host)
	e.sha.Write([]byte{'\n'})
	e.sha.Write(agent)
	var tail [24]byte
	e.sha.Write(strconv.AppendInt(append(tail[:0], '\n'), l.Time/86_400_000, 10))
	return e.appendSum(dst)
}

func (e *encoder) appendSum(dst []byte) []byte {
	var sum [sha256.Size]byte
	return hex.AppendEncode(dst, e.sha.Sum(sum[:0])[:16])
}

// addObject passes an event on as it is, with the fields that it lacks.
func (e *encoder) addObject(b *batch, input int32, number int64, raw []byte) {
	text := bytes.TrimSpace(raw)
	if len(text) == 0 {
		b.skip(skipBlank)
		return
	}
	if !utf8.Valid(text) {
		text = logformat.AppendUTF8(nil, text)
	}
	var o struct {
		ID        any     `json:"id"`
		Timestamp any     `json:"timestamp"`
		Site      *string `json:"site"`
		Name      *string `json:"name"`
	}
	if text[0] != '{' {
		b.reject(input, number, "line: not a JSON object", raw)
		return
	}
	if err := json.Unmarshal(text, &o); err != nil {
		b.reject(input, number, "line: "+err.Error(), raw)
		return
	}
	if o.Timestamp == nil {
		b.reject(input, number, "timestamp: is missing", raw)
		return
	}
	if o.Site != nil && !sameSite(*o.Site, e.o.Site) {
		b.reject(input, number, fmt.Sprintf("site: %q is not the site of this import", *o.Site), raw)
		return
	}
	b.begin()
	b.body = append(b.body, text[:len(text)-1]...)
	if o.ID == nil || o.ID == "" {
		b.body = append(b.body, `,"id":"`...)
		b.body = e.appendID(b.body, raw)
		b.body = append(b.body, '"')
	}
	if o.Site == nil {
		b.body = append(b.body, `,"site":`...)
		b.body = append(b.body, e.site...)
	}
	if e.o.KeepBots {
		b.body = append(b.body, `,"keep_bots":true`...)
	}
	b.body = append(b.body, '}')
	b.end(input, number, raw, o.Name == nil || *o.Name == analytics.NamePageview)
}

func sameSite(a, b string) bool {
	plain := func(s string) string { return strings.TrimPrefix(strings.ToLower(s), "www.") }
	return plain(a) == plain(b)
}
