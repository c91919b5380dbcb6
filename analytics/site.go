package analytics

import "time"

// Site is what an edge must know of a site to accept its views. A Site is
// immutable once published; a change publishes a new one.
type Site struct {
	ID       SiteID
	Domain   string   // lower case, without "www."; unique
	Timezone string   // IANA name
	Org      uint64   // the organisation that owns it
	Created  int64    // Unix ms
	Secret   [16]byte // keys event ids and first-party visitor ids of this site; random, never shown
	Public   bool     // anyone may read its numbers

	Hostnames []string // allow-list of page hosts; empty allows all; "*" globs
	Pages     []string // blocked path globs
	IPs       []string // blocked addresses and CIDRs
	Countries []string // blocked ISO 3166-1 alpha-2 codes

	Uniques       Uniques // how long a visitor keeps an id; empty is UniquesDaily
	RetentionDays int     // days of events that are kept, counted back from today; 0 keeps all

	zone *time.Location
}

// Zone gives the site's time zone, UTC if its name is not known here.
func (s *Site) Zone() *time.Location {
	if s.zone == nil {
		return time.UTC
	}
	return s.zone
}

// WithZone loads the zone that Timezone names; unknown names give Invalid.
func (s Site) WithZone() (*Site, error) {
	zone, err := time.LoadLocation(s.Timezone)
	if err != nil || s.Timezone == "Local" || s.Timezone == "" {
		return nil, Errorf(Invalid, "timezone: %q is not an IANA time zone", s.Timezone)
	}
	s.zone = zone
	return &s, nil
}
