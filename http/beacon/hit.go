package beacon

import (
	"bytes"
	"strconv"

	"footfall/analytics"
	"footfall/enrich"
)

// hit is what one request of the public doors says, understood but not yet
// judged. Its slices point into the request or into the buffers of its request.
type hit struct {
	kind           analytics.Kind
	name           []byte
	page           enrich.URL
	domains        []byte // comma list
	referrer       []byte
	props          []analytics.Prop
	revenue        analytics.Revenue
	nonInteractive bool
	scroll         uint8
	engagedMS      uint32
	id             []byte
	screenWidth    int
	language       []byte
}

// faults are the texts of what is wrong with a body, by field; "" is nothing.
type faults struct {
	domain, eventName, id, props, url string
}

func (f *faults) any() bool { return *f != faults{} }

var pageview = []byte(analytics.NamePageview)

const (
	blankText      = "can't be blank"
	engagementText = "engagement event requires a valid integer value for at least one of 'sd' or 'e' fields"
	propsText      = "keys should have at most 300 bytes and values 2000 bytes"
)

func atMost(n int, unit string) string {
	return "should be at most " + strconv.Itoa(n) + " " + unit
}

// read understands the parsed body; what is wrong with it stands in r.faults.
func (r *request) read() {
	f, h := &r.form, &r.hit
	h.scroll = analytics.ScrollNone
	r.readName(f.first(slotN, slotName))
	r.readURL(f.first(slotU, slotURL))
	r.readDomains(f.first(slotD, slotDomain))
	if v := f.first(slotR, slotReferrer); v.kind == kindText {
		h.referrer, r.buf = valid(bytes.TrimSpace(v.text), r.buf)
		h.referrer = cut(h.referrer, analytics.ReferrerBytesMax)
	}
	if h.kind == analytics.Engagement {
		r.readEngagement()
	} else {
		// false is a given value: only absence and null leave the default.
		h.nonInteractive = h.kind == analytics.Custom && f.first(slotI, slotInteractive).kind == kindFalse
		if members, ok := f.object(f.first(slotRevenue, slotDollar)); ok {
			h.revenue, _ = money(members)
		}
	}
	r.readProps()
	r.readID(f.values[slotID])
	if n, ok := whole(f.values[slotW]); ok && n > 0 && n < 1<<20 {
		h.screenWidth = int(n)
	}
	if v := f.values[slotL]; v.kind == kindText {
		h.language = v.text
	}
}

func (r *request) readName(v value) {
	h := &r.hit
	switch v.kind {
	case kindText:
		h.name, r.buf = valid(bytes.TrimSpace(v.text), r.buf)
	case kindNumber:
		if _, ok := whole(v); !ok {
			r.faults.eventName = "is invalid"
			return
		}
		h.name = v.text
	case kindAbsent, kindNull:
	default:
		r.faults.eventName = "is invalid"
		return
	}
	if len(h.name) == 0 {
		r.faults.eventName = blankText
	} else if len(h.name) > analytics.NameBytesMax {
		r.faults.eventName = atMost(analytics.NameBytesMax, "character(s)")
	}
	h.kind = kindOfName(h.name)
}

func kindOfName(name []byte) analytics.Kind {
	switch string(name) {
	case analytics.NamePageview:
		return analytics.Pageview
	case analytics.NameEngagement:
		return analytics.Engagement
	}
	return analytics.Custom
}

func (r *request) readURL(v value) {
	h := &r.hit
	if v.kind != kindText {
		r.faults.url = "is required"
		return
	}
	if len(v.text) > analytics.URLBytesMax {
		r.faults.url = atMost(analytics.URLBytesMax, "byte(s)")
		return
	}
	h.page, r.faults.url = parseURL(v.text)
	if n, ok := whole(r.form.first(slotH, slotHashMode)); ok && n == 1 && h.page.Fragment != "" {
		r.appendFragment()
	}
}

// appendFragment makes the fragment a part of the path, for hash-routed pages.
func (r *request) appendFragment() {
	var fragment []byte
	fragment, r.buf = decode(bytesOf(r.hit.page.Fragment), r.buf)
	fragment, r.buf = valid(fragment, r.buf)
	from := len(r.buf)
	r.buf = append(r.buf, r.hit.page.Page...)
	r.buf = append(r.buf, '#')
	r.buf = append(r.buf, fragment...)
	r.hit.page.Page = text(cut(r.buf[from:len(r.buf):len(r.buf)], analytics.URLBytesMax))
}

