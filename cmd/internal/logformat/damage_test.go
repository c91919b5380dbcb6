package logformat

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// randomLine makes a whole line as servers write them, with the odd forms that
// real ones contain.
func randomLine(r *rand.Rand) []byte {
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	host := pick("83.149.9.216", "2001:db8::1", "::ffff:10.0.0.1", "crawl-66-249-73-135.googlebot.com", "localhost", "хост.рф")
	user := pick("-", "-", "-", "alice", "al ice", "b\u00a0b", `"bob"`)
	at := time.Unix(1_000_000_000+r.Int64N(900_000_000), 0).In(time.FixedZone("", (r.IntN(27)-12)*3600+r.IntN(4)*900))
	date := at.Format("02/Jan/2006:15:04:05 -0700")
	switch r.IntN(30) {
	case 0:
		date = at.Format("2/jan/2006:15:4:5 -07:00")
	case 1:
		date = at.Format("_2/JAN/2006:15:04:05  Z0700")
	case 2:
		date = at.Format("02/Jan/2006:15:04:05")
	case 3:
		date = pick("30/Feb/2015:00:00:00 +0000", "29/Feb/2016:00:00:00 +0000", "29/Feb/1900:00:00:00 +0000", "01/Mai/2015:00:00:00 +0000",
			"31/Jun/2015:10:00:00 +0000", "31/Dec/2016:23:59:60 +0000", "01/Jan/2015:24:00:00 +0000", "01/Jan/0000:00:00:00 +0000",
			"01/Jan/2015:00:00:00 +2400", "01/Jan/2015:00:00:00 -05:30:15", "01/Jan/2015:00:00:00 +0530:15", "01/Jan/2015:00:00:00+0000", "01/Jan/15:00:00:00 +0000")
	}
	method := pick("GET", "GET", "GET", "GET", "HEAD", "POST", "OPTIONS", "get", "PROPFIND", "M-SEARCH")
	target := pick("/", "/blog/tags/puppet?flav=rss20", "/a%20b%20", "/%E4%BD%A0", "/%e4%bd", "/x%zz%4", "/über%C3%BC%C3", "//two//slashes", "http://host/x.html",
		"*", "/a#b?c", "?q=1", "#", "/style.CSS", "/image.jpeg?v=1", "/dir.css/page", "/archive.tar.gz", "/.json", "/noext.", "/%2Ejson", "/a\\\"b", "/a.x\u017fs", "/%20%09%0a", "/\ufeff",
		"/"+strings.Repeat("long/", r.IntN(60)))
	proto := pick("HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/2", "HTTP/", "HTTPS/1.1", "HTTP/..1")
	status := pick("200", "200", "200", "304", "301", "404", "206", "299", "199", "300", "20", "2000", "٢٠٠", "abc")
	size := pick("0", "203023", "-", "9999999999999999999999", "", "12k", "٣")
	line := fmt.Sprintf(`%s - %s [%s] "%s %s %s" %s %s`, host, user, date, method, target, proto, status, size)
	if r.IntN(6) > 0 {
		referrer := pick("-", "http://semicomplete.com/", `http://a/\"x\"`, `\xe4\xe5\xe3`, "", "http://я.рф/ü", `tail\`)
		agent := pick("-", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/32.0 Safari/537.36", `Agent \"quoted\" \\`, "", "Go-http-client/1.1")
		line += fmt.Sprintf(` "%s" "%s"`, referrer, agent)
	}
	return []byte(line + pick("", "", "", "", " ", "\t \u3000", " extra", ` "more"`))
}

// damage breaks a line in one of many ways.
func damage(r *rand.Rand, line []byte) []byte {
	b := bytes.Clone(line)
	at := func() int { return r.IntN(len(b)) }
	if len(b) == 0 {
		return b
	}
	switch r.IntN(14) {
	case 0: // the end is missing
		b = b[:at()]
	case 1: // the beginning is missing
		b = b[at():]
	case 2: // flipped bits
		for range 1 + r.IntN(3) {
			b[at()] ^= 1 << r.IntN(8)
		}
	case 3: // a quote is missing
		if i := bytes.IndexByte(b, '"'); i >= 0 {
			b = append(b[:i], b[i+1:]...)
		}
	case 4: // the last quote is missing
		if i := bytes.LastIndexByte(b, '"'); i >= 0 {
			b = append(b[:i], b[i+1:]...)
		}
	case 5: // zero bytes, as after a power cut
		i := at()
		for j := i; j < len(b) && j < i+16; j++ {
			b[j] = 0
		}
	case 6: // two lines in one
		b = append(b[:at()], line...)
	case 7: // random bytes
		for range 8 {
			b[at()] = byte(r.Uint32())
		}
	case 8: // a blank more
		i := at()
		b = append(b[:i], append([]byte(" "), b[i:]...)...)
	case 9: // a blank less
		if i := bytes.IndexByte(b, ' '); i >= 0 {
			b = append(b[:i], b[i+1:]...)
		}
	case 10: // a part repeated
		i := at()
		b = append(b[:i], b[i/2:]...)
	case 11: // another bracket
		if i := bytes.IndexAny(b, "[]"); i >= 0 {
			b[i] = "[]() "[r.IntN(5)]
		}
	case 12: // a carriage return kept
		b = append(b, '\r')
	case 13: // other white space
		blanks := []string{"\t", "\u00a0", "\u2003", "\x1f", "\v"}
		b = bytes.Replace(b, []byte(" "), []byte(blanks[r.IntN(len(blanks))]), 1)
	}
	return b
}
