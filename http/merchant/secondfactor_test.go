package merchant

import (
	"encoding/base32"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"footfall/analytics"
	"footfall/analytics/accounts"
)

// enable gives the user of b a second factor through the API: its secret and
// recovery codes.
func (b *browser) enable() (secret accounts.TOTPSecret, recovery []string) {
	b.n.t.Helper()
	var offer struct{ Secret, URI string }
	b.do("POST", "/v1/second-factor", `{"password":"a fine long sentence"}`).want(200).read(&offer)
	raw, err := base32.StdEncoding.DecodeString(offer.Secret)
	if err != nil || len(raw) != len(secret) {
		b.n.t.Fatalf("secret %q: %v", offer.Secret, err)
	}
	copy(secret[:], raw)
	uri, err := url.Parse(offer.URI)
	if err != nil || uri.Scheme != "otpauth" || uri.Host != "totp" || uri.Query().Get("secret") != offer.Secret {
		b.n.t.Fatalf("uri %q: %v", offer.URI, err)
	}
	var made struct {
		Codes []string `json:"recovery_codes"`
	}
	b.do("PUT", "/v1/second-factor", fmt.Sprintf(`{"code":%q}`, b.n.codeOf(secret, 0))).want(200).read(&made)
	return secret, made.Codes
}

func (n *node) codeOf(secret accounts.TOTPSecret, after int) string {
	return secret.Code(uint64(n.now.Load()/30_000 + int64(after)))
}

func (b *browser) signInWith(email, member, value string) answer {
	b.n.t.Helper()
	return b.do("POST", "/v1/session", fmt.Sprintf(`{"email":%q,"password":%q,%q:%q}`, email, goodPassword, member, value))
}

func TestWithASecondFactorAPasswordIsNotEnough(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	email := p.user[Viewer].Email
	b, other := n.as(p, Viewer), n.as(p, Viewer)
	b.do("GET", "/v1/second-factor", "").want(200, `{"enabled":false,"recovery_left":0}`)
	secret, recovery := b.enable()
	b.do("GET", "/v1/second-factor", "").want(200, `{"enabled":true,"recovery_left":10}`)
	b.do("GET", "/v1/session", "").want(200)
	other.do("GET", "/v1/session", "").want(401) // it was opened with the password alone

	next := n.browser()
	got := next.signIn(email, goodPassword).want(401, `"error":"code: `, `"second_factor":true`)
	if len(got.header.Values("Set-Cookie")) != 0 || len(next.cookies) != 0 {
		t.Error("there is a cookie without the second factor")
	}
	if got := next.signIn(email, "not the password").want(401); strings.Contains(got.body, "second_factor") {
		t.Errorf("who does not know the password learns of the second factor: %s", got.body)
	}
	if got := next.signIn(p.user[Admin].Email, goodPassword).want(200); strings.Contains(got.body, "second_factor") {
		t.Errorf("got %s", got.body)
	}
	next = n.browser()
	next.signInWith(email, "code", n.codeOf(secret, 0)).want(401, "used already", `"second_factor":true`) // it confirmed the factor
	next.signInWith(email, "code", "000000").want(401, "code: ", `"second_factor":true`)
	next.signInWith(email, "code", strings.Repeat("1", 1000)).want(401, "code: ")
	code := n.codeOf(secret, 1) // the clocks may be half a minute apart
	next.signInWith(email, "code", code[:3]+" "+code[3:]).want(200, email)
	next.do("GET", "/v1/session", "").want(200)
	n.browser().signInWith(email, "code", code).want(401, "used already")
	n.now.Add(60_000)
	n.browser().signInWith(email, "code", n.codeOf(secret, 0)).want(200)

	n.browser().signInWith(email, "recovery_code", recovery[3]).want(200)
	n.browser().signInWith(email, "recovery_code", recovery[3]).want(401, `"error":"recovery_code: `, `"second_factor":true`)
	n.browser().signInWith(email, "recovery_code", strings.ToUpper(strings.ReplaceAll(recovery[4], "-", " "))).want(200)
	b.do("GET", "/v1/second-factor", "").want(200, `"recovery_left":8`)
	n.browser().do("POST", "/v1/session", fmt.Sprintf(`{"email":%q,"password":%q,"code":"1","recovery_code":"2"}`, email, goodPassword)).want(400, "recovery_code: ")
	n.browser().do("POST", "/v1/session", fmt.Sprintf(`{"email":%q,"password":%q,"code":123456}`, email, goodPassword)).want(400, "code: must be a text")
}

func TestGuessingCodesIsHeldBackPerAccount(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	email := p.user[Viewer].Email
	secret, _ := n.as(p, Viewer).enable()
	for range 10 {
		n.browser().signInWith(email, "code", "abcdef").want(401)
	}
	got := n.browser().signInWith(email, "code", n.codeOf(secret, 1)).want(429, "code: too many attempts")
	if got.header.Get("Retry-After") != "60" {
		t.Errorf("Retry-After %q", got.header.Get("Retry-After"))
	}
	n.browser().signInWith(email, "recovery_code", "x").want(429, "recovery_code: ")
	n.browser().signIn(email, goodPassword).want(401, `"second_factor":true`) // asking costs nothing
	n.now.Add(time.Minute.Milliseconds())
	n.browser().signInWith(email, "code", n.codeOf(secret, 0)).want(200)
	n.browser().signInWith(email, "code", "abcdef").want(401)
	n.browser().signInWith(email, "code", n.codeOf(secret, 1)).want(429)
}

