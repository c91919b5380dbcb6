package accounts

import (
	"strings"
	"testing"
)

func TestCheckPassword(t *testing.T) {
	for _, good := range []string{"a fine long sentence", "tr0ub4dor&3x", "größenwahn im mai", strings.Repeat("ab1X", 50), "Kx7-pq2-Zz9"} {
		if err := CheckPassword(good, "ada@example.com"); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for bad, want := range map[string]string{
		"":                         "at least 10",
		"short1234":                "at least 10",
		"ääääääääö":                "at least 10",
		strings.Repeat("ab1X", 51): "longer than 200",
		"bad\xffbytes here":        "UTF-8",
		"1234567890":               "tried first",
		"Password123!":             "tried first",
		"QWERTYUIOP":               "tried first",
		"iloveyou2024":             "tried first",
		"aaaaaaaaaaaaaaa":          "tried first",
		"ababababababab":           "tried first",
		"ada.lovelace@example.com": "e-mail",
		"ada.lovelace1815":         "e-mail",
	} {
		err := CheckPassword(bad, "ada.lovelace@example.com")
		if err == nil || !strings.HasPrefix(err.Error(), "password: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", bad, err, want)
		}
		if err != nil && bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("the error repeats the password %q", bad)
		}
	}
}
