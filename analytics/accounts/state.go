package accounts

import (
	"slices"
	"strconv"

	"footfall/analytics"
)

// State is the state machine. Two states that applied the same commands encode
// to the same bytes. Not safe for concurrent use; its views are.
type State struct {
	view  View
	dirty map[Ref]struct{}           // changed since TakeDirty
	zones map[string]*analytics.Site // one site per time zone, to share its loaded zone; bounded by zonesMax
}

// zonesMax bounds the zones kept loaded; the world has some 600 names.
const zonesMax = 1024

// NewState makes the state before the first command.
func NewState() *State {
	return &State{view: newView(), dirty: map[Ref]struct{}{}, zones: map[string]*analytics.Site{}}
}

// View gives the state as it is now; later commands do not change it.
func (s *State) View() *View {
	v := s.view
	return &v
}

// Apply executes a command. It never fails half way: with Result.Err set
// nothing changed.
func (s *State) Apply(cmd Command) Result {
	if err := cmd.Change.Check(); err != nil {
		return Result{Err: err}
	}
	return cmd.Change.apply(s, cmd.At)
}

func refused(code analytics.Code, format string, args ...any) Result {
	return Result{Err: analytics.Errorf(code, format, args...)}
}

func (s *State) mark(k byte, id uint64) {
	s.dirty[Ref{Kind: k, ID: id}] = struct{}{}
	s.dirty[Ref{Kind: RefMeta}] = struct{}{}
}

// takeOrg finds the organisation that a change means, or makes the first one.
// It is called after everything else was checked, because it may change the
// state.
func (s *State) takeOrg(id uint64, at int64) *Org {
	if id == 0 {
		id = s.view.FirstOrg()
	}
	if o, ok := s.view.Org(id); ok {
		return o
	}
	return s.makeOrg("", at)
}

func (s *State) makeOrg(name string, at int64) *Org {
	s.view.next.Org++
	o := &Org{ID: s.view.next.Org, Name: name, Created: at}
	if o.Name == "" {
		o.Name = "Organisation " + strconv.FormatUint(o.ID, 10)
	}
	s.view.setOrg(o)
	s.mark(RefOrg, o.ID)
	return o
}

func (s *State) checkOrg(id uint64) error {
	if _, ok := s.view.Org(id); id != 0 && !ok {
		return analytics.Errorf(analytics.NotFound, "org: there is no organisation %d", id)
	}
	return nil
}

func (c *CreateOrg) apply(s *State, at int64) Result { return Result{Org: s.makeOrg(c.Name, at)} }

func (s *State) emailFree(email string) error {
	if _, taken := s.view.UserByEmail(email); taken {
		return analytics.Errorf(analytics.Conflict, "email: %s has an account already", email)
	}
	return nil
}

func (c *CreateUser) apply(s *State, at int64) Result {
	if err := s.checkOrg(c.Org); err != nil {
		return Result{Err: err}
	}
	if err := s.emailFree(c.Email); err != nil {
		return Result{Err: err}
	}
	org := s.takeOrg(c.Org, at)
	s.view.next.User++
	u := &User{ID: s.view.next.User, Org: org.ID, Email: c.Email, Name: c.Name, Role: c.Role, PasswordHash: c.PasswordHash, Created: at}
	s.view.setUser(u)
	s.mark(RefUser, u.ID)
	if s.view.HasOwner() {
		s.view.setup = Hash{}
	}
	s.acceptInvitations(u)
	return Result{Org: org, User: u}
}

func (c *DeleteUser) apply(s *State, _ int64) Result {
	u, ok := s.view.User(c.ID)
	if !ok || u.Org != c.Org {
		return refused(analytics.NotFound, "user: there is no user %d", c.ID)
	}
	if u.Role == Owner && s.ownersOf(u.Org) == 1 {
		return refused(analytics.Conflict, "user: %s is the only owner of the organisation", u.Email)
	}
	s.closeSessions(u.ID)
	s.endVisits(u.ID)
	s.dropPreferences(u.ID)
	s.dropFactor(u.ID)
	s.view.dropUser(u)
	s.mark(RefUser, u.ID)
	return Result{User: u}
}

