package accounts

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"footfall/analytics"
)

// rfcSecret is the one of the test vectors of RFC 4226 and RFC 6238.
var rfcSecret = TOTPSecret([]byte("12345678901234567890"))

func TestCodesAreThoseOfTheRFCs(t *testing.T) {
	for counter, want := range []string{"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"} { // RFC 4226, appendix D
		if got := rfcSecret.Code(uint64(counter)); got != want {
			t.Errorf("counter %d: %s, want %s", counter, got, want)
		}
	}
	for second, want := range map[uint64]uint32{59: 94287082, 1111111109: 7081804, 1111111111: 14050471, 1234567890: 89005924, 2000000000: 69279037, 20000000000: 65353130} { // RFC 6238, appendix B, SHA-1
		if got := truncated(rfcSecret[:], second/30) % 100_000_000; got != want {
			t.Errorf("second %d: %08d, want %08d", second, got, want)
		}
	}
	if got := rfcSecret.Base32(); got != "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" {
		t.Errorf("base32 %s", got)
	}
	if got, want := rfcSecret.URI("Footfall", "a b@x.y"), "otpauth://totp/Footfall:a%20b@x.y?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Footfall&algorithm=SHA1&digits=6&period=30"; got != want {
		t.Errorf("uri %s", got)
	}
}

func TestACodeServesOneStepEitherWayAndOnce(t *testing.T) {
	const step, now = 1000, 1000*totpStepMS + 29_999
	for _, c := range []struct {
		name  string
		code  string
		now   int64
		after uint64
		want  uint64 // 0: not taken
	}{
		{"present", rfcSecret.Code(step), now, 0, step},
		{"before", rfcSecret.Code(step - 1), now, 0, step - 1},
		{"after", rfcSecret.Code(step + 1), now, 0, step + 1},
		{"too old", rfcSecret.Code(step - 2), now, 0, 0},
		{"too early", rfcSecret.Code(step + 2), now, 0, 0},
		{"used", rfcSecret.Code(step), now, step, 0},
		{"older than the used one", rfcSecret.Code(step - 1), now, step, 0},
		{"newer than the used one", rfcSecret.Code(step + 1), now, step, step + 1},
		{"with spaces", rfcSecret.Code(step)[:3] + " " + rfcSecret.Code(step)[3:] + " ", now, 0, step},
		{"wrong", "000000", now, 0, 0},
		{"short", rfcSecret.Code(step)[:5], now, 0, 0},
		{"long", rfcSecret.Code(step) + "0", now, 0, 0},
		{"empty", "", now, 0, 0},
		{"at the beginning of time", rfcSecret.Code(1), -5, 0, 1},
	} {
		if got, ok := rfcSecret.Step(c.code, c.now, c.after); got != c.want || ok != (c.want != 0) {
			t.Errorf("%s: step %d, %v, want %d", c.name, got, ok, c.want)
		}
	}
}

func FuzzStep(f *testing.F) {
	f.Add("755224", int64(0), uint64(0))
	f.Add(" 28 7082 ", int64(30_000), uint64(0))
	f.Add("\xff287082", int64(-1), ^uint64(0))
	f.Fuzz(func(t *testing.T, code string, now int64, after uint64) {
		step, ok := rfcSecret.Step(code, now, after)
		if ok != (step != 0) || ok && (step <= after || rfcSecret.Code(step) != strings.ReplaceAll(code, " ", "")) {
			t.Fatalf("%q at %d after %d is step %d, %v", code, now, after, step, ok)
		}
	})
}

func TestRecoveryCodesAreReadAsPeopleWriteThem(t *testing.T) {
	code := RecoveryCode([10]byte{0xff, 1, 2, 3, 4, 5, 6, 7, 8, 9})
	if len(code) != 19 || strings.Count(code, "-") != 3 || strings.ToLower(code) != code {
		t.Fatalf("code %q", code)
	}
	for _, s := range []string{code, strings.ToUpper(code), strings.ReplaceAll(code, "-", ""), " " + strings.ReplaceAll(code, "-", " ") + " "} {
		if RecoveryHash(s) != RecoveryHash(code) {
			t.Errorf("%q is another code than %q", s, code)
		}
	}
	if RecoveryHash(code) == RecoveryHash(RecoveryCode([10]byte{0xff, 1, 2, 3, 4, 5, 6, 7, 8, 8})) {
		t.Error("two codes have one hash")
	}
}

