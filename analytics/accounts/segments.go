package accounts

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"

	"footfall/analytics"
)

type segmentRecord struct {
	ID       uint64           `json:"id"`
	Site     analytics.SiteID `json:"site"`
	Name     string           `json:"name"`
	Personal bool             `json:"personal,omitempty"`
	Owner    uint64           `json:"owner,omitempty"`
	Data     string           `json:"data"`
	Updated  int64            `json:"updated"`
}

// CreateSegment makes a saved filter of a site. A name that the site's
// segments have, or for a personal one its owner's, is a Conflict. What the
// filters mean is for whoever proposes the change to check.
type CreateSegment struct {
	Site     analytics.SiteID `json:"site"`
	Name     string           `json:"name"`
	Personal bool             `json:"personal,omitempty"`
	Owner    uint64           `json:"owner,omitempty"` // user; 0 for a key or the operator
	Data     string           `json:"data"`
}

func (c *CreateSegment) kind() kind { return kindCreateSegment }

func (c *CreateSegment) Check() (err error) {
	if c.Name, err = displayName("name", c.Name); err != nil {
		return err
	}
	if err := checkPersonal(c.Personal, c.Owner); err != nil {
		return err
	}
	c.Data, err = segmentData(c.Data)
	return err
}

// UpdateSegment changes what is not nil. By is the user who changes it; a
// segment that becomes personal becomes theirs.
type UpdateSegment struct {
	Site     analytics.SiteID `json:"site"`
	ID       uint64           `json:"id"`
	By       uint64           `json:"by,omitempty"`
	Name     *string          `json:"name,omitempty"`
	Personal *bool            `json:"personal,omitempty"`
	Data     *string          `json:"data,omitempty"`
}

func (c *UpdateSegment) kind() kind { return kindUpdateSegment }

func (c *UpdateSegment) Check() error {
	if c.Name != nil {
		name, err := displayName("name", *c.Name)
		if err != nil {
			return err
		}
		c.Name = &name
	}
	if c.Personal != nil {
		if err := checkPersonal(*c.Personal, c.By); err != nil {
			return err
		}
	}
	if c.Data != nil {
		data, err := segmentData(*c.Data)
		if err != nil {
			return err
		}
		c.Data = &data
	}
	return nil
}

// DeleteSegment removes a segment of a site.
type DeleteSegment struct {
	Site analytics.SiteID `json:"site"`
	ID   uint64           `json:"id"`
}

func (c *DeleteSegment) kind() kind   { return kindDeleteSegment }
func (c *DeleteSegment) Check() error { return nil }

func checkPersonal(personal bool, user uint64) error {
	if personal && user == 0 {
		return invalid("type: only a signed-in user has personal segments")
	}
	return nil
}

