package merchant

import (
	"encoding/base64"
	"fmt"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/door"
)

// totpIssuer is what an authenticator calls this service.
const totpIssuer = "Footfall"

// shownBytesMax bounds a code as people type it.
const shownBytesMax = 60

// shown is what a caller shows of a second factor: one of the two.
type shown struct {
	Code     string `json:"code"`
	Recovery string `json:"recovery_code"`
}

// openWith is the change that opens a session, with the proof of a second factor
// if there is one.
func openWith(open *accounts.OpenSession, proof *accounts.Proof) accounts.Change {
	if proof == nil {
		return open
	}
	return &accounts.OpenProvenSession{Session: *open, Proof: proof}
}

// refuseFactor answers a sign-in whose password is right. What is wrong with the
// second factor says so in a member of its own, so that a form knows to ask for
// it.
func refuseFactor(ctx *fasthttp.RequestCtx, err error) error {
	if analytics.CodeOf(err) != analytics.Unauthorized {
		return err
	}
	door.WriteJSON(ctx, fasthttp.StatusUnauthorized, struct {
		Error  string `json:"error"`
		Factor bool   `json:"second_factor"`
	}{err.Error(), true})
	return nil
}

// prove checks what a caller shows against the second factor of the account with
// that address, within the limits per account and per address. Attempts that
// succeed do not count against them. What is missing or not right is
// Unauthorized.
func (h *Handler) prove(ctx *fasthttp.RequestCtx, email string, f *accounts.SecondFactor, s shown) (*accounts.Proof, error) {
	switch {
	case s.Code == "" && s.Recovery == "":
		return nil, analytics.Errorf(analytics.Unauthorized, "code: this account has a second factor")
	case s.Code != "" && s.Recovery != "":
		return nil, analytics.Errorf(analytics.Invalid, "recovery_code: give it or code, not both")
	case s.Recovery != "":
		return h.tryFactor(ctx, "recovery_code", email, s.Recovery, func() (*accounts.Proof, bool) {
			hash := accounts.RecoveryHash(s.Recovery)
			return &accounts.Proof{Recovery: &hash}, f.HasRecovery(&hash)
		})
	}
	return h.tryFactor(ctx, "code", email, s.Code, func() (*accounts.Proof, bool) {
		step, ok := f.Secret.Step(s.Code, h.now(), f.Step)
		return &accounts.Proof{Step: step}, ok
	})
}

// tryFactor makes one attempt, if there may be one more.
func (h *Handler) tryFactor(ctx *fasthttp.RequestCtx, field, email, text string, check func() (*accounts.Proof, bool)) (*accounts.Proof, error) {
	from, now := h.addressKey(ctx), h.now()
	if wait, ok := h.byAddr.take(from, now); !ok {
		return nil, tooManyAttempts(ctx, field, wait)
	}
	if wait, ok := h.byFactor.take(email, now); !ok {
		return nil, tooManyAttempts(ctx, field, wait)
	}
	if len(text) <= shownBytesMax {
		if proof, ok := check(); ok {
			h.byAddr.giveBack(from, now)
			h.byFactor.giveBack(email, now)
			return proof, nil
		}
	}
	return nil, analytics.Errorf(analytics.Unauthorized, "%s: not right or used already", field)
}

// signedIn finds the user who is signed in. One who was removed a moment ago is
// not.
func (h *Handler) signedIn(who accounts.Identity) (*accounts.User, error) {
	user, ok := h.view().User(who.User)
	if !ok {
		return nil, analytics.Errorf(analytics.Unauthorized, "session: nobody is signed in")
	}
	return user, nil
}

// askAgain compares the password of who is signed in. That it is not right is
// Forbidden, because the session is good.
func (h *Handler) askAgain(ctx *fasthttp.RequestCtx, field string, user *accounts.User, password string) error {
	err := h.tryPassword(ctx, user.Email, user.PasswordHash, password)
	if err != nil && analytics.CodeOf(err) == analytics.Unauthorized {
		return analytics.Errorf(analytics.Forbidden, "%s: is not your password", field)
	}
	return err
}

// forbidden makes of an Unauthorized error, which is about what was shown, one
// that does not say that nobody is signed in.
func forbidden(err error) error {
	if err != nil && analytics.CodeOf(err) == analytics.Unauthorized {
		return analytics.Errorf(analytics.Forbidden, "%w", err)
	}
	return err
}

func errFactorThere() error {
	return analytics.Errorf(analytics.Conflict, "second factor: there is one already")
}

func (h *Handler) secondFactor(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	out := struct {
		Enabled bool `json:"enabled"`
		Left    int  `json:"recovery_left"`
	}{}
	if f, has := h.view().SecondFactor(who.User); has {
		out.Enabled, out.Left = true, len(f.Recovery)
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, out)
	return nil
}

