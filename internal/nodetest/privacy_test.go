package nodetest

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"footfall/internal/testnode"
)

// canaries are addresses that only this test has. All of the fourth version are
// in 198.18.0.0/15, which nobody has; all of the sixth are in one random
// network of 48 bits, so that a shortened address is found as well.
type canaries struct {
	random  *rand.Rand
	network [6]byte
	fourth  map[[4]byte]bool
}

func newCanaries(random *rand.Rand) *canaries {
	c := &canaries{random: random, network: [6]byte{0x20, 0x01, 0x0d, 0xb8}, fourth: map[[4]byte]bool{}}
	c.network[4], c.network[5] = byte(0x11+random.IntN(0xe0)), byte(random.IntN(256)) // four digits as text
	return c
}

// next gives an address not used yet, of both versions in turns.
func (c *canaries) next() string {
	if len(c.fourth)%2 == 0 || c.random.IntN(2) == 0 {
		for {
			a := [4]byte{198, byte(18 + c.random.IntN(2)), byte(c.random.IntN(256)), byte(c.random.IntN(256))}
			if !c.fourth[a] {
				c.fourth[a] = true
				return netip.AddrFrom4(a).String()
			}
		}
	}
	var a [16]byte
	copy(a[:], c.network[:])
	binary.BigEndian.PutUint16(a[6:], uint16(c.random.Uint32()))
	binary.BigEndian.PutUint64(a[8:], c.random.Uint64())
	return netip.AddrFrom16(a).String()
}

// needles are the forms of all canaries: the text, also as a log would quote
// it, hexadecimal digits, and the bytes of the sixth version, those that stand
// for the fourth among them.
func (c *canaries) needles() [][]byte {
	group := hex.EncodeToString(c.network[4:])
	v6 := []string{"2001:db8:" + group, "2001:0db8:" + group, hex.EncodeToString(c.network[:])}
	out := [][]byte{[]byte("198.18."), []byte("198.19."), []byte("127.77."), c.network[:], []byte("ffffc612"), []byte("ffffc613"),
		append(make([]byte, 8), 0, 0, 0xff, 0xff, 198, 18), append(make([]byte, 8), 0, 0, 0xff, 0xff, 198, 19)}
	for _, text := range v6 {
		out = append(out, []byte(text), []byte(strings.ToUpper(text)))
	}
	return out
}

// short counts how often four bytes that are an address of the set occur, in
// either order of bytes.
func short(places []place, set map[[4]byte]bool) (hits int) {
	for _, p := range places {
		for i := 0; i+4 <= len(p.data); i++ {
			b := p.data[i : i+4]
			if b[0] == 198 && set[[4]byte(b)] || b[3] == 198 && set[[4]byte{b[3], b[2], b[1], b[0]}] {
				hits++
			}
		}
	}
	return hits
}

const (
	bot  = "Googlebot/2.1 (+http://www.google.com/bot.html)"
	spam = "https://semalt.com/"
)

func TestNoAddressIsEverWrittenDown(t *testing.T) {
	random := seeded(t)
	c := newCanaries(random)
	n := testnode.Start(t, testnode.Options{Args: []string{"--log-level", "debug", "--trusted-proxies", "127.0.0.1/32", "--rate-limit-address", "40/s"}})
	const site, mark = "shop.example", "/page-of-the-canaries"
	n.AddSite(t, site, "UTC")
	reportCanaries(t, n, c, site, mark)
	importCanaries(t, n, c, site, mark)

	check := func(when string, places []place, control bool) {
		t.Helper()
		places = append(places, place{"output", n.Printed()})
		if found := holding(places, c.needles()...); len(found) > 0 {
			t.Errorf("%s: %d traces of addresses, such as %s", when, len(found), found[0])
		}
		// Four bytes also meet by chance: as often as for addresses never sent.
		never := map[[4]byte]bool{}
		for len(never) < len(c.fourth) {
			if a := [4]byte{198, byte(18 + random.IntN(2)), byte(random.IntN(256)), byte(random.IntN(256))}; !c.fourth[a] {
				never[a] = true
			}
		}
		if got, chance := short(places, c.fourth), short(places, never); got > 10+5*chance {
			t.Errorf("%s: the four bytes of addresses occur %d times, those of others %d times", when, got, chance)
		}
		if control && len(holding(places, []byte(mark))) == 0 {
			t.Errorf("%s: the page of the views is not found, so the search finds nothing", when)
		}
	}
	check("while it runs", filesBelow(t, n.Data), true)
	n.Kill()
	check("after a kill", filesBelow(t, n.Data), true)
	check("in the records after a kill", recordsBelow(t, n.Data), true)
	n.Resume()
	if got := n.Pages(t, site)[mark]; got < 1000 {
		t.Errorf("only %d views of canaries were counted", got)
	}
	n.Stop()
	check("after an orderly end", filesBelow(t, n.Data), false)
	check("in the records after an orderly end", recordsBelow(t, n.Data), true)
}