func (c *UpdateUser) apply(s *State, _ int64) Result {
	old, ok := s.view.User(c.ID)
	if !ok || old.Org != c.Org {
		return refused(analytics.NotFound, "user: there is no user %d", c.ID)
	}
	if old.Role == c.Role {
		return Result{User: old, Existed: true}
	}
	if old.Role == Owner && s.ownersOf(old.Org) == 1 {
		return refused(analytics.Conflict, "role: %s is the only owner of the organisation", old.Email)
	}
	u := *old
	u.Role = c.Role
	s.view.setUser(&u)
	s.mark(RefUser, u.ID)
	if s.view.HasOwner() {
		s.view.setup = Hash{}
	}
	return Result{User: &u}
}

func (s *State) ownersOf(org uint64) int {
	n := 0
	for u := range s.view.UsersOf(org) {
		if u.Role == Owner {
			n++
		}
	}
	return n
}

func (c *SetPassword) apply(s *State, _ int64) Result {
	old, ok := s.view.User(c.User)
	if !ok {
		return refused(analytics.NotFound, "user: there is no user %d", c.User)
	}
	u := *old
	u.PasswordHash = c.PasswordHash
	s.view.setUser(&u)
	s.mark(RefUser, u.ID)
	s.closeSessions(u.ID)
	return Result{User: &u}
}

func (s *State) domainFree(domain string, but analytics.SiteID) error {
	if other, taken := s.view.Site([]byte(domain)); taken && other.ID != but {
		return analytics.Errorf(analytics.Conflict, "domain: %s is in use already", domain)
	}
	return nil
}

// zoned gives a site with the time zone loaded and nothing else set. A zone
// that this machine does not know counts as UTC: whether the machine knows it
// must not decide what is in the state.
func (s *State) zoned(timezone string) analytics.Site {
	if site, ok := s.zones[timezone]; ok {
		return *site
	}
	site, err := analytics.Site{Timezone: timezone}.WithZone()
	if err != nil {
		site = &analytics.Site{Timezone: timezone}
	}
	if len(s.zones) >= zonesMax {
		clear(s.zones)
	}
	s.zones[timezone] = site
	return *site
}

// withZoneOf gives site in the time zone of zoned.
func withZoneOf(site, zoned analytics.Site) analytics.Site {
	zoned.ID, zoned.Domain, zoned.Org, zoned.Created = site.ID, site.Domain, site.Org, site.Created
	zoned.Secret, zoned.Public = site.Secret, site.Public
	zoned.Hostnames, zoned.Pages, zoned.IPs, zoned.Countries = site.Hostnames, site.Pages, site.IPs, site.Countries
	zoned.Uniques, zoned.RetentionDays = site.Uniques, site.RetentionDays
	return zoned
}

func (c *CreateSite) apply(s *State, at int64) Result {
	if err := s.checkOrg(c.Org); err != nil {
		return Result{Err: err}
	}
	if err := s.domainFree(c.Domain, 0); err != nil {
		return Result{Err: err}
	}
	org := s.takeOrg(c.Org, at)
	s.view.next.Site++
	site := s.zoned(c.Timezone)
	site.ID = analytics.SiteID(s.view.next.Site)
	site.Domain, site.Org, site.Created = c.Domain, org.ID, at
	site.Secret, site.Public = c.Secret, c.Public
	s.view.setSite(&site)
	s.mark(RefSite, uint64(site.ID))
	s.changeTracker(site.ID, c.Tracker)
	return Result{Org: org, Site: &site}
}