// segmentData checks the form of a segment's data and gives the one way to
// write it: no spaces, members in a fixed order.
func segmentData(text string) (string, error) {
	var in struct {
		Filters []json.RawMessage `json:"filters"`
		Labels  map[string]string `json:"labels,omitempty"`
	}
	// Of the bound on what is kept four times as much may come in, since spaces
	// fall away.
	if len(text) > 4*analytics.SegmentBytesMax {
		return "", invalid("segment_data: longer than %d bytes", analytics.SegmentBytesMax)
	}
	if !utf8.ValidString(text) {
		return "", invalid("segment_data: is not valid UTF-8")
	}
	if err := strictJSON([]byte(text), &in); err != nil {
		return "", invalid("segment_data: must be an object with a list of filters and perhaps labels, which are texts")
	}
	if len(in.Filters) == 0 {
		return "", invalid("segment_data: filters must not be empty")
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(in); err != nil {
		return "", invalid("segment_data: %w", err)
	}
	data := bytes.TrimSuffix(out.Bytes(), []byte("\n"))
	if len(data) > analytics.SegmentBytesMax {
		return "", invalid("segment_data: longer than %d bytes", analytics.SegmentBytesMax)
	}
	return string(data), nil
}

// segmentFree tells whether there is room for a segment beside the others that
// the same people see, and its name is free among them.
func (s *State) segmentFree(x *analytics.Segment) error {
	of, _ := s.view.segmentsOf.get(uint64(x.Site))
	beside := 0
	for _, other := range of.from(0) {
		if other.ID == x.ID || other.Personal != x.Personal || x.Personal && other.Owner != x.Owner {
			continue
		}
		if beside++; other.Name == x.Name {
			return analytics.Errorf(analytics.Conflict, "name: %q is the name of another segment", x.Name)
		}
	}
	if beside >= analytics.SegmentsMax {
		return analytics.Errorf(analytics.TooLarge, "segments: a site has at most %d", analytics.SegmentsMax)
	}
	return nil
}

func (c *CreateSegment) apply(s *State, at int64) Result {
	if err := s.checkSite(c.Site); err != nil {
		return Result{Err: err}
	}
	if _, ok := s.view.User(c.Owner); c.Owner != 0 && !ok {
		return refused(analytics.NotFound, "user: there is no user %d", c.Owner)
	}
	x := &analytics.Segment{Site: c.Site, Name: c.Name, Personal: c.Personal, Owner: c.Owner, Data: c.Data, Updated: at}
	if err := s.segmentFree(x); err != nil {
		return Result{Err: err}
	}
	s.view.next.Segment++
	x.ID = s.view.next.Segment
	s.view.setSegment(x)
	s.mark(RefSegment, x.ID)
	return Result{Segment: x}
}

func (c *UpdateSegment) apply(s *State, at int64) Result {
	old, ok := s.view.Segment(c.Site, c.ID)
	if !ok {
		return refused(analytics.NotFound, "segment: there is no segment %d", c.ID)
	}
	x := *old
	x.Updated = at
	if c.Name != nil {
		x.Name = *c.Name
	}
	if c.Personal != nil && *c.Personal != x.Personal {
		x.Personal = *c.Personal
		if _, ok := s.view.User(c.By); x.Personal && !ok {
			return refused(analytics.NotFound, "user: there is no user %d", c.By)
		}
		if x.Personal {
			x.Owner = c.By
		}
	}
	if c.Data != nil {
		x.Data = *c.Data
	}
	if err := s.segmentFree(&x); err != nil {
		return Result{Err: err}
	}
	s.view.setSegment(&x)
	s.mark(RefSegment, x.ID)
	return Result{Segment: &x}
}

func (c *DeleteSegment) apply(s *State, _ int64) Result {
	x, ok := s.view.Segment(c.Site, c.ID)
	if !ok {
		return refused(analytics.NotFound, "segment: there is no segment %d", c.ID)
	}
	s.dropSegment(x)
	return Result{Segment: x}
}

func (s *State) dropSegment(x *analytics.Segment) {
	s.view.dropSegment(x)
	s.mark(RefSegment, x.ID)
}

func (v *View) setSegment(x *analytics.Segment) {
	if old, ok := v.segments.get(x.ID); ok {
		v.dropSegment(old)
	}
	v.segments = v.segments.put(x.ID, x)
	v.segmentsOf = within(v.segmentsOf, uint64(x.Site), x.ID, x, true)
	if x.Personal {
		v.personalOf = within(v.personalOf, x.Owner, x.ID, x, true)
	}
}

func (v *View) dropSegment(x *analytics.Segment) {
	v.segments = v.segments.delete(x.ID)
	v.segmentsOf = within(v.segmentsOf, uint64(x.Site), x.ID, x, false)
	if x.Personal {
		v.personalOf = within(v.personalOf, x.Owner, x.ID, x, false)
	}
}

// Segments gives the segments of a site in order of ids, personal ones of all
// owners included: whoever shows them leaves out those of others. The slice is
// the caller's, what it points to is not.
func (v *View) Segments(site analytics.SiteID) []*analytics.Segment {
	of, _ := v.segmentsOf.get(uint64(site))
	return of.list()
}

// Segment finds a segment of a site, personal ones of all owners included.
func (v *View) Segment(site analytics.SiteID, id uint64) (*analytics.Segment, bool) {
	x, ok := v.segments.get(id)
	if !ok || x.Site != site {
		return nil, false
	}
	return x, true
}
