package accounts

import (
	"slices"

	"footfall/analytics"
)

// Command is one change at one time. Everything that differs from machine to
// machine (time, secrets, hashes) is inside it.
type Command struct {
	At     int64 // Unix ms, of whoever proposed it
	Change Change
}

// Change is one of the types that newChange makes. A change is normalised and checked
// by Check, which whoever proposes it calls first to spare a log entry; Apply
// checks again.
type Change interface {
	kind() kind
	// Check normalises the change in place and tells what is wrong with it as an
	// Invalid error that names the field.
	Check() error
	apply(s *State, at int64) Result
}

// Result is what became of a command: the entities it made, changed or removed,
// or why nothing was done.
type Result struct {
	Org     *Org
	User    *User
	Site    *analytics.Site
	Key     *Key
	Session *Session
	Goal    *analytics.Goal
	Segment *analytics.Segment
	Link    *SharedLink
	Guest   *Guest

	Preferences *Preferences
	Annotation  *Annotation
	Funnel      *Funnel
	Factor      *SecondFactor
	Reports     *Reports

	Existed bool  // what was to be made was there already; nothing changed
	Err     error // an *analytics.Error; the state is as before
}

// kind is the number of a change in the log. They are frozen; new ones go at
// the end.
type kind uint8

const (
	kindCreateOrg kind = iota + 1
	kindCreateUser
	kindDeleteUser
	kindSetPassword
	kindCreateSite
	kindUpdateSite
	kindDeleteSite
	kindCreateKey
	kindRevokeKey
	kindOpenSession
	kindCloseSession
	kindCloseSessions
	kindTouch
	kindOfferSetup
	kindCompleteSetup
	kindExpire
	kindPutGoal
	kindUpdateGoal
	kindDeleteGoal
	kindCreateSegment
	kindUpdateSegment
	kindDeleteSegment
	kindChangeProperties
	kindPutSharedLink
	kindDeleteSharedLink
	kindPutGuest
	kindRemoveGuest
	kindPutPreferences
	kindCreateAnnotation
	kindUpdateAnnotation
	kindDeleteAnnotation
	kindCreateFunnel
	kindUpdateFunnel
	kindDeleteFunnel
	kindOfferSecondFactor
	kindConfirmSecondFactor
	kindOpenProvenSession
	kindRemoveSecondFactor
	kindUpdateUser
	kindPutReports
	kindClaimReport
	kindSettleReport
)

// newChange makes the empty change of a kind; nil for an unknown one.
func newChange(k kind) Change {
	switch k {
	case kindCreateOrg:
		return &CreateOrg{}
	case kindCreateUser:
		return &CreateUser{}
	case kindDeleteUser:
		return &DeleteUser{}
	case kindSetPassword:
		return &SetPassword{}
	case kindCreateSite:
		return &CreateSite{}
	case kindUpdateSite:
		return &UpdateSite{}
	case kindDeleteSite:
		return &DeleteSite{}
	case kindCreateKey:
		return &CreateKey{}
	case kindRevokeKey:
		return &RevokeKey{}
	case kindOpenSession:
		return &OpenSession{}
	case kindCloseSession:
		return &CloseSession{}
	case kindCloseSessions:
		return &CloseSessions{}
	case kindTouch:
		return &Touch{}
	case kindOfferSetup:
		return &OfferSetup{}
	case kindCompleteSetup:
		return &CompleteSetup{}
	case kindExpire:
		return &Expire{}
	case kindPutGoal:
		return &PutGoal{}
	case kindUpdateGoal:
		return &UpdateGoal{}
	case kindDeleteGoal:
		return &DeleteGoal{}
	case kindCreateSegment:
		return &CreateSegment{}
	case kindUpdateSegment:
		return &UpdateSegment{}
	case kindDeleteSegment:
		return &DeleteSegment{}
	case kindChangeProperties:
		return &ChangeProperties{}
	case kindPutSharedLink:
		return &PutSharedLink{}
	case kindDeleteSharedLink:
		return &DeleteSharedLink{}
	case kindPutGuest:
		return &PutGuest{}
	case kindRemoveGuest:
		return &RemoveGuest{}
	case kindPutPreferences:
		return &PutPreferences{}
	case kindCreateAnnotation:
		return &CreateAnnotation{}
	case kindUpdateAnnotation:
		return &UpdateAnnotation{}
	case kindDeleteAnnotation:
		return &DeleteAnnotation{}
	case kindCreateFunnel:
		return &CreateFunnel{}
	case kindUpdateFunnel:
		return &UpdateFunnel{}
	case kindDeleteFunnel:
		return &DeleteFunnel{}
	case kindOfferSecondFactor:
		return &OfferSecondFactor{}
	case kindConfirmSecondFactor:
		return &ConfirmSecondFactor{}
	case kindOpenProvenSession:
		return &OpenProvenSession{}
	case kindRemoveSecondFactor:
		return &RemoveSecondFactor{}
	case kindUpdateUser:
		return &UpdateUser{}
	case kindPutReports:
		return &PutReports{}
	case kindClaimReport:
		return &ClaimReport{}
	case kindSettleReport:
		return &SettleReport{}
	}
	return nil
}

