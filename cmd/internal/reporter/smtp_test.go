package reporter

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"
)

// mailServer is an SMTP server on this machine.
type mailServer struct {
	t       *testing.T
	ln      net.Listener
	address string
	secure  *tls.Config // nil: no TLS at all
	fromTheStart,
	needsAuth bool
	refuse map[string]string // answers to RCPT, by address; "" of MAIL is under "from"
	hangUp string            // address after whose RCPT the connection ends

	mu       sync.Mutex
	mails    []received
	sessions int
	open     sync.WaitGroup
}

type received struct {
	from, to string
	overTLS  bool
	user     string
	message  *mail.Message
	body     string
}

// certificate makes one for localhost and those who trust it.
func certificate(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: pool}
}

func startMail(t *testing.T, change func(*mailServer)) *mailServer {
	t.Helper()
	s := &mailServer{t: t, refuse: map[string]string{}}
	if change != nil {
		change(s)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.ln, s.address = ln, ln.Addr().String()
	s.open.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s.open.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		s.open.Wait()
	})
	return s
}

func (s *mailServer) serve(c net.Conn) {
	defer func() { c.Close() }()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	s.mu.Lock()
	s.sessions++
	s.mu.Unlock()
	var got received
	if s.secure != nil && s.fromTheStart {
		c, got.overTLS = tls.Server(c, s.secure), true
	}
	r := textproto.NewReader(bufio.NewReader(c))
	say := func(text string) { _, _ = io.WriteString(c, text+"\r\n") }
	say("220 mail.test ready")
	for {
		l, err := r.ReadLine()
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(l, " ")
		address := strings.Trim(rest[strings.IndexByte(rest, ':')+1:], "<> ")
		if i := strings.IndexByte(address, '>'); i >= 0 {
			address = address[:i]
		}
		switch strings.ToUpper(verb) {
		case "EHLO":
			say("250-mail.test")
			if s.secure != nil && !got.overTLS {
				say("250-STARTTLS")
			}
			if got.overTLS {
				say("250-AUTH PLAIN")
			}
			say("250 8BITMIME")
		case "STARTTLS":
			say("220 go on")
			c, got.overTLS = tls.Server(c, s.secure), true
			r = textproto.NewReader(bufio.NewReader(c))
		case "AUTH":
			plain, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(rest, "PLAIN "))
			if string(plain) != "\x00me\x00secret" {
				say("535 no")
				continue
			}
			got.user = "me"
			say("235 yes")
		case "MAIL":
			if answer := s.refuse["from"]; answer != "" {
				say(answer)
				continue
			}
			if s.needsAuth && got.user == "" {
				say("530 sign in first")
				continue
			}
			got.from = address
			say("250 ok")
		case "RCPT":
			s.mu.Lock()
			answer, gone := s.refuse[address], s.hangUp == address
			s.mu.Unlock()
			if gone {
				return
			}
			if answer != "" {
				say(answer)
				continue
			}
			got.to = address
			say("250 ok")
		case "DATA":
			say("354 go on")
			text, err := r.ReadDotBytes()
			if err != nil {
				return
			}
			m, err := mail.ReadMessage(strings.NewReader(string(text)))
			if err != nil {
				say("554 unreadable")
				continue
			}
			body, _ := io.ReadAll(m.Body)
			got.message, got.body = m, string(body)
			s.mu.Lock()
			s.mails = append(s.mails, got)
			s.mu.Unlock()
			say("250 taken")
		case "RSET", "NOOP":
			say("250 ok")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("500 what?")
		}
	}
}

// receivers lists who has got mail, in order of arrival.
func (s *mailServer) receivers() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, m := range s.mails {
		out = append(out, m.to)
	}
	return strings.Join(out, " ")
}

func (s *mailServer) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// parts reads the plain and the HTML text of a mail.
func (m received) parts(t *testing.T) (plain, html string) {
	t.Helper()
	kind, params, err := mime.ParseMediaType(m.message.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("content type %q, %v", kind, err)
	}
	r := multipart.NewReader(strings.NewReader(m.body), params["boundary"])
	var out []string
	for _, want := range []string{"text/plain; charset=utf-8", "text/html; charset=utf-8"} {
		p, err := r.NextRawPart()
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Header.Get("Content-Type"); got != want {
			t.Errorf("part %q, want %q", got, want)
		}
		text, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(text))
	}
	if _, err := r.NextRawPart(); err != io.EOF {
		t.Errorf("there is something more: %v", err)
	}
	return out[0], out[1]
}

func aReport() *Report {
	change := -12
	return &Report{ID: "0123456789abcdef", Type: "report.weekly", Site: "shop.example", From: "2026-11-02", To: "2026-11-08", Timezone: "Europe/Berlin", URL: "https://stats.example/sites/shop.example",
		Figures: []Figure{{Metric: "visitors", Value: 1234567, Previous: 5, Change: &change}, {Metric: "bounce_rate", Value: 40, Change: &change}, {Metric: "visit_duration", Value: 125}, {Metric: "views_per_visit", Value: 2.25}},
		Pages:   []Best{{Name: "/<script>alert(1)</script>", Visitors: 1000}, {Name: "/a\r\nX: y\u202etxt", Visitors: 3}, {Name: "/" + strings.Repeat("é", 2000), Visitors: 2}},
		Sources: []Best{{Name: "Direct / None", Visitors: 4}}, cadence: "weekly", created: time.Date(2026, 11, 9, 5, 0, 0, 0, time.UTC)}
}

