package accounts

import (
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"footfall/analytics"
)

// Bounds of annotations.
const (
	AnnotationsMax         = 1000 // of one site
	AnnotationTextRunesMax = 500
	annotationDateMin      = "1995-01-01"
)

// Annotation is a remark about one day of a site, shown on its charts.
// Immutable.
type Annotation struct {
	ID      uint64           `json:"id"`
	Site    analytics.SiteID `json:"site"`
	Date    string           `json:"date"` // YYYY-MM-DD in the site's time zone
	Text    string           `json:"text"`
	Author  uint64           `json:"author,omitempty"` // user who made it, perhaps gone; 0 for a key or the operator
	Created int64            `json:"created"`          // Unix ms
}

// CreateAnnotation makes an annotation of a site.
type CreateAnnotation struct {
	Site   analytics.SiteID `json:"site"`
	Date   string           `json:"date"`
	Text   string           `json:"text"`
	Author uint64           `json:"author,omitempty"`
}

func (c *CreateAnnotation) kind() kind { return kindCreateAnnotation }

func (c *CreateAnnotation) Check() (err error) {
	if err := CheckDate("date", c.Date); err != nil {
		return err
	}
	c.Text, err = annotationText(c.Text)
	return err
}

// UpdateAnnotation changes what is not nil.
type UpdateAnnotation struct {
	Site analytics.SiteID `json:"site"`
	ID   uint64           `json:"id"`
	Date *string          `json:"date,omitempty"`
	Text *string          `json:"text,omitempty"`
}

func (c *UpdateAnnotation) kind() kind { return kindUpdateAnnotation }

func (c *UpdateAnnotation) Check() error {
	if c.Date != nil {
		if err := CheckDate("date", *c.Date); err != nil {
			return err
		}
	}
	if c.Text != nil {
		text, err := annotationText(*c.Text)
		if err != nil {
			return err
		}
		c.Text = &text
	}
	return nil
}

// DeleteAnnotation removes an annotation of a site.
type DeleteAnnotation struct {
	Site analytics.SiteID `json:"site"`
	ID   uint64           `json:"id"`
}

func (c *DeleteAnnotation) kind() kind   { return kindDeleteAnnotation }
func (c *DeleteAnnotation) Check() error { return nil }

// CheckDate refuses as Invalid what is not a day YYYY-MM-DD from 1995 on.
func CheckDate(field, date string) error {
	if _, err := time.Parse(time.DateOnly, date); err != nil || date < annotationDateMin {
		return invalid("%s: must be a day from 1995 on, like 2026-11-02", field)
	}
	return nil
}

// annotationText cleans a remark. Lines may break, nothing else may control a
// terminal.
func annotationText(s string) (string, error) {
	t := strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n"))
	switch {
	case t == "":
		return "", invalid("text: must not be empty")
	case !utf8.ValidString(t):
		return "", invalid("text: is not valid UTF-8")
	case utf8.RuneCountInString(t) > AnnotationTextRunesMax:
		return "", invalid("text: longer than %d characters", AnnotationTextRunesMax)
	case strings.ContainsFunc(t, func(r rune) bool { return r != '\n' && unicode.IsControl(r) }):
		return "", invalid("text: has a control character")
	}
	return t, nil
}

func (c *CreateAnnotation) apply(s *State, at int64) Result {
	if err := s.checkSite(c.Site); err != nil {
		return Result{Err: err}
	}
	if _, ok := s.view.User(c.Author); c.Author != 0 && !ok {
		return refused(analytics.NotFound, "user: there is no user %d", c.Author)
	}
	if of, _ := s.view.annotationsOf.get(uint64(c.Site)); of.size >= AnnotationsMax {
		return refused(analytics.TooLarge, "annotations: a site has at most %d", AnnotationsMax)
	}
	s.view.next.Annotation++
	a := &Annotation{ID: s.view.next.Annotation, Site: c.Site, Date: c.Date, Text: c.Text, Author: c.Author, Created: at}
	s.view.setAnnotation(a)
	s.mark(RefAnnotation, a.ID)
	return Result{Annotation: a}
}

func (c *UpdateAnnotation) apply(s *State, _ int64) Result {
	old, ok := s.view.Annotation(c.Site, c.ID)
	if !ok {
		return refused(analytics.NotFound, "annotation: there is no annotation %d", c.ID)
	}
	a := *old
	if c.Date != nil {
		a.Date = *c.Date
	}
	if c.Text != nil {
		a.Text = *c.Text
	}
	s.view.setAnnotation(&a)
	s.mark(RefAnnotation, a.ID)
	return Result{Annotation: &a}
}

func (c *DeleteAnnotation) apply(s *State, _ int64) Result {
	a, ok := s.view.Annotation(c.Site, c.ID)
	if !ok {
		return refused(analytics.NotFound, "annotation: there is no annotation %d", c.ID)
	}
	s.dropAnnotation(a)
	return Result{Annotation: a}
}

func (s *State) dropAnnotation(a *Annotation) {
	s.view.annotations = s.view.annotations.delete(a.ID)
	s.view.annotationsOf = within(s.view.annotationsOf, uint64(a.Site), a.ID, a, false)
	s.mark(RefAnnotation, a.ID)
}

func (v *View) setAnnotation(a *Annotation) {
	v.annotations = v.annotations.put(a.ID, a)
	v.annotationsOf = within(v.annotationsOf, uint64(a.Site), a.ID, a, true)
}

// Annotations gives the annotations of a site in order of ids. The slice is the
// caller's, what it points to is not.
func (v *View) Annotations(site analytics.SiteID) []*Annotation {
	of, _ := v.annotationsOf.get(uint64(site))
	return of.list()
}

// Annotation finds an annotation of a site.
func (v *View) Annotation(site analytics.SiteID, id uint64) (*Annotation, bool) {
	a, ok := v.annotations.get(id)
	if !ok || a.Site != site {
		return nil, false
	}
	return a, true
}