// CreateOrg makes an organisation.
type CreateOrg struct {
	Name string `json:"name"`
}

func (c *CreateOrg) kind() kind { return kindCreateOrg }

func (c *CreateOrg) Check() (err error) {
	if c.Name, err = cleanName("name", c.Name); err == nil && c.Name == "" {
		err = invalid("name: must not be empty")
	}
	return err
}

// CreateUser makes a user. Org 0 is the first organisation, which is made if
// there is none.
type CreateUser struct {
	Org          uint64 `json:"org"`
	Email        string `json:"email"`
	Name         string `json:"name"`
	Role         Role   `json:"role"`
	PasswordHash string `json:"password_hash"`
}

func (c *CreateUser) kind() kind { return kindCreateUser }

func (c *CreateUser) Check() (err error) {
	if c.Email, err = NormalizeEmail(c.Email); err != nil {
		return err
	}
	if c.Name, err = cleanName("name", c.Name); err != nil {
		return err
	}
	if err := checkRole(c.Role); err != nil {
		return err
	}
	return checkPasswordHash(c.PasswordHash)
}

func checkPasswordHash(h string) error {
	if h == "" || len(h) > 300 {
		return invalid("password: has no usable hash")
	}
	return nil
}

// UpdateUser changes the role of a user of Org. The last owner of an
// organisation stays one.
type UpdateUser struct {
	Org  uint64 `json:"org"`
	ID   uint64 `json:"id"`
	Role Role   `json:"role"`
}

func (c *UpdateUser) kind() kind   { return kindUpdateUser }
func (c *UpdateUser) Check() error { return checkRole(c.Role) }

func checkRole(r Role) error {
	if r < Viewer || r > Owner {
		return invalid("role: must be viewer, admin or owner")
	}
	return nil
}

// DeleteUser removes a user of Org with all sessions, preferences and the second
// factor. The last owner of an organisation stays.
type DeleteUser struct {
	Org uint64 `json:"org"`
	ID  uint64 `json:"id"`
}

func (c *DeleteUser) kind() kind   { return kindDeleteUser }
func (c *DeleteUser) Check() error { return nil }

// SetPassword changes a user's password and ends all sessions of the user.
type SetPassword struct {
	User         uint64 `json:"user"`
	PasswordHash string `json:"password_hash"`
}

func (c *SetPassword) kind() kind   { return kindSetPassword }
func (c *SetPassword) Check() error { return checkPasswordHash(c.PasswordHash) }

