package control

import (
	"testing"

	"footfall/analytics/accounts"
)

// TestWhatPeopleKeepIsToldAndStored: preferences and second factors are of
// users, annotations and funnels of sites, and all come back from the store.
func TestWhatPeopleKeepIsToldAndStored(t *testing.T) {
	store := newMemory()
	told := make(chan Kinds, 20)
	c, _ := start(t, store, nil, Config{Changed: func(k Kinds) { told <- k }})
	secret := accounts.TOTPSecret{1}
	for _, x := range []struct {
		change accounts.Change
		want   Kinds
	}{
		{site("a.example"), Sites},
		{&accounts.CreateUser{Email: "ada@a.example", Role: accounts.Owner, PasswordHash: "h"}, Sites | Users},
		{&accounts.CreateUser{Email: "bob@a.example", Role: accounts.Viewer, PasswordHash: "h"}, Sites | Users},
		{&accounts.UpdateUser{Org: 1, ID: 2, Role: accounts.Admin}, Users},
		{&accounts.PutPreferences{Preferences: accounts.Preferences{User: 1, Theme: "dark"}}, Users},
		{&accounts.OfferSecondFactor{User: 1, Secret: secret}, Users},
		{&accounts.ConfirmSecondFactor{User: 1, Offer: accounts.HashOf(secret[:]), Step: 5}, Users},
		{&accounts.OpenProvenSession{Session: accounts.OpenSession{User: 1, Hash: accounts.Hash{1}, Expires: 1 << 50}, Proof: &accounts.Proof{Step: 6}}, Users},
		{&accounts.OfferSecondFactor{User: 2, Secret: secret}, Users},
		{&accounts.ConfirmSecondFactor{User: 2, Offer: accounts.HashOf(secret[:]), Step: 5}, Users},
		{&accounts.RemoveSecondFactor{User: 2}, Users},
		{&accounts.CreateAnnotation{Site: 1, Date: "2026-11-02", Text: "Sale"}, Sites},
		{&accounts.CreateFunnel{Site: 1, Name: "f", Steps: []accounts.FunnelStep{{Page: "/"}, {Page: "/x"}}}, Sites},
	} {
		if _, err := c.Do(soon(t), x.change); err != nil {
			t.Fatalf("%T: %v", x.change, err)
		}
		if got := <-told; got != x.want {
			t.Errorf("%T: told %b, want %b", x.change, got, x.want)
		}
	}
	flushTo(t, c, store)
	stored, err := Open(Config{Store: store, Notify: func() {}})
	if err != nil {
		t.Fatal(err)
	}
	v := stored.View()
	if f, has := v.SecondFactor(1); !has || f.Step != 6 || f.Secret != secret {
		t.Errorf("the second factor is %+v", f)
	}
	if _, has := v.SecondFactor(2); has {
		t.Error("a removed second factor is back")
	}
	if u, _ := v.User(2); u.Role != accounts.Admin || v.Preferences(1).Theme != "dark" || len(v.Annotations(1)) != 1 || len(v.Funnels(1)) != 1 {
		t.Errorf("stored are %+v, %+v, %d annotations, %d funnels", u, v.Preferences(1), len(v.Annotations(1)), len(v.Funnels(1)))
	}
	if got, want := string(encode(t, stored)), string(encode(t, c)); got != want {
		t.Errorf("stored is %q, want %q", got, want)
	}
}
