package accounts

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"

	"footfall/analytics"
)

// Ref names one record of a state. A state is kept as records, one per entity,
// so that writing it costs what changed and not what exists.
type Ref struct {
	Kind byte
	ID   uint64
}

// Kinds of records. The numbers are on disk and frozen; new ones go at the end.
const (
	RefMeta         byte = iota + 1 // counters and the setup token on offer; ID 0
	RefOrg                          //
	RefUser                         //
	RefSite                         //
	RefKey                          //
	RefSession                      //
	RefGoal                         //
	RefSegment                      //
	RefSettings                     // ID is the site's
	RefSharedLink                   //
	RefGuest                        //
	RefPreferences                  // ID is the user's
	RefAnnotation                   //
	RefFunnel                       //
	RefSecondFactor                 // ID is the user's
	RefReports                      // ID is the site's
	refEnd
)

// recordVersion is the first byte of every record; JSON follows. The whole
// state begins with stateVersion.
const (
	recordVersion = 1
	stateVersion  = 1
)

type metaRecord struct {
	Next  counters `json:"next"`
	Setup *Hash    `json:"setup,omitempty"`
}

type siteRecord struct {
	ID        analytics.SiteID `json:"id"`
	Org       uint64           `json:"org"`
	Domain    string           `json:"domain"`
	Timezone  string           `json:"timezone"`
	Created   int64            `json:"created"`
	Secret    Secret           `json:"secret"`
	Public    bool             `json:"public,omitempty"`
	Hostnames []string         `json:"hostnames,omitempty"`
	Pages     []string         `json:"blocked_pages,omitempty"`
	IPs       []string         `json:"blocked_ips,omitempty"`
	Countries []string         `json:"blocked_countries,omitempty"`

	Uniques       analytics.Uniques `json:"uniques,omitempty"`
	RetentionDays int               `json:"retention_days,omitempty"`
}

type sessionRecord struct {
	Session
	Hash Hash `json:"hash"`
}