// withFactor gives a state whose first user has a second factor, used up to
// step 100, with the recovery codes hashNo(50) and hashNo(51).
func withFactor(t testing.TB) (*State, Result) {
	t.Helper()
	s := NewState()
	r := setup(t, s)
	must(t, s.Apply(Command{At: 10, Change: &OfferSecondFactor{User: r.User.ID, Secret: rfcSecret}}))
	must(t, s.Apply(Command{At: 20, Change: &ConfirmSecondFactor{User: r.User.ID, Offer: HashOf(rfcSecret[:]), Step: 100, Recovery: []Hash{hashNo(50), hashNo(51)}}}))
	return s, r
}

func proven(user uint64, session int, p *Proof) *OpenProvenSession {
	return &OpenProvenSession{Session: OpenSession{User: user, Hash: hashNo(session), Expires: hour}, Proof: p}
}

func TestASecondFactorIsOfferedAndThenConfirmed(t *testing.T) {
	s := NewState()
	r := setup(t, s)
	user := r.User.ID
	for i := range 2 {
		must(t, s.Apply(Command{At: 5, Change: &OpenSession{User: user, Hash: hashNo(10 + i), Expires: hour}}))
	}
	wantErr(t, s.Apply(Command{At: 9, Change: &ConfirmSecondFactor{User: user}}), analytics.NotFound, "second factor: ")
	wantErr(t, s.Apply(Command{At: 9, Change: &OfferSecondFactor{User: user}}), analytics.Invalid, "secret: ")
	wantErr(t, s.Apply(Command{At: 9, Change: &OfferSecondFactor{User: 99, Secret: rfcSecret}}), analytics.NotFound, "user: ")
	must(t, s.Apply(Command{At: 10, Change: &OfferSecondFactor{User: user, Secret: TOTPSecret{7}}}))
	must(t, s.Apply(Command{At: 11, Change: &OfferSecondFactor{User: user, Secret: rfcSecret}}))
	if _, has := s.View().SecondFactor(user); has {
		t.Fatal("an offer is in force")
	}
	if f, ok := s.View().SecondFactorOffered(user, 11+OfferMaxMS); !ok || f.Secret != rfcSecret {
		t.Fatalf("on offer is %+v", f)
	}
	if _, ok := s.View().SecondFactorOffered(user, 12+OfferMaxMS); ok {
		t.Fatal("the offer does not end")
	}
	older := TOTPSecret{7}
	keep := hashNo(10)
	confirm := &ConfirmSecondFactor{User: user, Offer: HashOf(rfcSecret[:]), Step: 100, Recovery: []Hash{hashNo(50)}, Keep: &keep}
	wantErr(t, s.Apply(Command{At: 12, Change: &ConfirmSecondFactor{User: user, Offer: HashOf(older[:]), Step: 100}}), analytics.Conflict, "meanwhile")
	wantErr(t, s.Apply(Command{At: 12 + OfferMaxMS, Change: confirm}), analytics.NotFound, "second factor: ")
	must(t, s.Apply(Command{At: 13, Change: confirm}))
	if f, has := s.View().SecondFactor(user); !has || f.Enabled != 13 || f.Step != 100 || len(f.Recovery) != 1 {
		t.Fatalf("the factor is %+v", f)
	}
	if left := slices.Collect(s.View().SessionsOf(user)); len(left) != 1 || left[0].Hash != string(keep[:]) {
		t.Fatalf("%d sessions are left", len(left))
	}
	wantErr(t, s.Apply(Command{At: 14, Change: confirm}), analytics.Conflict, "second factor: ")
	wantErr(t, s.Apply(Command{At: 14, Change: &OfferSecondFactor{User: user, Secret: rfcSecret}}), analytics.Conflict, "second factor: ")
}

