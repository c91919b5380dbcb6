package merchant

import (
	"cmp"
	"slices"
	"strconv"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/door"
)

type annotationBody struct {
	ID        string  `json:"id"`
	Date      string  `json:"date"` // in the site's time zone
	Text      string  `json:"text"`
	CreatedBy *string `json:"created_by"` // number of the user
	Author    *string `json:"author"`     // what the user is called
}

// annotationOf shows an annotation. Who wrote it is for those who belong to the
// site; null where it was no user, or one who is gone.
func (h *Handler) annotationOf(a *accounts.Annotation, site *analytics.Site, who accounts.Identity) annotationBody {
	out := annotationBody{ID: strconv.FormatUint(a.ID, 10), Date: a.Date, Text: a.Text}
	if user, ok := h.view().User(a.Author); ok && who.Belongs(site) {
		id, name := strconv.FormatUint(user.ID, 10), cmp.Or(user.Name, user.Email)
		out.CreatedBy, out.Author = &id, &name
	}
	return out
}

// listAnnotations lists those of the days from and to and between, all without
// them, by day.
func (h *Handler) listAnnotations(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := h.siteOf(ctx, who, see)
	if err != nil {
		return err
	}
	from, err := dateParam(ctx, "from", "")
	if err != nil {
		return err
	}
	to, err := dateParam(ctx, "to", "9999-12-31")
	if err != nil {
		return err
	}
	if from > to {
		return analytics.Errorf(analytics.Invalid, "to: is before from")
	}
	list := slices.DeleteFunc(h.view().Annotations(site.ID), func(a *accounts.Annotation) bool { return a.Date < from || a.Date > to })
	slices.SortStableFunc(list, func(a, b *accounts.Annotation) int { return cmp.Compare(a.Date, b.Date) })
	out := []annotationBody{}
	for _, a := range list {
		out = append(out, h.annotationOf(a, site, who))
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, map[string][]annotationBody{"annotations": out})
	return nil
}

// dateParam reads a parameter that is a day.
func dateParam(ctx *fasthttp.RequestCtx, name, without string) (string, error) {
	text := string(ctx.QueryArgs().Peek(name))
	if text == "" {
		return without, nil
	}
	return text, accounts.CheckDate(name, text)
}

func (h *Handler) createAnnotation(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, err := h.siteOf(ctx, who, annotate)
	if err != nil {
		return err
	}
	var in struct {
		Date string `json:"date"`
		Text string `json:"text"`
	}
	if err := readJSON(ctx, &in); err != nil {
		return err
	}
	out, err := h.do(&accounts.CreateAnnotation{Site: site.ID, Date: in.Date, Text: in.Text, Author: who.User})
	if err != nil {
		return err
	}
	door.WriteJSON(ctx, fasthttp.StatusCreated, h.annotationOf(out.Annotation, site, who))
	return nil
}

// theAnnotation finds the annotation that the path names for who may change it:
// its author, and whoever manages the site.
func (h *Handler) theAnnotation(ctx *fasthttp.RequestCtx, who accounts.Identity) (*analytics.Site, *accounts.Annotation, error) {
	site, err := h.siteOf(ctx, who, annotate)
	if err != nil {
		return nil, nil, err
	}
	id, err := idParam(ctx, "annotation")
	if err != nil {
		return nil, nil, err
	}
	a, ok := h.view().Annotation(site.ID, id)
	if !ok {
		return nil, nil, analytics.Errorf(analytics.NotFound, "annotation: there is no annotation %d", id)
	}
	if !who.MayManage(site) && (who.User == 0 || a.Author != who.User) {
		return nil, nil, analytics.Errorf(analytics.Forbidden, "annotation: somebody else's needs more rights than you have")
	}
	return site, a, nil
}

func (h *Handler) updateAnnotation(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, a, err := h.theAnnotation(ctx, who)
	if err != nil {
		return err
	}
	var in struct {
		Date *string `json:"date"`
		Text *string `json:"text"`
	}
	if err := readJSON(ctx, &in); err != nil {
		return err
	}
	out, err := h.do(&accounts.UpdateAnnotation{Site: site.ID, ID: a.ID, Date: in.Date, Text: in.Text})
	if err != nil {
		return err
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, h.annotationOf(out.Annotation, site, who))
	return nil
}

func (h *Handler) deleteAnnotation(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	site, a, err := h.theAnnotation(ctx, who)
	if err != nil {
		return err
	}
	if _, err := h.do(&accounts.DeleteAnnotation{Site: site.ID, ID: a.ID}); err != nil {
		return err
	}
	return noContent(ctx)
}