func mailer(s *mailServer, change func(*MailConfig)) *Mailer {
	cfg := MailConfig{Address: s.address, From: mail.Address{Name: "Läden", Address: "stats@mail.example"}}
	if change != nil {
		change(&cfg)
	}
	return NewMailer(cfg)
}

func TestAMailSaysWhatTheReportSays(t *testing.T) {
	s := startMail(t, nil)
	done, err := mailer(s, nil).send(t.Context(), []string{"a@b.example", "c@d.example"}, aReport())
	if err != nil || fmt.Sprint(done) != "[a@b.example c@d.example]" || s.receivers() != "a@b.example c@d.example" || s.sessions != 1 {
		t.Fatalf("%v %v %s over %d connections", done, err, s.receivers(), s.sessions)
	}
	m := s.mails[0]
	h := m.message.Header
	decoded, _ := new(mime.WordDecoder).DecodeHeader(h.Get("From"))
	for got, want := range map[string]string{
		m.from: "stats@mail.example", h.Get("To"): "<a@b.example>", decoded: "Läden <stats@mail.example>",
		h.Get("Subject"): "shop.example: visits from 2026-11-02 to 2026-11-08", h.Get("Auto-Submitted"): "auto-generated", h.Get("Date"): "Mon, 09 Nov 2026 05:00:00 +0000",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if id, other := h.Get("Message-ID"), s.mails[1].message.Header.Get("Message-ID"); !strings.HasSuffix(id, "@mail.example>") || id == other {
		t.Errorf("message ids %q and %q", id, other)
	}
	plain, html := m.parts(t)
	for _, want := range []string{"Visitors            1,234,567   -12 %", "-12 points", "2m 05s", "2.25", "       1,000   /<script>alert(1)</script>", "/a\uFFFD\uFFFDX: y\uFFFDtxt", "éé…", "https://stats.example/sites/shop.example", "Europe/Berlin"} {
		if !strings.Contains(plain, want) {
			t.Errorf("the text has no %q:\n%s", want, plain)
		}
	}
	for _, want := range []string{"1,234,567", "/&lt;script&gt;alert(1)&lt;/script&gt;", `<a href="https://stats.example/sites/shop.example">`} {
		if !strings.Contains(html, want) {
			t.Errorf("the HTML has no %q:\n%s", want, html)
		}
	}
	if strings.Contains(html, "<script") || strings.Contains(html, "\u202e") {
		t.Errorf("hostile text in %s", html)
	}
}

func TestMailGoesOverTLSWhereItCan(t *testing.T) {
	server, client := certificate(t)
	for name, c := range map[string]struct {
		server func(*mailServer)
		client func(*MailConfig)
		wrong  string
	}{
		"as soon as it is offered": {func(s *mailServer) { s.secure, s.needsAuth = server, true },
			func(c *MailConfig) { c.Authorities, c.User, c.Password = client, "me", "secret" }, ""},
		"from the first byte on": {func(s *mailServer) { s.secure, s.fromTheStart, s.needsAuth = server, true, true },
			func(c *MailConfig) { c.TLS, c.Authorities, c.User, c.Password = true, client, "me", "secret" }, ""},
		"to nobody else":          {func(s *mailServer) { s.secure = server }, nil, "begin TLS with the mail server: "},
		"with the right password": {func(s *mailServer) { s.secure = server }, func(c *MailConfig) { c.Authorities, c.User, c.Password = client, "me", "wrong" }, "sign in to the mail server: "},
	} {
		t.Run(name, func(t *testing.T) {
			s := startMail(t, c.server)
			_, err := mailer(s, c.client).send(t.Context(), []string{"a@b.example"}, aReport())
			if c.wrong != "" {
				if err == nil || !strings.HasPrefix(err.Error(), c.wrong) || s.receivers() != "" {
					t.Errorf("%v, mails to %q", err, s.receivers())
				}
				return
			}
			if err != nil || s.receivers() != "a@b.example" || !s.mails[0].overTLS || s.mails[0].user != "me" {
				t.Errorf("%v %+v", err, s.mails)
			}
		})
	}
}

func TestOneRefusedMailDoesNotHoldUpTheOthers(t *testing.T) {
	s := startMail(t, func(s *mailServer) {
		s.refuse["gone@b.example"], s.refuse["full@b.example"] = "550 no such mailbox gone@b.example", "452 mailbox full"
	})
	done, err := mailer(s, nil).send(t.Context(), []string{"gone@b.example", "full@b.example", "a@b.example"}, aReport())
	if fmt.Sprint(done) != "[gone@b.example a@b.example]" || s.receivers() != "a@b.example" {
		t.Errorf("done %v, received %s", done, s.receivers())
	}
	if err == nil || strings.Contains(err.Error(), "@") || !strings.Contains(err.Error(), "452") {
		t.Errorf("error %v", err)
	}
	for name, change := range map[string]func(){
		"a sender that is refused": func() { s.refuse["from"] = "553 not you" },
		"a connection that ends":   func() { delete(s.refuse, "from"); s.hangUp = "a@b.example" },
	} {
		s.set(change)
		if done, err := mailer(s, nil).send(t.Context(), []string{"a@b.example"}, aReport()); err == nil || len(done) != 0 {
			t.Errorf("%s: done %v, %v", name, done, err)
		}
		s.set(func() { delete(s.refuse, "from"); s.hangUp = "" })
	}
	s.ln.Close()
	if done, err := mailer(s, nil).send(t.Context(), []string{"a@b.example"}, aReport()); err == nil || len(done) != 0 {
		t.Errorf("without a server: %v %v", done, err)
	}
}