// CreateSite makes a site. Org 0 is the first organisation, which is made if
// there is none.
type CreateSite struct {
	Org      uint64 `json:"org"`
	Domain   string `json:"domain"`
	Timezone string `json:"timezone"`
	Public   bool   `json:"public"`
	Secret   Secret `json:"secret"`

	Tracker *TrackerChange `json:"tracker,omitempty"`
}

func (c *CreateSite) kind() kind { return kindCreateSite }

func (c *CreateSite) Check() (err error) {
	if c.Domain, err = NormalizeDomain(c.Domain); err != nil {
		return err
	}
	if c.Secret == (Secret{}) {
		return invalid("secret: must be random")
	}
	if err := c.Tracker.check(); err != nil {
		return err
	}
	return checkTimezone(c.Timezone)
}

// UpdateSite changes what is not nil. An empty list clears.
type UpdateSite struct {
	ID        analytics.SiteID `json:"id"`
	Domain    *string          `json:"domain,omitempty"`
	Timezone  *string          `json:"timezone,omitempty"`
	Public    *bool            `json:"public,omitempty"`
	Hostnames *[]string        `json:"hostnames,omitempty"`
	Pages     *[]string        `json:"blocked_pages,omitempty"`
	IPs       *[]string        `json:"blocked_ips,omitempty"`
	Countries *[]string        `json:"blocked_countries,omitempty"`

	Uniques       *analytics.Uniques `json:"uniques,omitempty"`
	RetentionDays *int               `json:"retention_days,omitempty"` // 0 keeps all
	Tracker       *TrackerChange     `json:"tracker,omitempty"`
}

// RetentionDaysMax is the longest time that can be asked for, a century.
const RetentionDaysMax = 36_500

func (c *UpdateSite) kind() kind { return kindUpdateSite }

func (c *UpdateSite) Check() error {
	if c.Domain != nil {
		d, err := NormalizeDomain(*c.Domain)
		if err != nil {
			return err
		}
		c.Domain = &d
	}
	if c.Timezone != nil {
		if err := checkTimezone(*c.Timezone); err != nil {
			return err
		}
	}
	if u := c.Uniques; u != nil && *u != analytics.UniquesDaily && *u != analytics.UniquesWeekly && *u != analytics.UniquesMonthly {
		return invalid("visitor_id: must be daily, weekly or monthly")
	}
	if d := c.RetentionDays; d != nil && (*d < 0 || *d > RetentionDaysMax) {
		return invalid("retention_days: must be from 0 to %d", RetentionDaysMax)
	}
	if err := c.Tracker.check(); err != nil {
		return err
	}
	for _, l := range []struct {
		list  **[]string
		field string
		most  int
		clean func(string) (string, error)
	}{
		{&c.Hostnames, "hostnames", HostnamesMax, cleanHostname},
		{&c.Pages, "blocked_pages", PagesMax, cleanPage},
		{&c.IPs, "blocked_ips", IPsMax, cleanIP},
		{&c.Countries, "blocked_countries", CountriesMax, cleanCountry},
	} {
		if *l.list == nil {
			continue
		}
		out, err := cleanList(l.field, **l.list, l.most, l.clean)
		if err != nil {
			return err
		}
		*l.list = &out
	}
	return nil
}

// DeleteSite removes a site with everything that is its own: goals, segments,
// settings, shared links, guests, annotations, funnels, reports and the keys
// bound to it. Its id is never used again.
type DeleteSite struct {
	ID analytics.SiteID `json:"id"`
}

func (c *DeleteSite) kind() kind   { return kindDeleteSite }
func (c *DeleteSite) Check() error { return nil }

// CreateKey makes an API key. Org 0 is the first organisation, which is made if
// there is none.
type CreateKey struct {
	Org    uint64           `json:"org"`
	Site   analytics.SiteID `json:"site"` // 0: every site of Org
	Name   string           `json:"name"`
	Scopes []Scope          `json:"scopes"`
	Hash   Hash             `json:"hash"`
	Prefix string           `json:"prefix"`
}

func (c *CreateKey) kind() kind { return kindCreateKey }

