package accounts

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
)

// Form of one-time codes: those of RFC 6238 that every authenticator knows.
const (
	totpStepMS  = 30_000
	totpDigits  = 6
	totpModulus = 1_000_000
	totpDrift   = 1 // steps that the clocks may be apart, either way
)

// TOTPSecret is what an authenticator and the account share, 160 random bits.
// Its text form is hexadecimal.
type TOTPSecret [20]byte

func (s TOTPSecret) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, s[:]), nil }

func (s *TOTPSecret) UnmarshalText(text []byte) error { return fixedHex(s[:], text, "secret") }

// Base32 gives the form in which people type the secret into an authenticator:
// 32 characters.
func (s *TOTPSecret) Base32() string { return base32.StdEncoding.EncodeToString(s[:]) }

// URI gives the address that an authenticator reads from a QR code.
func (s *TOTPSecret) URI(issuer, account string) string {
	return "otpauth://totp/" + url.PathEscape(issuer) + ":" + url.PathEscape(account) +
		"?secret=" + s.Base32() + "&issuer=" + url.QueryEscape(issuer) + "&algorithm=SHA1&digits=6&period=30"
}

// Code gives the code of a step, which is the time in units of 30 seconds.
func (s *TOTPSecret) Code(step uint64) string {
	return fmt.Sprintf("%0*d", totpDigits, truncated(s[:], step)%totpModulus)
}

// truncated is HOTP of RFC 4226 before it is cut to digits.
func truncated(secret []byte, counter uint64) uint32 {
	mac := hmac.New(sha1.New, secret)
	mac.Write(binary.BigEndian.AppendUint64(nil, counter)) // a hash never fails
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	return binary.BigEndian.Uint32(sum[at:]) & 0x7fffffff
}

// Step finds the step of a code at now, Unix ms: the present one or one beside
// it, but none up to after, so that no code serves twice. Spaces in the code do
// not matter. It takes the same time whatever the code is.
func (s *TOTPSecret) Step(code string, now int64, after uint64) (step uint64, ok bool) {
	code = strings.ReplaceAll(code, " ", "")
	present := uint64(max(0, now) / totpStepMS)
	first := present - min(present, totpDrift)
	for at := first; at <= present+totpDrift; at++ {
		if subtle.ConstantTimeCompare([]byte(s.Code(at)), []byte(code)) == 1 && at > after && !ok {
			step, ok = at, true
		}
	}
	return step, ok
}
