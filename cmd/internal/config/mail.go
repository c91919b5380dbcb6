package config

import (
	"errors"
	"net"
	"net/mail"
	"net/url"
)

// Mail is how reports go out by e-mail. The zero value sends none.
type Mail struct {
	Address  string // "host:port" of the SMTP server
	TLS      bool   // from the first byte on; otherwise as soon as the server offers it
	User     string // "" for none
	Password string
	From     mail.Address // whom the mails are from
}

// Enabled tells whether there is a server to send with.
func (m *Mail) Enabled() bool { return m.Address != "" }

// check finds what does not fit together and the given setting to blame.
func (m *Mail) check(given places) (name string, err error) {
	switch {
	case m.Enabled() && m.From.Address == "":
		return "smtp-url", errors.New("needs mail-from too")
	case !m.Enabled() && given.says("mail-from"):
		return "mail-from", errors.New("needs smtp-url")
	}
	return "", nil
}

// parseSMTP reads the server's address. What is wrong with it is told without a
// word of it, because of the password.
func (m *Mail) parseSMTP(t string) error {
	m.Address, m.TLS, m.User, m.Password = "", false, "", ""
	if t == "" {
		return nil
	}
	u, err := url.Parse(t)
	if err != nil || u.Scheme != "smtp" && u.Scheme != "smtps" || u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("is not like smtp://user:password@mail.example.com:587")
	}
	port := u.Port()
	if m.TLS = u.Scheme == "smtps"; port == "" && m.TLS {
		port = "465"
	} else if port == "" {
		port = "587"
	}
	m.Address = net.JoinHostPort(u.Hostname(), port)
	if checkAddress(m.Address) != nil || port == "0" {
		return errors.New("has a port that is no number from 1 to 65535")
	}
	if u.User != nil {
		m.User = u.User.Username()
		m.Password, _ = u.User.Password()
	}
	return nil
}

func (m *Mail) parseFrom(t string) error {
	m.From = mail.Address{}
	if t == "" {
		return nil
	}
	from, err := mail.ParseAddress(t)
	if err != nil {
		return errors.New("is not like Footfall <stats@example.com>")
	}
	m.From = *from
	return nil
}