func TestWhoHasASecondFactorSignsInWithItAlone(t *testing.T) {
	s, r := withFactor(t)
	user := r.User.ID
	refuse := func(c Change, text string) {
		t.Helper()
		before, _ := s.View().Encode()
		wantErr(t, s.Apply(Command{At: 30, Change: c}), analytics.Unauthorized, text)
		if after, _ := s.View().Encode(); !bytes.Equal(before, after) {
			t.Fatal("a refused sign-in changed the state")
		}
	}
	refuse(&OpenSession{User: user, Hash: hashNo(20), Expires: hour}, "code: ")
	refuse(proven(user, 20, &Proof{Step: 100}), "code: ")
	refuse(proven(user, 20, &Proof{Step: 99}), "code: ")
	must(t, s.Apply(Command{At: 30, Change: proven(user, 20, &Proof{Step: 101})}))
	refuse(proven(user, 21, &Proof{Step: 101}), "code: ")
	first := hashNo(50)
	must(t, s.Apply(Command{At: 30, Change: proven(user, 21, &Proof{Recovery: &first})}))
	refuse(proven(user, 22, &Proof{Recovery: &first}), "recovery_code: ")
	unknown := hashNo(1)
	refuse(proven(user, 22, &Proof{Recovery: &unknown}), "recovery_code: ")
	if f, _ := s.View().SecondFactor(user); f.HasRecovery(&first) || !f.HasRecovery(&[]Hash{hashNo(51)}[0]) {
		t.Errorf("left are %v", f.Recovery)
	}
	// A code is not used up by a session that cannot be opened.
	before, _ := s.View().Encode()
	if bad := s.Apply(Command{At: 30, Change: proven(user, 21, &Proof{Step: 102})}); bad.Err == nil {
		t.Fatal("two sessions have one hash")
	}
	if after, _ := s.View().Encode(); !bytes.Equal(before, after) {
		t.Fatal("the code is used up")
	}
	must(t, s.Apply(Command{At: 30, Change: proven(user, 23, nil)})) // takes the place of a session, as a change of password does
}

func TestASecondFactorIsRemovedWithAProofOrByWhoManagesTheUser(t *testing.T) {
	s, r := withFactor(t)
	user := r.User.ID
	wantErr(t, s.Apply(Command{At: 30, Change: &RemoveSecondFactor{User: user, Proof: &Proof{Step: 100}}}), analytics.Unauthorized, "code: ")
	must(t, s.Apply(Command{At: 30, Change: &RemoveSecondFactor{User: user, Proof: &Proof{Step: 101}}}))
	wantErr(t, s.Apply(Command{At: 31, Change: &RemoveSecondFactor{User: user}}), analytics.NotFound, "second factor: ")
	must(t, s.Apply(Command{At: 31, Change: &OpenSession{User: user, Hash: hashNo(20), Expires: hour}}))

	s, r = withFactor(t)
	must(t, s.Apply(Command{At: 30, Change: &RemoveSecondFactor{User: r.User.ID}}))
	if _, has := s.View().SecondFactor(r.User.ID); has {
		t.Error("it is still there")
	}
	if b, err := s.View().Record(Ref{RefSecondFactor, r.User.ID}); b != nil || err != nil {
		t.Errorf("the record is %q, %v", b, err)
	}
}

func TestAUserGoesWithPreferencesAndSecondFactor(t *testing.T) {
	s, r := withFactor(t)
	must(t, s.Apply(Command{At: 30, Change: &PutPreferences{somePreferences(r.User.ID)}}))
	must(t, s.Apply(Command{At: 30, Change: &CreateUser{Email: "b@x.y", Role: Owner, PasswordHash: "h"}}))
	s.TakeDirty()
	must(t, s.Apply(Command{At: 31, Change: &DeleteUser{Org: r.Org.ID, ID: r.User.ID}}))
	dirty := s.TakeDirty()
	for _, ref := range []Ref{{RefPreferences, r.User.ID}, {RefSecondFactor, r.User.ID}} {
		if b, err := s.View().Record(ref); b != nil || err != nil || !slices.Contains(dirty, ref) {
			t.Errorf("record %v is %q, %v; written: %v", ref, b, err, slices.Contains(dirty, ref))
		}
	}
}