// reportCanaries sends views from canaries by every door, good and bad.
func reportCanaries(t *testing.T, n *testnode.Node, c *canaries, site, mark string) {
	t.Helper()
	do := func(want int, r testnode.Request) testnode.Answer {
		t.Helper()
		a := n.Call(t, want, r)
		return a
	}
	header := func(i int, addr string) map[string]string {
		quoted := addr
		if strings.Contains(addr, ":") {
			quoted = `"[` + addr + `]:4711"`
		}
		forms := []map[string]string{{"X-Forwarded-For": addr}, {"X-Forwarded-For": addr + ", 10.0.0.1"}, {"X-Plausible-IP": addr},
			{"CF-Connecting-IP": addr}, {"B-Forwarded-For": addr}, {"Forwarded": "for=" + quoted + ";proto=https"}}
		return forms[i%len(forms)]
	}
	body := `{"n":"pageview","u":"https://` + site + mark + `","d":"` + site + `"}`
	for i := range 900 {
		do(http.StatusAccepted, testnode.Request{Path: "/api/event", Body: body, Header: header(i, c.next())})
	}
	for i := range 100 {
		h := header(i, c.next())
		h["User-Agent"] = bot
		do(http.StatusAccepted, testnode.Request{Path: "/api/event", Body: body, Header: h})
		do(http.StatusAccepted, testnode.Request{Path: "/api/event", Body: strings.Replace(body, `"d":"`, `"d":"unknown-`, 1), Header: header(i, c.next())})
		do(http.StatusAccepted, testnode.Request{Path: "/api/event", Body: strings.Replace(body, `{`, `{"r":"`+spam+`",`, 1), Header: header(i, c.next())})
		do(http.StatusBadRequest, testnode.Request{Path: "/api/event", Body: body[:len(body)-1-i%20], Header: header(i, c.next())})
		do(http.StatusOK, testnode.Request{Path: "/pixel.gif?site=" + site + "&p=" + mark, Header: header(i, c.next())})
		do(http.StatusNotFound, testnode.Request{Path: "/v1/nothing/" + fmt.Sprint(i), Header: header(i, c.next())})
	}
	for i := range 5 {
		do(http.StatusUnauthorized, testnode.Request{Path: "/v1/session", Body: map[string]string{"email": "nobody@example.com", "password": fmt.Sprint("wrong password ", i)}, Header: header(i, c.next())})
	}
	limited := header(0, c.next()) // more than an address may send
	for i, status := 0, 0; status != http.StatusTooManyRequests; i++ {
		a, err := n.Do(t.Context(), testnode.Request{Path: "/api/event", Body: body, Header: limited})
		if status = a.Status; err != nil || i > 5000 {
			t.Fatalf("no limit was met by one address: %d %v", status, err)
		}
	}
	// Trusted senders give the address in the event; bad events have one too.
	for range 4 {
		var events []map[string]any
		for i := range 100 {
			e := map[string]any{"site": site, "url": "https://" + site + mark, "ip": c.next(), "user_agent": testnode.Firefox}
			switch i % 10 {
			case 1:
				e["user_agent"] = bot
			case 2:
				e["url"] = "no url"
			case 3:
				e["ip"] = c.next() + "/24"
			case 4:
				e["timestamp"] = time.Now().Add(-time.Duration(i) * time.Hour).Format(time.RFC3339)
			}
			events = append(events, e)
		}
		do(http.StatusAccepted, testnode.Request{Path: "/v1/events", Body: events, Key: testnode.AsOperator})
	}
	peers(t, n, body)
}

