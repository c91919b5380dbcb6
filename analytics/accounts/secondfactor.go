package accounts

import (
	"crypto/subtle"
	"encoding/base32"
	"slices"
	"strings"

	"footfall/analytics"
)

// RecoveryCodes is how many recovery codes a second factor comes with.
const RecoveryCodes = 10

// OfferMaxMS is how long a second factor that was offered can be confirmed, in
// milliseconds.
const OfferMaxMS = 60 * 60 * 1000

// SecondFactor is what a user must show besides the password. The secret is
// kept as it is, because codes cannot be checked without it; of recovery codes
// only hashes are. Immutable.
type SecondFactor struct {
	User     uint64     `json:"user"`
	Secret   TOTPSecret `json:"secret"`
	Offered  int64      `json:"offered"`            // Unix ms
	Enabled  int64      `json:"enabled,omitempty"`  // Unix ms; 0: offered only
	Step     uint64     `json:"step,omitempty"`     // of the last code that was used
	Recovery []Hash     `json:"recovery,omitempty"` // of the codes that were not used yet
}

// Proof is what shows a second factor: the step of a code, as TOTPSecret.Step
// gives it, or a recovery code.
type Proof struct {
	Step     uint64 `json:"step,omitempty"`
	Recovery *Hash  `json:"recovery,omitempty"`
}

// RecoveryCode makes a recovery code of 80 random bits: 16 characters in groups
// of four.
func RecoveryCode(random [10]byte) string {
	text := strings.ToLower(base32.StdEncoding.EncodeToString(random[:]))
	return text[:4] + "-" + text[4:8] + "-" + text[8:12] + "-" + text[12:]
}

// RecoveryHash hashes a recovery code as people type it: case, spaces and
// hyphens do not matter.
func RecoveryHash(code string) Hash {
	return HashOf([]byte(strings.NewReplacer("-", "", " ", "").Replace(strings.ToLower(code))))
}

// HasRecovery tells whether h is the hash of a recovery code that was not used
// yet, in a time that does not depend on which.
func (f *SecondFactor) HasRecovery(h *Hash) bool {
	found := 0
	for i := range f.Recovery {
		found |= subtle.ConstantTimeCompare(f.Recovery[i][:], h[:])
	}
	return found == 1
}

// spend gives f after p was used, or refuses p.
func (f *SecondFactor) spend(p Proof) (*SecondFactor, error) {
	left := *f
	if p.Recovery != nil {
		left.Recovery = slices.DeleteFunc(slices.Clone(f.Recovery), func(h Hash) bool { return h == *p.Recovery })
		if len(left.Recovery) == len(f.Recovery) {
			return nil, analytics.Errorf(analytics.Unauthorized, "recovery_code: not right or used already")
		}
		return &left, nil
	}
	if p.Step <= f.Step {
		return nil, analytics.Errorf(analytics.Unauthorized, "code: not right or used already")
	}
	left.Step = p.Step
	return &left, nil
}

// OfferSecondFactor offers a user a second factor. A newer offer replaces it;
// who has one already must remove it first.
type OfferSecondFactor struct {
	User   uint64     `json:"user"`
	Secret TOTPSecret `json:"secret"`
}

func (c *OfferSecondFactor) kind() kind { return kindOfferSecondFactor }

func (c *OfferSecondFactor) Check() error {
	if c.Secret == (TOTPSecret{}) {
		return invalid("secret: must be random")
	}
	return nil
}

// ConfirmSecondFactor enables the second factor on offer and signs the user out
// everywhere but in the session Keep. Offer is the hash of its secret, so that
// what was shown is confirmed and not what replaced it meanwhile.
type ConfirmSecondFactor struct {
	User     uint64 `json:"user"`
	Offer    Hash   `json:"offer"`
	Step     uint64 `json:"step"` // of the code that confirms it
	Recovery []Hash `json:"recovery"`
	Keep     *Hash  `json:"keep,omitempty"`
}

func (c *ConfirmSecondFactor) kind() kind { return kindConfirmSecondFactor }

func (c *ConfirmSecondFactor) Check() error {
	if len(c.Recovery) > RecoveryCodes || slices.Contains(c.Recovery, Hash{}) {
		return invalid("recovery_codes: have no usable hashes")
	}
	return nil
}