func (c *UpdateSite) apply(s *State, _ int64) Result {
	old, ok := s.view.SiteByID(c.ID)
	if !ok {
		return refused(analytics.NotFound, "site: there is no such site")
	}
	site := *old
	if c.Timezone != nil {
		site = withZoneOf(site, s.zoned(*c.Timezone))
	}
	if c.Domain != nil {
		if err := s.domainFree(*c.Domain, c.ID); err != nil {
			return Result{Err: err}
		}
		site.Domain = *c.Domain
	}
	if c.Public != nil {
		site.Public = *c.Public
	}
	if c.Uniques != nil {
		site.Uniques = *c.Uniques
	}
	if c.RetentionDays != nil {
		site.RetentionDays = *c.RetentionDays
	}
	for _, l := range []struct {
		to   *[]string
		from *[]string
	}{{&site.Hostnames, c.Hostnames}, {&site.Pages, c.Pages}, {&site.IPs, c.IPs}, {&site.Countries, c.Countries}} {
		if l.from != nil {
			*l.to = slices.Clone(*l.from)
		}
	}
	s.view.setSite(&site)
	s.mark(RefSite, uint64(site.ID))
	s.changeTracker(site.ID, c.Tracker)
	return Result{Site: &site}
}

func (c *DeleteSite) apply(s *State, _ int64) Result {
	site, ok := s.view.SiteByID(c.ID)
	if !ok {
		return refused(analytics.NotFound, "site: there is no such site")
	}
	for k := range s.view.KeysOf(site.Org) {
		if k.Site == site.ID {
			s.view.dropKey(k)
			s.mark(RefKey, k.ID)
		}
	}
	s.dropContents(site.ID)
	s.view.dropSite(site)
	s.mark(RefSite, uint64(site.ID))
	return Result{Site: site}
}

// dropContents removes everything that belongs to a site.
func (s *State) dropContents(site analytics.SiteID) {
	for _, g := range s.view.Goals(site) {
		s.dropGoal(g)
	}
	for _, x := range s.view.Segments(site) {
		s.dropSegment(x)
	}
	for _, l := range s.view.SharedLinks(site) {
		s.dropLink(l)
	}
	for _, g := range s.view.Guests(site) {
		s.dropGuest(g)
	}
	for _, a := range s.view.Annotations(site) {
		s.dropAnnotation(a)
	}
	for _, f := range s.view.Funnels(site) {
		s.dropFunnel(f)
	}
	s.dropReports(site)
	if _, ok := s.view.settings.get(uint64(site)); ok {
		s.putSettings(settings{Site: site})
	}
}

func (c *CreateKey) apply(s *State, at int64) Result {
	if err := s.checkOrg(c.Org); err != nil {
		return Result{Err: err}
	}
	org := c.Org
	if org == 0 {
		org = s.view.FirstOrg()
	}
	if c.Site != 0 {
		site, ok := s.view.SiteByID(c.Site)
		if !ok || site.Org != org {
			return refused(analytics.NotFound, "site: there is no such site")
		}
	}
	if _, taken := s.view.KeyByHash(&c.Hash); taken {
		return refused(analytics.Conflict, "key: exists already")
	}
	o := s.takeOrg(c.Org, at)
	s.view.next.Key++
	k := &Key{ID: s.view.next.Key, Org: o.ID, Site: c.Site, Name: c.Name, Scopes: c.Scopes, Hash: c.Hash, Prefix: c.Prefix, Created: at}
	s.view.setKey(k)
	s.mark(RefKey, k.ID)
	return Result{Org: o, Key: k}
}

func (c *RevokeKey) apply(s *State, _ int64) Result {
	k, ok := s.view.Key(c.ID)
	if !ok || k.Org != c.Org {
		return refused(analytics.NotFound, "key: there is no key %d", c.ID)
	}
	s.view.dropKey(k)
	s.mark(RefKey, k.ID)
	return Result{Key: k}
}

func (c *OpenSession) apply(s *State, at int64) Result {
	if _, needed := s.view.SecondFactor(c.User); needed {
		return refused(analytics.Unauthorized, "code: this account has a second factor")
	}
	return s.openSession(c, at)
}

