package accounts

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"footfall/analytics"
)

var write = flag.Bool("write", false, "write samples that are missing in testdata")

// sample gives the bytes kept for a name; got are those that this release makes.
func sample(t *testing.T, name string, got []byte) []byte {
	t.Helper()
	path := filepath.Join("testdata", "format-1", name+".hex")
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) && *write {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		text = append(hex.AppendEncode(nil, got), '\n')
		err = os.WriteFile(path, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(string(bytes.TrimSpace(text)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func somePreferences(user uint64) Preferences {
	return Preferences{User: user, Pinned: []analytics.SiteID{3, 1}, Groups: []SiteGroup{{Name: "Shops", Sites: []analytics.SiteID{1, 2}}},
		Theme: "dark", Language: "pt-BR", WeekStart: "sunday"}
}

func someSteps() []FunnelStep {
	return []FunnelStep{{Page: "/blog/**", Scroll: 50, Name: "Read"}, {Event: "Signup", Props: map[string]string{"plan": "pro"}}, {Goal: "Visit /thanks"}}
}

func somePlans(site analytics.SiteID) *PutReports {
	return &PutReports{Site: site, Secret: strings.Repeat("s", 43), Weekly: ReportPlan{Emails: []string{"a@b.example", "c@d.example"}},
		Monthly: ReportPlan{Emails: []string{"a@b.example"}, Webhooks: []string{"https://example.com/hook?a=b"}}}
}

// commandSamples has one of every kind from kindPutPreferences on.
func commandSamples() map[string]Change {
	return map[string]Change{
		"put-preferences":       &PutPreferences{somePreferences(1)},
		"create-annotation":     &CreateAnnotation{Site: 1, Date: "2026-11-02", Text: "Sale\nbegins", Author: 1},
		"update-annotation":     &UpdateAnnotation{Site: 1, ID: 2, Date: new("2026-11-03"), Text: new("Sale")},
		"delete-annotation":     &DeleteAnnotation{Site: 1, ID: 2},
		"create-funnel":         &CreateFunnel{Site: 1, Name: "Checkout", Steps: someSteps(), Window: "7d"},
		"update-funnel":         &UpdateFunnel{Site: 1, ID: 2, Name: new("Order"), Steps: new(someSteps()), Window: new("visit")},
		"delete-funnel":         &DeleteFunnel{Site: 1, ID: 2},
		"offer-second-factor":   &OfferSecondFactor{User: 1, Secret: TOTPSecret{1, 2, 3}},
		"confirm-second-factor": &ConfirmSecondFactor{User: 1, Offer: Hash{1}, Step: 60_000_000, Recovery: []Hash{{2}, {3}}, Keep: &Hash{4}},
		"open-proven-session":   &OpenProvenSession{Session: OpenSession{User: 1, Hash: Hash{1}, Expires: 2_000_000_000_000, Agent: "x"}, Proof: &Proof{Step: 60_000_001, Recovery: &Hash{5}}},
		"remove-second-factor":  &RemoveSecondFactor{User: 1, Proof: &Proof{Step: 60_000_002}},
		"update-user":           &UpdateUser{Org: 1, ID: 2, Role: Admin},
		"put-reports":           somePlans(1),
		"claim-report":          &ClaimReport{Site: 1, Cadence: Monthly, Period: "2026-10-01", By: 1 << 63, Until: 1_800_000_600_000},
		"settle-report":         &SettleReport{Site: 1, Cadence: Monthly, Period: "2026-10-01", By: 1 << 63, Sent: []string{"a@b.example"}, Over: true, Until: 1_800_000_600_000},
	}
}

func TestCommandsOfFormat1StayReadable(t *testing.T) {
	all := commandSamples()
	for k := kindPutPreferences; newChange(k) != nil; k++ {
		found := false
		for _, c := range all {
			found = found || c.kind() == k
		}
		if !found {
			t.Errorf("there is no sample of kind %d", k)
		}
	}
	for name, change := range all {
		want := Command{At: 1_800_000_000_000, Change: change}
		b, err := want.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeCommand(sample(t, "command-"+name, b))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", name, got.Change, err)
		}
		if err := change.Check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRecordsOfFormat1StayReadable reads kept records into a state and holds it
// against the one that wrote them.
func TestRecordsOfFormat1StayReadable(t *testing.T) {
	const at = 1_800_000_000_000
	s := NewState()
	r := setup(t, s)
	secret := TOTPSecret{1, 2, 3}
	for _, c := range []Change{
		&PutGoal{Site: r.Site.ID, Goal: GoalDef{Kind: analytics.GoalPage, Page: "/thanks"}},
		&PutPreferences{somePreferences(r.User.ID)},
		&CreateAnnotation{Site: r.Site.ID, Date: "2026-11-02", Text: "Sale\nbegins", Author: r.User.ID},
		&CreateFunnel{Site: r.Site.ID, Name: "Checkout", Steps: someSteps(), Window: "7d"},
		&OfferSecondFactor{User: r.User.ID, Secret: secret},
		&ConfirmSecondFactor{User: r.User.ID, Offer: HashOf(secret[:]), Step: 60_000_000, Recovery: []Hash{{2}, {3}}},
		somePlans(r.Site.ID),
		&ClaimReport{Site: r.Site.ID, Cadence: Weekly, Period: "2026-11-02", By: 7, Until: at + 60_000},
		&SettleReport{Site: r.Site.ID, Cadence: Weekly, Period: "2026-11-02", By: 7, Sent: []string{"a@b.example"}, Until: at + 120_000},
	} {
		must(t, s.Apply(Command{At: at, Change: c}))
	}
	names := map[Ref]string{{RefMeta, 0}: "meta", {RefPreferences, 1}: "preferences", {RefAnnotation, 1}: "annotation", {RefFunnel, 1}: "funnel", {RefSecondFactor, 1}: "second-factor", {RefReports, 1}: "reports"}
	back := NewState()
	for _, ref := range slices.Backward(s.View().refs()) { // any order
		b, err := s.View().Record(ref)
		if err != nil {
			t.Fatal(err)
		}
		if name, ok := names[ref]; ok {
			b = sample(t, "record-"+name, b)
			delete(names, ref)
		}
		if err := back.Restore(ref, b); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range names {
		t.Errorf("the state has no record of %s", name)
	}
	want, _ := s.View().Encode()
	if got, err := back.View().Encode(); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %q, %v\nwant %q", got, err, want)
	}
}