// peers sends good, bad and broken requests from addresses of the connection
// itself, which no proxy stands in front of.
func peers(t *testing.T, n *testnode.Node, body string) {
	t.Helper()
	base := strings.TrimPrefix(n.URL(), "http://")
	for i := range 40 {
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 77, 1, byte(1+i))}, Timeout: 10 * time.Second}
		conn, err := dialer.DialContext(t.Context(), "tcp", base)
		if err != nil {
			t.Skipf("this machine has no other loopback addresses: %v", err)
		}
		request := fmt.Sprintf("POST /api/event HTTP/1.1\r\nHost: %s\r\nUser-Agent: %s\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", base, testnode.Firefox, len(body), body)
		switch i % 4 {
		case 1:
			request = "GET / HTTP/1.1\r\nHost : 127.77.0.1\r\nbroken\r\n\r\n"
		case 2:
			request = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 127.77.0.1"
		case 3:
			request = request[:len(request)-10] // the rest never comes
		}
		_, err = conn.Write([]byte(request))
		if err == nil && i%4 == 0 {
			var answer []byte
			answer, err = io.ReadAll(conn)
			if !bytes.HasPrefix(answer, []byte("HTTP/1.1 202")) {
				t.Errorf("from %s: %s", dialer.LocalAddr, answer)
			}
		}
		if err != nil {
			t.Errorf("from %s: %v", dialer.LocalAddr, err)
		}
		_ = conn.Close() // also in the middle of a request
	}
}