// OpenProvenSession signs a user in who has a second factor. Without a Proof
// the caller has shown it in a session that this one takes the place of.
type OpenProvenSession struct {
	Session OpenSession `json:"session"`
	Proof   *Proof      `json:"proof,omitempty"`
}

func (c *OpenProvenSession) kind() kind   { return kindOpenProvenSession }
func (c *OpenProvenSession) Check() error { return c.Session.Check() }

// RemoveSecondFactor removes the second factor of a user. Without a Proof
// somebody does who manages the user.
type RemoveSecondFactor struct {
	User  uint64 `json:"user"`
	Proof *Proof `json:"proof,omitempty"`
}

func (c *RemoveSecondFactor) kind() kind   { return kindRemoveSecondFactor }
func (c *RemoveSecondFactor) Check() error { return nil }

func (c *OfferSecondFactor) apply(s *State, at int64) Result {
	if _, ok := s.view.User(c.User); !ok {
		return refused(analytics.NotFound, "user: there is no user %d", c.User)
	}
	if _, has := s.view.SecondFactor(c.User); has {
		return refused(analytics.Conflict, "second factor: there is one already")
	}
	return s.putFactor(&SecondFactor{User: c.User, Secret: c.Secret, Offered: at})
}

func (c *ConfirmSecondFactor) apply(s *State, at int64) Result {
	old, ok := s.view.factors.get(c.User)
	switch {
	case !ok || at-old.Offered > OfferMaxMS && old.Enabled == 0:
		return refused(analytics.NotFound, "second factor: none is on offer, or not any more")
	case old.Enabled != 0:
		return refused(analytics.Conflict, "second factor: there is one already")
	case HashOf(old.Secret[:]) != c.Offer:
		return refused(analytics.Conflict, "second factor: another one was offered meanwhile")
	}
	f := *old
	f.Enabled, f.Step, f.Recovery = at, c.Step, slices.Clone(c.Recovery)
	for n := range s.view.SessionsOf(c.User) {
		if c.Keep == nil || n.Hash != string(c.Keep[:]) {
			s.closeSession(n)
		}
	}
	return s.putFactor(&f)
}

func (c *OpenProvenSession) apply(s *State, at int64) Result {
	old, has := s.view.SecondFactor(c.Session.User)
	if c.Proof == nil || !has {
		return s.openSession(&c.Session, at)
	}
	f, err := old.spend(*c.Proof)
	if err != nil {
		return Result{Err: err}
	}
	out := s.openSession(&c.Session, at)
	if out.Err == nil {
		out.Factor = s.putFactor(f).Factor
	}
	return out
}

func (c *RemoveSecondFactor) apply(s *State, _ int64) Result {
	f, has := s.view.SecondFactor(c.User)
	if !has {
		return refused(analytics.NotFound, "second factor: there is none")
	}
	if c.Proof != nil {
		if _, err := f.spend(*c.Proof); err != nil {
			return Result{Err: err}
		}
	}
	s.dropFactor(c.User)
	return Result{Factor: f}
}

func (s *State) putFactor(f *SecondFactor) Result {
	s.view.factors = s.view.factors.put(f.User, f)
	s.mark(RefSecondFactor, f.User)
	return Result{Factor: f}
}

func (s *State) dropFactor(user uint64) {
	if _, ok := s.view.factors.get(user); ok {
		s.view.factors = s.view.factors.delete(user)
		s.mark(RefSecondFactor, user)
	}
}

// SecondFactor finds the second factor that a user has enabled.
func (v *View) SecondFactor(user uint64) (*SecondFactor, bool) {
	f, ok := v.factors.get(user)
	if !ok || f.Enabled == 0 {
		return nil, false
	}
	return f, true
}

// SecondFactorOffered finds the second factor that a user can confirm at now,
// Unix ms.
func (v *View) SecondFactorOffered(user uint64, now int64) (*SecondFactor, bool) {
	f, ok := v.factors.get(user)
	if !ok || f.Enabled != 0 || now-f.Offered > OfferMaxMS {
		return nil, false
	}
	return f, true
}