// TakeDirty gives the records that changed since it was called last, in order,
// and forgets them. Their bytes are what Record of a view taken at the same
// time gives.
func (s *State) TakeDirty() []Ref {
	out := make([]Ref, 0, len(s.dirty))
	for r := range s.dirty {
		out = append(out, r)
	}
	s.dirty = map[Ref]struct{}{} // not cleared: after a large change the old one is large
	slices.SortFunc(out, func(a, b Ref) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// Record gives the bytes of a record; nil means that it is to be deleted.
func (v *View) Record(r Ref) ([]byte, error) {
	var body any
	switch r.Kind {
	case RefMeta:
		m := metaRecord{Next: v.next}
		if v.setup != (Hash{}) {
			m.Setup = &v.setup
		}
		body = m
	case RefOrg:
		if o, ok := v.orgs.get(r.ID); ok {
			body = o
		}
	case RefUser:
		if u, ok := v.users.get(r.ID); ok {
			body = u
		}
	case RefSite:
		if x, ok := v.sites.get(r.ID); ok {
			body = siteRecord{ID: x.ID, Org: x.Org, Domain: x.Domain, Timezone: x.Timezone, Created: x.Created, Secret: x.Secret, Public: x.Public,
				Hostnames: x.Hostnames, Pages: x.Pages, IPs: x.IPs, Countries: x.Countries, Uniques: x.Uniques, RetentionDays: x.RetentionDays}
		}
	case RefKey:
		if k, ok := v.keys.get(r.ID); ok {
			body = k
		}
	case RefSession:
		if n, ok := v.sessions.get(r.ID); ok {
			body = sessionRecord{Session: *n, Hash: Hash([]byte(n.Hash))}
		}
	case RefGoal:
		if g, ok := v.goals.get(r.ID); ok {
			body = goalRecord{ID: g.ID, Site: g.Site, GoalDef: DefOf(g)}
		}
	case RefSegment:
		if x, ok := v.segments.get(r.ID); ok {
			body = segmentRecord(*x)
		}
	case RefSettings:
		if x, ok := v.settings.get(r.ID); ok {
			body = x
		}
	case RefSharedLink:
		if l, ok := v.links.get(r.ID); ok {
			body = l
		}
	case RefGuest:
		if g, ok := v.guests.get(r.ID); ok {
			body = g
		}
	case RefPreferences:
		if x, ok := v.preferences.get(r.ID); ok {
			body = x
		}
	case RefAnnotation:
		if x, ok := v.annotations.get(r.ID); ok {
			body = x
		}
	case RefFunnel:
		if x, ok := v.funnels.get(r.ID); ok {
			body = x
		}
	case RefSecondFactor:
		if x, ok := v.factors.get(r.ID); ok {
			body = x
		}
	case RefReports:
		if x, ok := v.reports.get(r.ID); ok {
			body = x
		}
	default:
		return nil, fmt.Errorf("encode record: kind %d is not known", r.Kind)
	}
	if body == nil {
		return nil, nil
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode record %d/%d: %w", r.Kind, r.ID, err)
	}
	return append([]byte{recordVersion}, text...), nil
}

// Restore puts back a record, in any order, into a state that applied nothing
// yet. A format that is not known is an error.
func (s *State) Restore(r Ref, b []byte) error {
	if len(b) == 0 {
		return fmt.Errorf("read account record %d/%d: it is empty", r.Kind, r.ID)
	}
	if b[0] != recordVersion {
		return fmt.Errorf("read account record %d/%d: format %d is not known to this release, which knows %d", r.Kind, r.ID, b[0], recordVersion)
	}
	id, err := s.restore(r.Kind, b[1:])
	if err != nil {
		return fmt.Errorf("read account record %d/%d: %w", r.Kind, r.ID, err)
	}
	if id != r.ID {
		return fmt.Errorf("read account record %d/%d: it says its id is %d", r.Kind, r.ID, id)
	}
	return nil
}

func (s *State) restore(k byte, body []byte) (id uint64, err error) {
	switch k {
	case RefMeta:
		var m metaRecord
		if err = strictJSON(body, &m); err == nil {
			s.view.next = m.Next
			if m.Setup != nil {
				s.view.setup = *m.Setup
			}
		}
	case RefOrg:
		o := &Org{}
		if err = strictJSON(body, o); err == nil {
			s.view.setOrg(o)
		}
		id = o.ID
	case RefUser:
		u := &User{}
		if err = strictJSON(body, u); err == nil {
			s.view.setUser(u)
		}
		id = u.ID
	case RefSite:
		var x siteRecord
		if err = strictJSON(body, &x); err == nil {
			s.view.setSite(s.siteOf(x))
		}
		id = uint64(x.ID)
	case RefKey:
		key := &Key{}
		if err = strictJSON(body, key); err == nil {
			s.view.setKey(key)
		}
		id = key.ID
	case RefSession:
		var n sessionRecord
		if err = strictJSON(body, &n); err == nil {
			n.Session.Hash = string(n.Hash[:])
			s.view.setSession(&n.Session)
		}
		id = n.ID
	case RefGoal:
		var g goalRecord
		if err = strictJSON(body, &g); err == nil {
			s.view.setGoal(g.goal(g.ID, g.Site))
		}
		id = g.ID
	case RefSegment:
		var x segmentRecord
		if err = strictJSON(body, &x); err == nil {
			segment := analytics.Segment(x)
			s.view.setSegment(&segment)
		}
		id = x.ID
	case RefSettings:
		x := &settings{}
		if err = strictJSON(body, x); err == nil {
			s.view.settings = s.view.settings.put(uint64(x.Site), x)
		}
		id = uint64(x.Site)
	case RefSharedLink:
		l := &SharedLink{}
		if err = strictJSON(body, l); err == nil {
			s.view.setLink(l)
		}
		id = l.ID
	case RefGuest:
		g := &Guest{}
		if err = strictJSON(body, g); err == nil {
			s.view.setGuest(g)
		}
		id = g.ID
	case RefPreferences:
		p := &Preferences{}
		if err = strictJSON(body, p); err == nil {
			s.view.preferences = s.view.preferences.put(p.User, p)
		}
		id = p.User
	case RefAnnotation:
		a := &Annotation{}
		if err = strictJSON(body, a); err == nil {
			s.view.setAnnotation(a)
		}
		id = a.ID
	case RefFunnel:
		f := &Funnel{}
		if err = strictJSON(body, f); err == nil {
			s.view.setFunnel(f)
		}
		id = f.ID
	case RefSecondFactor:
		f := &SecondFactor{}
		if err = strictJSON(body, f); err == nil {
			s.view.factors = s.view.factors.put(f.User, f)
		}
		id = f.User
	case RefReports:
		x := &Reports{}
		if err = strictJSON(body, x); err == nil {
			s.view.reports = s.view.reports.put(uint64(x.Site), x)
		}
		id = uint64(x.Site)
	default:
		err = fmt.Errorf("the kind is not known to this release")
	}
	return id, err
}

func (s *State) siteOf(x siteRecord) *analytics.Site {
	site := s.zoned(x.Timezone)
	site.ID, site.Org, site.Domain, site.Created = x.ID, x.Org, x.Domain, x.Created
	site.Secret, site.Public = x.Secret, x.Public
	site.Hostnames, site.Pages, site.IPs, site.Countries = x.Hostnames, x.Pages, x.IPs, x.Countries
	site.Uniques, site.RetentionDays = x.Uniques, x.RetentionDays
	return &site
}

// Encode gives the whole state in one canonical form: a version byte, then the
// records in order of kind and id, each as kind(1) id(uvarint) length(uvarint)
// bytes.
func (v *View) Encode() ([]byte, error) {
	out := []byte{stateVersion}
	for _, r := range v.refs() {
		b, err := v.Record(r)
		if err != nil {
			return nil, err
		}
		out = append(out, r.Kind)
		out = binary.AppendUvarint(out, r.ID)
		out = binary.AppendUvarint(out, uint64(len(b)))
		out = append(out, b...)
	}
	return out, nil
}

// refs names all records in order.
func (v *View) refs() []Ref {
	out := []Ref{{Kind: RefMeta}}
	for id := range v.orgs.from(0) {
		out = append(out, Ref{RefOrg, id})
	}
	for id := range v.users.from(0) {
		out = append(out, Ref{RefUser, id})
	}
	for id := range v.sites.from(0) {
		out = append(out, Ref{RefSite, id})
	}
	for id := range v.keys.from(0) {
		out = append(out, Ref{RefKey, id})
	}
	for id := range v.sessions.from(0) {
		out = append(out, Ref{RefSession, id})
	}
	for id := range v.goals.from(0) {
		out = append(out, Ref{RefGoal, id})
	}
	for id := range v.segments.from(0) {
		out = append(out, Ref{RefSegment, id})
	}
	for id := range v.settings.from(0) {
		out = append(out, Ref{RefSettings, id})
	}
	for id := range v.links.from(0) {
		out = append(out, Ref{RefSharedLink, id})
	}
	for id := range v.guests.from(0) {
		out = append(out, Ref{RefGuest, id})
	}
	for id := range v.preferences.from(0) {
		out = append(out, Ref{RefPreferences, id})
	}
	for id := range v.annotations.from(0) {
		out = append(out, Ref{RefAnnotation, id})
	}
	for id := range v.funnels.from(0) {
		out = append(out, Ref{RefFunnel, id})
	}
	for id := range v.factors.from(0) {
		out = append(out, Ref{RefSecondFactor, id})
	}
	for id := range v.reports.from(0) {
		out = append(out, Ref{RefReports, id})
	}
	return out
}

// Decode reads what Encode wrote.
func Decode(b []byte) (*State, error) {
	if len(b) == 0 || b[0] != stateVersion {
		return nil, fmt.Errorf("decode accounts: the format is not known to this release, which knows %d", stateVersion)
	}
	s := NewState()
	last := Ref{}
	for b = b[1:]; len(b) > 0; {
		r := Ref{Kind: b[0]}
		b = b[1:]
		id, n := binary.Uvarint(b)
		if n <= 0 {
			return nil, fmt.Errorf("decode accounts: cut off after record %d/%d", last.Kind, last.ID)
		}
		r.ID, b = id, b[n:]
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return nil, fmt.Errorf("decode accounts: cut off in record %d/%d", r.Kind, r.ID)
		}
		if r.Kind < last.Kind || r.Kind == last.Kind && r.ID <= last.ID {
			return nil, fmt.Errorf("decode accounts: record %d/%d is out of order", r.Kind, r.ID)
		}
		if err := s.Restore(r, b[n:n+int(size)]); err != nil {
			return nil, err
		}
		last, b = r, b[n+int(size):]
	}
	return s, nil
}