func (r *request) readDomains(v value) {
	h := &r.hit
	switch v.kind {
	case kindAbsent, kindNull:
		if h.page.Host != enrich.NoHost {
			h.domains = bytesOf(h.page.Host)
		}
	case kindText:
		h.domains, r.buf = lower(v.text, r.buf)
	}
	named := 0
	for list := h.domains; len(list) > 0; {
		var domain []byte
		if domain, list = nextDomain(list); len(domain) > 0 {
			named++
		}
	}
	switch {
	case named == 0 && v.kind <= kindNull && r.faults.url != "":
		// The URL is at fault already; without it there is no default.
	case named == 0:
		r.faults.domain = blankText
	case named > analytics.DomainsMax:
		r.faults.domain = "should name at most " + strconv.Itoa(analytics.DomainsMax) + " sites"
	}
}

// nextDomain cuts the first name off a comma list.
func nextDomain(list []byte) (domain, rest []byte) {
	domain, rest, _ = bytes.Cut(list, comma)
	return trimHost(bytes.TrimSpace(domain)), rest
}

var comma = []byte(",")

func (r *request) readEngagement() {
	h := &r.hit
	engaged, haveTime := whole(r.form.values[slotE])
	if haveTime = haveTime && engaged >= 0 && engaged < analytics.EngagedMSMax; haveTime {
		h.engagedMS = uint32(engaged)
	}
	scrolled, haveScroll := whole(r.form.values[slotSD])
	if haveScroll = haveScroll && scrolled >= 0; haveScroll {
		h.scroll = uint8(min(scrolled, 100))
	}
	if !haveTime && !haveScroll && r.faults.eventName == "" {
		r.faults.eventName = engagementText
	}
}

func (r *request) readID(v value) {
	switch v.kind {
	case kindText, kindNumber:
		r.hit.id = v.text
	default:
		r.hit.id = r.headerID
	}
	if len(r.hit.id) > analytics.IDBytesMax {
		r.faults.id = atMost(analytics.IDBytesMax, "byte(s)")
	}
}

// whole reads an integer, or the text of one.
func whole(v value) (int64, bool) {
	if v.kind != kindNumber && v.kind != kindText || len(v.text) == 0 || len(v.text) > 18 {
		return 0, false
	}
	b, negative := v.text, false
	if b[0] == '-' {
		b, negative = b[1:], true
	}
	var n int64
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int64(c-'0')
	}
	if negative {
		n = -n
	}
	return n, len(b) > 0
}

// readProps takes the custom properties: of the four names the first that is
// there, blank and nested ones left out, at most PropsMax.
func (r *request) readProps() {
	f, h := &r.form, &r.hit
	v := f.values[slotM]
	for _, s := range [...]slot{slotMeta, slotP, slotProps} {
		if !v.given() {
			v = f.values[s]
		}
	}
	members, _ := f.object(v)
	if pathProp(h.name) && h.kind == analytics.Custom && r.faults.url == "" {
		given := false
		for _, m := range members {
			given = given || string(m.key) == "path" && !m.blank()
		}
		if !given {
			r.props = append(r.props, analytics.Prop{Key: "path", Value: h.page.Page})
		}
	}
	for _, m := range members {
		if m.blank() {
			continue
		}
		r.addProp(m)
	}
	h.props = r.props
	for _, p := range h.props {
		if len(p.Key) > analytics.PropKeyBytesMax || len(p.Value) > analytics.PropValueBytesMax {
			r.faults.props = propsText
		}
	}
}

// addProp keeps m unless there are enough; of a repeated key the last counts.
func (r *request) addProp(m member) {
	var key, val []byte
	key, r.buf = valid(m.key, r.buf)
	val, r.buf = valid(m.content(), r.buf)
	p := analytics.Prop{Key: text(key), Value: text(val)}
	for i := range r.props {
		if r.props[i].Key == p.Key {
			r.props[i] = p
			return
		}
	}
	if len(r.props) < analytics.PropsMax {
		r.props = append(r.props, p)
	}
}

// blank tells whether a property says nothing that could be kept.
func (m member) blank() bool {
	return m.kind == kindNull || m.kind >= kindObject ||
		len(bytes.TrimSpace(m.key)) == 0 || len(bytes.TrimSpace(m.content())) == 0
}

func (m member) content() []byte {
	switch m.kind {
	case kindTrue:
		return trueText
	case kindFalse:
		return falseText
	}
	return m.text
}

var (
	trueText  = []byte("true")
	falseText = []byte("false")
)

// pathProp tells whether events of that name speak of the page they happen on.
func pathProp(name []byte) bool {
	switch string(name) {
	case "404", "Form: Submission", "WP Form Completions":
		return true
	}
	return false
}
