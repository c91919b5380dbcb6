package reporter

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"strings"
	"time"
)

// mailMax bounds one connection with the mail server.
const mailMax = 5 * time.Minute

// MailConfig is what a Mailer is made of.
type MailConfig struct {
	Address        string // "host:port"
	TLS            bool   // from the first byte on; otherwise as soon as the server offers it
	User, Password string // "" for none; sent over TLS only, or to this machine
	From           mail.Address
	Authorities    *tls.Config // nil for the machine's authorities
}

// Mailer sends reports by e-mail, to each address a mail of its own. Safe for
// concurrent use.
type Mailer struct{ cfg MailConfig }

// NewMailer makes a Mailer.
func NewMailer(cfg MailConfig) *Mailer { return &Mailer{cfg} }

// send sends a report to each of the addresses. done are those that have it or
// that the server refuses for good.
func (m *Mailer) send(ctx context.Context, to []string, report *Report) (done []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, mailMax)
	defer cancel()
	c, err := m.open(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	for i, address := range to {
		failure := m.mail(c, address, report)
		var answered *textproto.Error
		switch {
		case failure == nil:
			done = append(done, address)
			continue
		case !errors.As(failure, &answered): // the connection is gone
			return done, fmt.Errorf("mail %d of %d: %w", i+1, len(to), failure)
		case errors.As(failure, new(noSuchMailbox)) && answered.Code >= 500:
			done = append(done, address)
		}
		// Its text may hold the address.
		err = errors.Join(err, fmt.Errorf("mail %d of %d: the server answered %d", i+1, len(to), answered.Code))
		if reset := c.Reset(); reset != nil {
			return done, errors.Join(err, fmt.Errorf("go on after it: %w", reset))
		}
	}
	_ = c.Quit() // the mails are accepted, whatever it answers
	return done, err
}

// open connects and signs in.
func (m *Mailer) open(ctx context.Context) (*smtp.Client, error) {
	host, _, err := net.SplitHostPort(m.cfg.Address)
	if err != nil {
		return nil, fmt.Errorf("connect to the mail server: %w", err)
	}
	secure := &tls.Config{}
	if m.cfg.Authorities != nil {
		secure = m.cfg.Authorities.Clone()
	}
	secure.ServerName, secure.MinVersion = host, tls.VersionTLS12
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", m.cfg.Address)
	if err != nil {
		return nil, fmt.Errorf("connect to the mail server: %w", err)
	}
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	if m.cfg.TLS {
		conn = tls.Client(conn, secure)
	}
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("greet the mail server: %w", err)
	}
	if err := m.signIn(c, host, secure); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (m *Mailer) signIn(c *smtp.Client, host string, secure *tls.Config) error {
	if err := c.Hello("localhost"); err != nil {
		return fmt.Errorf("greet the mail server: %w", err)
	}
	if offered, _ := c.Extension("STARTTLS"); offered && !m.cfg.TLS {
		if err := c.StartTLS(secure); err != nil {
			return fmt.Errorf("begin TLS with the mail server: %w", err)
		}
	}
	if m.cfg.User != "" {
		if err := c.Auth(smtp.PlainAuth("", m.cfg.User, m.cfg.Password, host)); err != nil {
			return fmt.Errorf("sign in to the mail server: %w", err)
		}
	}
	return nil
}

// noSuchMailbox is a refusal of the receiver, and not of the mail or its sender.
type noSuchMailbox struct{ error }

func (e noSuchMailbox) Unwrap() error { return e.error }

func (m *Mailer) mail(c *smtp.Client, to string, report *Report) error {
	message, err := m.compose(to, report)
	if err != nil {
		return err
	}
	if err := c.Mail(m.cfg.From.Address); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return noSuchMailbox{err}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(message); err != nil {
		return err
	}
	return w.Close()
}

// compose writes a mail: headers, plain text, and the same as HTML.
func (m *Mailer) compose(to string, report *Report) ([]byte, error) {
	var out bytes.Buffer
	parts := multipart.NewWriter(&out)
	// The boundary is no part of the texts, which are quoted-printable.
	if err := parts.SetBoundary("=_" + report.ID); err != nil {
		return nil, fmt.Errorf("compose a mail: %w", err)
	}
	_, domain, _ := strings.Cut(m.cfg.From.Address, "@")
	for _, h := range [][2]string{
		{"From", m.cfg.From.String()},
		{"To", (&mail.Address{Address: to}).String()},
		{"Subject", mime.QEncoding.Encode("utf-8", report.subject())},
		{"Date", report.created.UTC().Format(time.RFC1123Z)},
		{"Message-ID", "<" + report.messageID(to) + "@" + domain + ">"},
		{"Auto-Submitted", "auto-generated"},
		{"MIME-Version", "1.0"},
		{"Content-Type", `multipart/alternative; boundary="` + parts.Boundary() + `"`},
	} {
		out.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	out.WriteString("\r\n")
	for _, p := range []struct {
		kind  string
		write func(*Report, *bytes.Buffer) error
	}{{"text/plain", writeText}, {"text/html", writeHTML}} {
		var body bytes.Buffer
		if err := p.write(report, &body); err != nil {
			return nil, fmt.Errorf("compose a mail: %w", err)
		}
		w, err := parts.CreatePart(textproto.MIMEHeader{"Content-Type": {p.kind + "; charset=utf-8"}, "Content-Transfer-Encoding": {"quoted-printable"}})
		if err != nil {
			return nil, fmt.Errorf("compose a mail: %w", err)
		}
		quoted := quotedprintable.NewWriter(w)
		if _, err := quoted.Write(body.Bytes()); err != nil {
			return nil, fmt.Errorf("compose a mail: %w", err)
		}
		if err := quoted.Close(); err != nil {
			return nil, fmt.Errorf("compose a mail: %w", err)
		}
	}
	if err := parts.Close(); err != nil {
		return nil, fmt.Errorf("compose a mail: %w", err)
	}
	return out.Bytes(), nil
}