// importCanaries imports a log of canaries, twice, with damaged lines in it.
func importCanaries(t *testing.T, n *testnode.Node, c *canaries, site, mark string) {
	t.Helper()
	dir := t.TempDir()
	var log strings.Builder
	for i := range 300 {
		switch i % 15 {
		case 7:
			fmt.Fprintf(&log, "%s - - [broken\n", c.next())
		case 9:
			fmt.Fprintf(&log, "%s - - [%s] \"GET %s HTTP/1.1\" 200 1 \"-\" \"%s\"\n", c.next(), time.Now().Format("02/Jan/2006:15:04:05 -0700"), mark, bot)
		default:
			fmt.Fprintf(&log, "%s - - [%s] \"GET %s HTTP/1.1\" 200 1 \"-\" \"%s\"\n", c.next(), time.Now().Format("02/Jan/2006:15:04:05 -0700"), mark, testnode.Firefox)
		}
	}
	path := filepath.Join(dir, "access.log")
	if err := os.WriteFile(path, []byte(log.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		n.Footfall(t, "import", "--site", site, path)
	}
	rejected, err := os.ReadFile(path + ".rejected")
	if err != nil || !bytes.Contains(rejected, []byte("198.1")) && !bytes.Contains(rejected, []byte("2001:")) {
		t.Errorf("the rejected lines are not beside the log: %v %s", err, rejected)
	}
}

// TestSaltsAreGoneFromTheDiskAfterTwoDays reads the salts as they are stored
// and searches for them when they must be gone.
func TestSaltsAreGoneFromTheDiskAfterTwoDays(t *testing.T) {
	n := testnode.Start(t, testnode.Options{Dev: true, Args: []string{"--log-level", "debug"}})
	n.AddSite(t, "shop.example", "UTC")
	begin := time.Date(2026, 5, 4, 9, 0, 0, 0, time.UTC)
	all := map[string]bool{}
	view := func() {
		t.Helper()
		if a, err := n.Send(t.Context(), testnode.View{Site: "shop.example", Page: "/", Addr: "192.0.2.1"}); err != nil || a.Status != http.StatusAccepted {
			t.Fatalf("%d %s %v", a.Status, a.Body, err)
		}
	}
	// step lets a fault or a day happen and tells which salts there are then.
	step := func(turn func(), want int) [][]byte {
		t.Helper()
		turn()
		view()
		salts := storedSalts(t, n.Data)
		if len(salts) != want {
			t.Fatalf("%d salts are stored, want %d", len(salts), want)
		}
		for _, s := range salts {
			all[string(s)] = true
			if found := holding(filesBelow(t, n.Data), s); len(found) != 1 {
				t.Fatalf("a salt that is in use is in %d files %v: the search is no good or it is where it should not be", len(found), found)
			}
		}
		return salts
	}
	gone := func(when string, salts ...[]byte) {
		t.Helper()
		var forms [][]byte
		for _, s := range salts {
			forms = append(forms, s, []byte(hex.EncodeToString(s)), []byte(strings.ToUpper(hex.EncodeToString(s))))
		}
		if found := holding(append(filesBelow(t, n.Data), place{"output", n.Printed()}), forms...); len(found) > 0 {
			t.Errorf("%s: %v", when, found)
		}
	}
	first := step(func() { n.SetClock(t, begin) }, 1)
	second := step(func() { n.SetClock(t, begin.Add(24*time.Hour)) }, 2)
	if !bytes.Equal(second[1], first[0]) || bytes.Equal(second[0], first[0]) {
		t.Error("the second day's salt is not a new one before which the first day's stands")
	}
	third := step(func() { n.SetClock(t, begin.Add(48*time.Hour)) }, 2)
	gone("48 hours later", first[0])
	fourth := step(func() { n.RotateSalts(t) }, 2)
	gone("after a rotation", first[0], second[0])
	n.Kill()
	gone("after a kill", first[0], second[0])
	n.Resume()
	fifth := step(func() { n.SetClock(t, begin.Add(49*time.Hour)); n.RotateSalts(t); n.RotateSalts(t) }, 2)
	gone("after two rotations", first[0], second[0], third[0], fourth[0])
	n.Stop()
	gone("after an orderly end", first[0], second[0], third[0], fourth[0])
	for _, p := range recordsBelow(t, n.Data) {
		for salt := range all {
			if bytes.Contains(p.data, []byte(salt)) {
				t.Errorf("%s holds a salt", p.name)
			}
		}
	}
	// A node that nobody visits forgets by itself: here at its first view after a
	// week away.
	n.Resume()
	step(func() { n.SetClock(t, begin.Add(9*24*time.Hour)) }, 1)
	gone("a week later", fifth...)
}

// storedSalts reads the file of the salts: the one in force, then the one
// before it.
func storedSalts(t *testing.T, data string) (salts [][]byte) {
	t.Helper()
	const head, each, day = 6, 20, 4
	b, err := os.ReadFile(filepath.Join(data, "salts"))
	if err != nil {
		t.Fatal(err)
	}
	for b = b[head:]; len(b) >= each; b = b[each:] {
		salts = append(salts, b[day:each])
	}
	return salts
}

// TestTheDebugHeaderShowsTheAddressToItsOwnerOnly keeps the one answer that has
// an address in it from being stored on its way.
func TestTheDebugHeaderShowsTheAddressToItsOwnerOnly(t *testing.T) {
	n := testnode.Start(t, testnode.Options{})
	a, err := n.Do(context.Background(), testnode.Request{Path: "/api/event", Body: "{}", Header: map[string]string{"X-Debug-Request": "true", "X-Forwarded-For": "198.18.7.9"}})
	if err != nil || string(a.Body) != "198.18.7.9" {
		t.Fatalf("got %d %s %v", a.Status, a.Body, err)
	}
	n.Stop()
	if found := holding(append(filesBelow(t, n.Data), place{"output", n.Printed()}), []byte("198.18.7.9")); len(found) > 0 {
		t.Error(found)
	}
}
