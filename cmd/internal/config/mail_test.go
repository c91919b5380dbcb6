package config

import (
	"strings"
	"testing"
)

func TestMailSettings(t *testing.T) {
	for _, c := range []struct {
		url, from, address, user, wrong string
		tls                             bool
	}{
		{"", "", "", "", "", false},
		{"smtp://mail.example.com", "a@b.example", "mail.example.com:587", "", "", false},
		{"smtp://mail.example.com:25/", "a@b.example", "mail.example.com:25", "", "", false},
		{"smtps://me%40x:secret@[::1]", "A <a@b.example>", "[::1]:465", "me@x", "", true},
		{"smtp://mail.example.com", "", "", "", "--smtp-url: needs mail-from too", false},
		{"", "a@b.example", "", "", "--mail-from: needs smtp-url", false},
		{"http://me:secret@x", "a@b.example", "", "", "--smtp-url: is not like smtp://", false},
		{"smtp://me:secret@x:99999", "a@b.example", "", "", "--smtp-url: has a port", false},
		{"smtp://me:secret@x:y", "a@b.example", "", "", "--smtp-url: is not like smtp://", false},
		{"smtp://me:secret@x/path", "a@b.example", "", "", "--smtp-url: is not like smtp://", false},
		{"smtp://x", "nobody", "", "", "--mail-from: is not like", false},
		{"smtp://x", "a@b.example\r\nBcc: c@d.example", "", "", "--mail-from: is not like", false},
	} {
		flags := map[string]string{}
		for name, value := range map[string]string{"smtp-url": c.url, "mail-from": c.from} {
			if value != "" {
				flags[name] = value
			}
		}
		got, err := Load(flags, nil, nil)
		switch {
		case c.wrong != "":
			if err == nil || !strings.HasPrefix(err.Error(), c.wrong) || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: %v, want %s", c.url, err, c.wrong)
			}
		case err != nil:
			t.Errorf("%s: %v", c.url, err)
		case got.Mail.Address != c.address || got.Mail.TLS != c.tls || got.Mail.User != c.user || got.Mail.Enabled() != (c.address != ""):
			t.Errorf("%s: %+v", c.url, got.Mail)
		}
	}
}