// offerSecondFactor makes a secret for the user's authenticator and shows it
// this once. Nothing changes for the user before it is confirmed.
func (h *Handler) offerSecondFactor(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	var in struct {
		Password string `json:"password"`
	}
	if err := readJSON(ctx, &in); err != nil {
		return err
	}
	user, err := h.signedIn(who)
	if err != nil {
		return err
	}
	if _, has := h.view().SecondFactor(user.ID); has { // before a password is compared
		return errFactorThere()
	}
	if err := h.askAgain(ctx, "password", user, in.Password); err != nil {
		return err
	}
	change := accounts.OfferSecondFactor{User: user.ID}
	if err := h.random(change.Secret[:]); err != nil {
		return err
	}
	if _, err := h.do(&change); err != nil {
		return err
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, struct {
		Secret string `json:"secret"`
		URI    string `json:"uri"`
	}{change.Secret.Base32(), change.Secret.URI(totpIssuer, user.Email)})
	return nil
}

// confirmSecondFactor enables the second factor on offer with a code of it, ends
// every other session of the user and shows the recovery codes this once.
func (h *Handler) confirmSecondFactor(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	var in struct {
		Code string `json:"code"`
	}
	if err := readJSON(ctx, &in); err != nil {
		return err
	}
	user, err := h.signedIn(who)
	if err != nil {
		return err
	}
	if _, has := h.view().SecondFactor(user.ID); has {
		return errFactorThere()
	}
	f, ok := h.view().SecondFactorOffered(user.ID, h.now())
	if !ok {
		return analytics.Errorf(analytics.NotFound, "second factor: none is on offer, or not any more")
	}
	if in.Code == "" {
		return analytics.Errorf(analytics.Invalid, "code: must not be empty")
	}
	proof, err := h.prove(ctx, user.Email, f, shown{Code: in.Code})
	if err != nil {
		return forbidden(err)
	}
	change := accounts.ConfirmSecondFactor{User: user.ID, Offer: accounts.HashOf(f.Secret[:]), Step: proof.Step}
	if len(who.Session) == len(accounts.Hash{}) {
		keep := accounts.Hash([]byte(who.Session))
		change.Keep = &keep
	}
	codes, err := h.recoveryCodes()
	if err != nil {
		return err
	}
	for _, code := range codes {
		change.Recovery = append(change.Recovery, accounts.RecoveryHash(code))
	}
	if _, err := h.do(&change); err != nil {
		return err
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, map[string][]string{"recovery_codes": codes})
	return nil
}

func (h *Handler) recoveryCodes() ([]string, error) {
	codes := make([]string, accounts.RecoveryCodes)
	for i := range codes {
		var raw [10]byte
		if err := h.random(raw[:]); err != nil {
			return nil, err
		}
		codes[i] = accounts.RecoveryCode(raw)
	}
	return codes, nil
}

// random fills at most 32 bytes.
func (h *Handler) random(dst []byte) error {
	text, err := h.opts.Accounts.NewSecret()
	if err != nil {
		return err
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return fmt.Errorf("make a secret: %w", err)
	}
	if len(raw) < len(dst) {
		return fmt.Errorf("make a secret of %d bytes: there are only %d", len(dst), len(raw))
	}
	copy(dst, raw)
	return nil
}

// removeSecondFactor asks for the password and the second factor once more.
func (h *Handler) removeSecondFactor(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	var in struct {
		Password string `json:"password"`
		shown
	}
	if err := readJSON(ctx, &in); err != nil {
		return err
	}
	user, err := h.signedIn(who)
	if err != nil {
		return err
	}
	f, has := h.view().SecondFactor(user.ID)
	if !has {
		return analytics.Errorf(analytics.NotFound, "second factor: there is none")
	}
	if in.Code == "" && in.Recovery == "" {
		return analytics.Errorf(analytics.Invalid, "code: must not be empty")
	}
	if err := h.askAgain(ctx, "password", user, in.Password); err != nil {
		return err
	}
	proof, err := h.prove(ctx, user.Email, f, in.shown)
	if err != nil {
		return forbidden(err)
	}
	if _, err := h.do(&accounts.RemoveSecondFactor{User: user.ID, Proof: proof}); err != nil {
		return forbidden(err)
	}
	return noContent(ctx)
}

// resetSecondFactor is for who lost authenticator and recovery codes: an owner
// or the operator removes the second factor of somebody else.
func (h *Handler) resetSecondFactor(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	user, err := h.managedUser(ctx, who)
	if err != nil {
		return err
	}
	if user.ID == who.User {
		return analytics.Errorf(analytics.Forbidden, "user: your own second factor is removed with your password and a code")
	}
	if _, err := h.do(&accounts.RemoveSecondFactor{User: user.ID}); err != nil {
		return err
	}
	return noContent(ctx)
}
