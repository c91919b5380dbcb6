package accounts

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"footfall/analytics"
)

// Hash is the SHA-256 of a secret that is itself never kept: of an API key, a
// session id, a setup token. Its text form is hexadecimal.
type Hash [sha256.Size]byte

// HashOf hashes a secret's text.
func HashOf(secret []byte) Hash { return sha256.Sum256(secret) }

func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

func (h *Hash) UnmarshalText(text []byte) error { return fixedHex(h[:], text, "hash") }

// Secret keys the event ids of one site. Its text form is hexadecimal.
type Secret [16]byte

func (s Secret) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, s[:]), nil }

func (s *Secret) UnmarshalText(text []byte) error { return fixedHex(s[:], text, "secret") }

func fixedHex(dst, text []byte, what string) error {
	if len(text) != 2*len(dst) {
		return analytics.Errorf(analytics.Invalid, "%s: must have %d hexadecimal digits", what, 2*len(dst))
	}
	if _, err := hex.Decode(dst, text); err != nil {
		return analytics.Errorf(analytics.Invalid, "%s: %w", what, err)
	}
	return nil
}

// Org is an organisation: it owns sites, users and keys. Immutable, as
// everything that a View gives.
type Org struct {
	ID      uint64 `json:"id"`
	Name    string `json:"name"`
	Created int64  `json:"created"` // Unix ms
}

// User is a person who signs in.
type User struct {
	ID           uint64 `json:"id"`
	Org          uint64 `json:"org"`
	Email        string `json:"email"` // lower case; unique over all organisations
	Name         string `json:"name"`
	Role         Role   `json:"role"`
	PasswordHash string `json:"password_hash"` // argon2id with its parameters
	Created      int64  `json:"created"`       // Unix ms
}

// Key is an API key. The key itself is shown once and never kept.
type Key struct {
	ID       uint64           `json:"id"`
	Org      uint64           `json:"org"`
	Site     analytics.SiteID `json:"site"` // 0: every site of Org
	Name     string           `json:"name"`
	Scopes   []Scope          `json:"scopes"` // sorted, at least one
	Hash     Hash             `json:"hash"`
	Prefix   string           `json:"prefix"`    // first characters of the key, to tell keys apart
	Created  int64            `json:"created"`   // Unix ms
	LastUsed int64            `json:"last_used"` // Unix ms, some minutes late; 0: never
}

// Session is a signed-in browser. Invariant: Created <= LastSeen < Expires.
type Session struct {
	ID       uint64 `json:"id"`
	User     uint64 `json:"user"`
	Hash     string `json:"-"` // the 32 bytes of the Hash of its id
	Created  int64  `json:"created"`
	LastSeen int64  `json:"last_seen"` // Unix ms, some minutes late
	Expires  int64  `json:"expires"`   // Unix ms, whatever happens
	Agent    string `json:"agent"`     // what the browser called itself, for the list
}

// SessionIdle ends a session that was not used for this long, in milliseconds.
const SessionIdle = 24 * 60 * 60 * 1000

// SessionsMax is how many sessions a user may have; the oldest makes room.
const SessionsMax = 50

// Alive tells whether the session may be used at now when it was last seen at
// seen, both Unix ms.
func (s *Session) Alive(now, seen int64) bool { return now < s.Expires && now < seen+SessionIdle }

// ParseRole reads a role's name.
func ParseRole(name string) (Role, error) {
	for r, n := range roleNames {
		if n == name && Role(r) != NoRole {
			return Role(r), nil
		}
	}
	return NoRole, analytics.Errorf(analytics.Invalid, "role: must be viewer, admin or owner")
}

var roleNames = [...]string{"none", "viewer", "admin", "owner"}

// String gives the name of the role as the API writes it.
func (r Role) String() string {
	if int(r) < len(roleNames) {
		return roleNames[r]
	}
	return "unknown"
}

// Scopes lists every scope.
func Scopes() []Scope { return []Scope{EventsWrite, SitesProvision, StatsRead} }

func checkScopes(scopes []Scope) ([]Scope, error) {
	if len(scopes) == 0 {
		return nil, analytics.Errorf(analytics.Invalid, "scope: must be stats:read, events:write or sites:provision")
	}
	out := slices.Clone(scopes)
	slices.Sort(out)
	out = slices.Compact(out)
	for _, s := range out {
		if !slices.Contains(Scopes(), s) {
			return nil, analytics.Errorf(analytics.Invalid, "scope: %q is not stats:read, events:write or sites:provision", clip(string(s)))
		}
	}
	return out, nil
}