func (s *State) openSession(c *OpenSession, at int64) Result {
	u, ok := s.view.User(c.User)
	if !ok {
		return refused(analytics.NotFound, "user: there is no user %d", c.User)
	}
	if _, taken := s.view.SessionByHash(&c.Hash); taken {
		return refused(analytics.Conflict, "session: exists already")
	}
	if c.Expires <= at {
		return refused(analytics.Invalid, "session: would be over already")
	}
	if c.Replaces != nil {
		if old, ok := s.view.SessionByHash(c.Replaces); ok {
			s.closeSession(old)
		}
	}
	s.makeRoom(u.ID, at)
	s.view.next.Session++
	n := &Session{ID: s.view.next.Session, User: u.ID, Hash: string(c.Hash[:]), Created: at, LastSeen: at, Expires: c.Expires, Agent: c.Agent}
	s.view.setSession(n)
	s.mark(RefSession, n.ID)
	return Result{User: u, Session: n}
}

// makeRoom closes the user's dead sessions, and the oldest ones while there
// are SessionsMax.
func (s *State) makeRoom(user uint64, at int64) {
	alive := slices.Collect(s.view.SessionsOf(user))
	for i := 0; i < len(alive); {
		if !alive[i].Alive(at, alive[i].LastSeen) || len(alive) >= SessionsMax && i == 0 {
			s.closeSession(alive[i])
			alive = slices.Delete(alive, i, i+1)
			continue
		}
		i++
	}
}

func (s *State) closeSession(n *Session) {
	s.view.dropSession(n)
	s.mark(RefSession, n.ID)
}

func (s *State) closeSessions(user uint64) {
	for n := range s.view.SessionsOf(user) {
		s.closeSession(n)
	}
}

func (c *CloseSession) apply(s *State, _ int64) Result {
	n, ok := s.view.SessionByHash(&c.Hash)
	if ok {
		s.closeSession(n)
	}
	return Result{Session: n}
}

func (c *CloseSessions) apply(s *State, _ int64) Result {
	s.closeSessions(c.User)
	return Result{}
}

func (c *Touch) apply(s *State, _ int64) Result {
	for _, t := range c.Sessions {
		if old, ok := s.view.sessions.get(t.ID); ok && t.At > old.LastSeen && t.At < old.Expires {
			n := *old
			n.LastSeen = t.At
			s.view.setSession(&n)
			s.mark(RefSession, n.ID)
		}
	}
	for _, t := range c.Keys {
		if old, ok := s.view.keys.get(t.ID); ok && t.At > old.LastUsed {
			k := *old
			k.LastUsed = t.At
			s.view.setKey(&k)
			s.mark(RefKey, k.ID)
		}
	}
	return Result{}
}

func (c *OfferSetup) apply(s *State, _ int64) Result {
	if s.view.HasOwner() {
		return refused(analytics.Conflict, "token: the first account is set up already")
	}
	s.view.setup = c.Hash
	s.dirty[Ref{Kind: RefMeta}] = struct{}{}
	return Result{}
}

func (c *CompleteSetup) apply(s *State, at int64) Result {
	if !s.view.SetupOffered(&c.Token) {
		return refused(analytics.NotFound, "token: this link was used already or is out of date")
	}
	if err := s.emailFree(c.User.Email); err != nil {
		return Result{Err: err}
	}
	if c.Site != nil {
		if err := s.domainFree(c.Site.Domain, 0); err != nil {
			return Result{Err: err}
		}
	}
	if _, taken := s.view.SessionByHash(&c.Session.Hash); taken || c.Session.Expires <= at {
		return refused(analytics.Invalid, "session: cannot be opened")
	}
	out := c.User.apply(s, at)
	if c.Site != nil {
		out.Site = c.Site.apply(s, at).Site
	}
	session := c.Session
	session.User = out.User.ID
	out.Session = session.apply(s, at).Session
	return out
}

func (c *Expire) apply(s *State, at int64) Result {
	for n := range s.view.Sessions() {
		if !n.Alive(at, n.LastSeen) {
			s.closeSession(n)
		}
	}
	return Result{}
}

// DeadSessions tells whether there is something for Expire to clear away at
// now, Unix ms.
func (v *View) DeadSessions(now int64) bool {
	for n := range v.Sessions() {
		if !n.Alive(now, n.LastSeen) {
			return true
		}
	}
	return false
}