func (c *CreateKey) Check() (err error) {
	if c.Name, err = cleanName("name", c.Name); err != nil {
		return err
	}
	if c.Name == "" {
		return invalid("name: must not be empty")
	}
	if c.Scopes, err = checkScopes(c.Scopes); err != nil {
		return err
	}
	if c.Site != 0 && slices.Contains(c.Scopes, SitesProvision) {
		return invalid("site: a key with sites:provision cannot be bound to one site")
	}
	if c.Hash == (Hash{}) || len(c.Prefix) > 16 {
		return invalid("key: has no usable hash")
	}
	return nil
}

// RevokeKey removes an API key of Org.
type RevokeKey struct {
	Org uint64 `json:"org"`
	ID  uint64 `json:"id"`
}

func (c *RevokeKey) kind() kind   { return kindRevokeKey }
func (c *RevokeKey) Check() error { return nil }

// OpenSession signs a user in who has no second factor; for one who has it is
// Unauthorized, see OpenProvenSession. A session that the browser had before is
// replaced, so that an id from before the sign-in is worth nothing after it.
type OpenSession struct {
	User     uint64 `json:"user"`
	Hash     Hash   `json:"hash"`
	Expires  int64  `json:"expires"` // Unix ms
	Agent    string `json:"agent"`
	Replaces *Hash  `json:"replaces,omitempty"`
}

func (c *OpenSession) kind() kind { return kindOpenSession }

func (c *OpenSession) Check() error {
	c.Agent = cleanAgent(c.Agent)
	if c.Hash == (Hash{}) {
		return invalid("session: has no usable hash")
	}
	return nil
}

// CloseSession signs one browser out.
type CloseSession struct {
	Hash Hash `json:"hash"`
}

func (c *CloseSession) kind() kind   { return kindCloseSession }
func (c *CloseSession) Check() error { return nil }

// CloseSessions signs a user out everywhere.
type CloseSessions struct {
	User uint64 `json:"user"`
}

func (c *CloseSessions) kind() kind   { return kindCloseSessions }
func (c *CloseSessions) Check() error { return nil }

// Seen says when a session or key was last used, Unix ms.
type Seen struct {
	ID uint64 `json:"id"`
	At int64  `json:"at"`
}

// Touch notes when sessions and keys were last used, many at once. What is gone
// meanwhile is passed over.
type Touch struct {
	Sessions []Seen `json:"sessions,omitempty"`
	Keys     []Seen `json:"keys,omitempty"`
}

func (c *Touch) kind() kind   { return kindTouch }
func (c *Touch) Check() error { return nil }

// OfferSetup offers a one-time token for the first account. A newer offer
// replaces it.
type OfferSetup struct {
	Hash Hash `json:"hash"`
}

func (c *OfferSetup) kind() kind { return kindOfferSetup }

func (c *OfferSetup) Check() error {
	if c.Hash == (Hash{}) {
		return invalid("token: has no usable hash")
	}
	return nil
}

// CompleteSetup takes the offered token and makes the first owner, signed in,
// and perhaps a first site. It uses the first organisation if there is one.
type CompleteSetup struct {
	Token   Hash        `json:"token"`
	User    CreateUser  `json:"user"`
	Site    *CreateSite `json:"site,omitempty"`
	Session OpenSession `json:"session"`
}

func (c *CompleteSetup) kind() kind { return kindCompleteSetup }

func (c *CompleteSetup) Check() error {
	c.User.Org, c.User.Role = 0, Owner
	if err := c.User.Check(); err != nil {
		return err
	}
	if c.Site != nil {
		c.Site.Org = 0
		if err := c.Site.Check(); err != nil {
			return err
		}
	}
	return c.Session.Check()
}

// Expire clears away the sessions that are dead at the command's time.
type Expire struct{}

func (c *Expire) kind() kind   { return kindExpire }
func (c *Expire) Check() error { return nil }
