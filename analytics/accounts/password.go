package accounts

import (
	_ "embed"
	"strings"
	"unicode/utf8"
)

// Bounds of a password.
const (
	PasswordRunesMin = 10
	PasswordBytesMax = 200
)

//go:embed passwords.txt
var commonPasswords string

// CheckPassword refuses passwords that are too short, too long, very common or
// easy to guess from the e-mail address. The error is Invalid and never repeats
// the password.
func CheckPassword(password, email string) error {
	switch {
	case !utf8.ValidString(password):
		return invalid("password: is not valid UTF-8")
	case utf8.RuneCountInString(password) < PasswordRunesMin:
		return invalid("password: must have at least %d characters", PasswordRunesMin)
	case len(password) > PasswordBytesMax:
		return invalid("password: longer than %d bytes", PasswordBytesMax)
	}
	plain := strings.ToLower(strings.TrimSpace(password))
	if local, _, _ := strings.Cut(strings.ToLower(email), "@"); plain == strings.ToLower(email) || len(local) >= 4 && strings.Trim(plain, "0123456789!.-_ ") == local {
		return invalid("password: must not be the e-mail address")
	}
	if few(plain) || common(plain) {
		return invalid("password: is one of those that are tried first")
	}
	return nil
}

// few tells whether s is made of fewer than four different characters.
func few(s string) bool {
	seen := map[rune]bool{}
	for _, r := range s {
		seen[r] = true
	}
	return len(seen) < 4
}

// common tells whether s is on the list, as it stands or with digits and signs
// added at its end.
func common(s string) bool {
	stem := strings.TrimRight(s, "0123456789!?.*#$ ")
	for line := range strings.Lines(commonPasswords) {
		word := strings.TrimSpace(line)
		if word != "" && (word == s || word == stem) {
			return true
		}
	}
	return false
}
