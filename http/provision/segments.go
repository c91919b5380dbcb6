package provision

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/door"
)

// Types of segments.
const (
	typeSite     = "site"
	typePersonal = "personal"
)

type segmentBody struct {
	ID      uint64          `json:"id"`
	Name    string          `json:"name"`
	Type    string          `json:"type"`
	Owner   *uint64         `json:"owner"` // number of the user who made it, for those who belong to the site
	Data    json.RawMessage `json:"segment_data"`
	Updated string          `json:"updated"`
}

func segmentOf(x *analytics.Segment, site *analytics.Site, who accounts.Identity) segmentBody {
	out := segmentBody{ID: x.ID, Name: x.Name, Type: typeSite, Data: json.RawMessage(x.Data), Updated: instant(x.Updated)}
	if x.Personal {
		out.Type = typePersonal
	}
	if x.Owner != 0 && who.Belongs(site) {
		out.Owner = &x.Owner
	}
	return out
}

// mayUse tells whether a segment is there for who, who reads its site.
func mayUse(x *analytics.Segment, who accounts.Identity) bool {
	return !x.Personal || who.User != 0 && x.Owner == who.User
}

// theSegment finds the segment of the site that the path names. One that is
// somebody else's looks as if it did not exist.
func (d *Door) theSegment(ctx *fasthttp.RequestCtx, site *analytics.Site, who accounts.Identity) (*analytics.Segment, error) {
	id, _ := idOf(ctx)
	x, ok := d.view().Segment(site.ID, id)
	if !ok || !mayUse(x, who) {
		return nil, analytics.Errorf(analytics.NotFound, "segment: there is no such segment")
	}
	return x, nil
}

// maySetSegment refuses who may not have or change a segment of that type.
func maySetSegment(who accounts.Identity, site *analytics.Site, personal bool) error {
	if !personal && !who.MayManage(site) {
		return analytics.Errorf(analytics.Forbidden, "type: segments of the whole site need more rights than you have")
	}
	return nil
}

func (d *Door) segments(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := d.site(ctx, who, sees)
	if err != nil {
		return err
	}
	out := map[string][]segmentBody{"segments": {}}
	for _, x := range d.view().Segments(site.ID) {
		if mayUse(x, who) {
			out["segments"] = append(out["segments"], segmentOf(x, site, who))
		}
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, out)
	return nil
}

func (d *Door) segment(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := d.site(ctx, who, sees)
	if err != nil {
		return err
	}
	x, err := d.theSegment(ctx, site, who)
	if err != nil {
		return err
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, segmentOf(x, site, who))
	return nil
}

type segmentInput struct {
	Name *string         `json:"name"`
	Type *string         `json:"type"`
	Data json.RawMessage `json:"segment_data"`
}

// read reads and checks what is there of a segment.
func (d *Door) readSegment(ctx *fasthttp.RequestCtx, site *analytics.Site, who accounts.Identity) (in segmentInput, err error) {
	if err := readJSON(ctx, &in); err != nil {
		return in, err
	}
	if in.Type != nil && *in.Type != typeSite && *in.Type != typePersonal {
		return in, invalid("type: must be site or personal")
	}
	if string(in.Data) == "null" {
		in.Data = nil
	}
	if in.Data == nil {
		return in, nil
	}
	return in, d.checkFilters(in.Data, site, who)
}

// checkFilters tells whether the filters of a segment's data mean something.
func (d *Door) checkFilters(data []byte, site *analytics.Site, who accounts.Identity) error {
	decode := json.NewDecoder(bytes.NewReader(data))
	decode.UseNumber()
	var in struct {
		Filters []any `json:"filters"`
		Labels  any   `json:"labels"`
	}
	if err := decode.Decode(&in); err != nil {
		return invalid("segment_data: must be an object with a list of filters")
	}
	if len(in.Filters) == 0 {
		return invalid("segment_data: filters must not be empty")
	}
	for _, f := range in.Filters {
		if holdsSegment(f) {
			return invalid("segment_data: a segment cannot be made of segments")
		}
	}
	limit, cancel := context.WithTimeout(context.Background(), changeTimeout)
	defer cancel()
	if err := d.cfg.Check(limit, site, who, in.Filters); err != nil {
		if analytics.CodeOf(err) != analytics.Invalid {
			return err
		}
		return &analytics.Error{Code: analytics.Invalid, Text: "segment_data: " + err.Error(), Err: err}
	}
	return nil
}

// holdsSegment tells whether a filter tests for a segment anywhere: segments
// that hold one another would never end.
func holdsSegment(filter any) bool {
	list, ok := filter.([]any)
	if !ok {
		return false
	}
	if len(list) >= 3 {
		dimension, _ := list[1].(string)
		if _, clauses := list[2].([]any); clauses && dimension == "segment" {
			return true
		}
	}
	for _, child := range list {
		if holdsSegment(child) {
			return true
		}
	}
	return false
}

func (d *Door) createSegment(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := d.site(ctx, who, belongs)
	if err != nil {
		return err
	}
	in, err := d.readSegment(ctx, site, who)
	if err != nil {
		return err
	}
	switch {
	case in.Name == nil:
		return invalid("name: must not be empty")
	case in.Type == nil:
		return invalid("type: must be site or personal")
	case in.Data == nil:
		return invalid("segment_data: must not be empty")
	}
	personal := *in.Type == typePersonal
	if err := maySetSegment(who, site, personal); err != nil {
		return err
	}
	out, err := d.do(&accounts.CreateSegment{Site: site.ID, Name: *in.Name, Personal: personal, Owner: who.User, Data: string(in.Data)})
	if err != nil {
		return err
	}
	door.WriteJSON(ctx, fasthttp.StatusCreated, segmentOf(out.Segment, site, who))
	return nil
}

func (d *Door) updateSegment(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := d.site(ctx, who, belongs)
	if err != nil {
		return err
	}
	old, err := d.theSegment(ctx, site, who)
	if err != nil {
		return err
	}
	if err := maySetSegment(who, site, old.Personal); err != nil {
		return err
	}
	in, err := d.readSegment(ctx, site, who)
	if err != nil {
		return err
	}
	change := &accounts.UpdateSegment{Site: site.ID, ID: old.ID, By: who.User, Name: in.Name}
	if in.Type != nil {
		personal := *in.Type == typePersonal
		if err := maySetSegment(who, site, personal); err != nil {
			return err
		}
		change.Personal = &personal
	}
	if in.Data != nil {
		data := string(in.Data)
		change.Data = &data
	}
	out, err := d.do(change)
	if err != nil {
		return err
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, segmentOf(out.Segment, site, who))
	return nil
}

func (d *Door) deleteSegment(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := d.site(ctx, who, belongs)
	if err != nil {
		return err
	}
	x, err := d.theSegment(ctx, site, who)
	if err != nil {
		return err
	}
	if err := maySetSegment(who, site, x.Personal); err != nil {
		return err
	}
	if _, err := d.do(&accounts.DeleteSegment{Site: site.ID, ID: x.ID}); err != nil {
		return err
	}
	return noContent(ctx)
}