func TestASecondFactorIsSetUpAndRemovedWithThePassword(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	b := n.as(p, Viewer)
	b.do("PUT", "/v1/second-factor", `{"code":"123456"}`).want(404, "second factor: ")
	b.do("DELETE", "/v1/second-factor", `{"password":"a fine long sentence","code":"123456"}`).want(404, "second factor: ")
	b.do("POST", "/v1/second-factor", `{"password":"wrong"}`).want(403, "password: is not your password")
	b.do("POST", "/v1/second-factor", `{"password":"a fine long sentence"}`).want(200)
	b.do("PUT", "/v1/second-factor", `{"code":"abcdef"}`).want(403, "code: ")
	b.do("PUT", "/v1/second-factor", `{"code":""}`).want(400, "code: ")
	n.browser().signIn(p.user[Viewer].Email, goodPassword).want(200) // an offer changes nothing
	secret, recovery := b.enable()                                   // a newer offer replaces it
	b.do("POST", "/v1/second-factor", `{"password":"a fine long sentence"}`).want(409, "second factor: ")
	b.do("PUT", "/v1/second-factor", `{"code":"123456"}`).want(409, "second factor: ")

	good := n.codeOf(secret, 1)
	b.do("DELETE", "/v1/second-factor", fmt.Sprintf(`{"password":"wrong","code":%q}`, good)).want(403, "password: ")
	b.do("DELETE", "/v1/second-factor", `{"password":"a fine long sentence","code":"abcdef"}`).want(403, "code: ")
	b.do("DELETE", "/v1/second-factor", `{"password":"a fine long sentence"}`).want(400, "code: ")
	b.do("DELETE", "/v1/second-factor", fmt.Sprintf(`{"password":%q,"code":%q}`, goodPassword, good)).want(204)
	n.browser().signIn(p.user[Viewer].Email, goodPassword).want(200)
	_ = recovery

	_, recovery = b.enable()
	b.do("DELETE", "/v1/second-factor", fmt.Sprintf(`{"password":%q,"recovery_code":%q}`, goodPassword, recovery[0])).want(204)
	b.do("GET", "/v1/second-factor", "").want(200, `"enabled":false`)
}

func TestAnOfferOfASecondFactorEnds(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	b := n.as(p, Viewer)
	n.must(&accounts.OfferSecondFactor{User: p.user[Viewer].ID, Secret: totpSecret})
	n.now.Add(accounts.OfferMaxMS + 1)
	b.do("PUT", "/v1/second-factor", fmt.Sprintf(`{"code":%q}`, n.code(0))).want(404, "second factor: ")
}

func TestAPasswordChangesBesideASecondFactor(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	b := n.as(p, Viewer)
	secret, _ := b.enable()
	b.do("PUT", "/v1/password", `{"current":"a fine long sentence","password":"another fine sentence"}`).want(204)
	b.do("GET", "/v1/session", "").want(200)
	n.browser().signIn(p.user[Viewer].Email, "another fine sentence").want(401, `"second_factor":true`)
	n.browser().do("POST", "/v1/session", fmt.Sprintf(`{"email":%q,"password":"another fine sentence","code":%q}`, p.user[Viewer].Email, n.codeOf(secret, 1))).want(200)
}

func TestOwnersResetTheSecondFactorOfOthersOnly(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	n.as(p, Viewer).enable()
	owner := n.as(p, Owner)
	owner.enable()
	path := func(c Caller) string { return fmt.Sprintf("/v1/users/%d/second-factor", p.user[c].ID) }
	owner.do("DELETE", path(Owner), "").want(403, "user: your own")
	owner.do("DELETE", path(Viewer), "").want(204)
	owner.do("DELETE", path(Viewer), "").want(404, "second factor: ")
	n.browser().signIn(p.user[Viewer].Email, goodPassword).want(200)
	n.as(p, Stranger).do("DELETE", path(Owner), "").want(404, "user: ")
	n.bearer(n.operatorToken).do("DELETE", path(Owner), "").want(204)
	n.browser().signIn(p.user[Owner].Email, goodPassword).want(200)
}

// TestACodeThatTwoShowAtOnceOpensOneSession: the second to arrive is told that
// it was used, although at its node it still looked good.
func TestACodeThatTwoShowAtOnceOpensOneSession(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	secret, _ := n.as(p, Viewer).enable()
	stale, _ := n.house.View().SecondFactor(p.user[Viewer].ID)
	code := n.codeOf(secret, 1)
	n.browser().signInWith(p.user[Viewer].Email, "code", code).want(200)
	step, ok := stale.Secret.Step(code, n.now.Load(), stale.Step)
	if !ok {
		t.Fatal("by the older state the code is good")
	}
	if _, err := n.house.Do(t.Context(), &accounts.OpenProvenSession{Session: accounts.OpenSession{User: p.user[Viewer].ID, Hash: accounts.Hash{1}, Expires: n.now.Load() + 1000},
		Proof: &accounts.Proof{Step: step}}); analytics.CodeOf(err) != analytics.Unauthorized {
		t.Errorf("got %v", err)
	}
}

func TestNoRecoveryCodeIsInTheState(t *testing.T) {
	n := newNode(t, nil)
	p := n.people()
	_, recovery := n.as(p, Viewer).enable()
	state, err := n.house.View().Encode()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, code := range recovery {
		if strings.Contains(string(state), code) || strings.Contains(string(state), strings.ReplaceAll(code, "-", "")) {
			t.Errorf("the state has the recovery code %q", code)
		}
		seen[code] = true
	}
	if len(seen) != accounts.RecoveryCodes {
		t.Errorf("%d different codes", len(seen))
	}
}
