package beacon

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fastjson"

	"footfall/analytics"
	"footfall/enrich"
)

// entry is one event of a trusted sender as it was written. Its texts live in
// the arena.
type entry struct {
	index int
	arena *arena

	id, visitor, site, name  string
	url, page, referrer      string
	ip, userAgent            string
	clickID, source, channel string
	utm                      [5]string // source, medium, campaign, content, term
	country, region, city    string
	agent                    analytics.Agent
	screen, language         string
	target                   enrich.URL // what url says, its host empty without one
	props                    []analytics.Prop
	revenue                  analytics.Revenue
	time                     int64
	scroll                   uint8
	engagedMS                uint32
	explicit, judgeAgent     bool
	haveScroll, haveTime     bool
	nonInteractive, keepBots bool

	wrong       string // the first thing that is wrong, naming the field
	wrongReason analytics.Reason
}

// fail notes what is wrong with a field; the first fault counts.
func (e *entry) fail(field, what string) {
	if e.wrong != "" {
		return
	}
	e.wrongReason = analytics.DropInvalid
	e.wrong = "events[" + strconv.Itoa(e.index) + "]"
	if field != "" {
		e.wrong += "." + field
	}
	e.wrong += ": " + what
}

// read takes the fields out of v.
func (e *entry) read(v *fastjson.Value) {
	object, err := v.Object()
	if err != nil {
		e.fail("", "must be an object")
		return
	}
	e.scroll = analytics.ScrollNone
	object.Visit(func(k []byte, v *fastjson.Value) {
		if v.Type() == fastjson.TypeNull {
			return
		}
		field := text(k)
		if to, limit := e.textField(field); to != nil {
			e.text(to, v, field, limit)
			e.judgeAgent = e.judgeAgent || to == &e.userAgent
			return
		}
		e.readOther(field, v)
	})
	e.finish()
}

// textField gives where a field that is a text goes, and its longest length;
// nil for other fields.
func (e *entry) textField(field string) (to *string, limit int) {
	const attribute = analytics.AttributeBytesMax
	switch field {
	case "id":
		return &e.id, analytics.IDBytesMax
	case "visitor":
		return &e.visitor, analytics.VisitorBytesMax
	case "site":
		return &e.site, analytics.DomainBytesMax
	case "name":
		return &e.name, analytics.NameBytesMax
	case "url":
		return &e.url, analytics.URLBytesMax
	case "page":
		return &e.page, analytics.URLBytesMax
	case "referrer":
		return &e.referrer, analytics.ReferrerBytesMax
	case "user_agent":
		return &e.userAgent, analytics.URLBytesMax
	case "ip":
		return &e.ip, attribute
	case "click_id":
		return &e.clickID, attribute
	case "source":
		return &e.source, attribute
	case "channel":
		return &e.channel, attribute
	case "utm_source":
		return &e.utm[0], attribute
	case "utm_medium":
		return &e.utm[1], attribute
	case "utm_campaign":
		return &e.utm[2], attribute
	case "utm_content":
		return &e.utm[3], attribute
	case "utm_term":
		return &e.utm[4], attribute
	case "country":
		return &e.country, attribute
	case "region":
		return &e.region, attribute
	case "city":
		return &e.city, attribute
	case "browser":
		return &e.agent.Browser, attribute
	case "browser_version":
		return &e.agent.BrowserVersion, attribute
	case "os":
		return &e.agent.OS, attribute
	case "os_version":
		return &e.agent.OSVersion, attribute
	case "device":
		return &e.agent.Device, attribute
	case "screen":
		return &e.screen, attribute
	case "language":
		return &e.language, attribute
	}
	return nil, 0
}

// readOther takes a field that is not a text. Unknown ones are ignored.
func (e *entry) readOther(field string, v *fastjson.Value) {
	switch field {
	case "timestamp":
		e.readTime(v)
	case "interactive":
		e.nonInteractive = !e.flag(v, field)
	case "keep_bots":
		e.keepBots = e.flag(v, field)
	case "scroll_depth":
		n, ok := e.number(v, field, 100)
		e.scroll, e.haveScroll = uint8(n), ok
	case "engagement_time_ms":
		n, ok := e.number(v, field, analytics.EngagedMSMax-1)
		e.engagedMS, e.haveTime = uint32(n), ok
	case "props":
		e.readProps(v)
	case "revenue":
		e.readRevenue(v)
	}
}

// finish checks what concerns several fields.
func (e *entry) finish() {
	if e.name == "" {
		e.name = analytics.NamePageview
	}
	if e.country = strings.ToUpper(e.country); e.country != "" && !isCountry(e.country) {
		e.fail("country", "must be a two-letter code of ISO 3166-1")
	}
	if !isScreen(e.screen) {
		e.fail("screen", "must be XS, SM, MD, LG or XL")
	}
	var wrong string
	if e.target, wrong = parseURL(bytesOf(e.url)); wrong != "" {
		e.target = enrich.URL{Page: "/"}
		if e.page == "" {
			e.fail("url", wrong)
		}
	}
	if e.target.Host == enrich.NoHost {
		e.target.Host = ""
	}
	if e.page != "" {
		e.target.Page = pageOf(e.page)
	}
	if e.name == analytics.NameEngagement {
		if !e.haveTime && !e.haveScroll {
			e.fail("engagement_time_ms", "an engagement needs it or scroll_depth")
		}
	} else {
		e.scroll, e.engagedMS = analytics.ScrollNone, 0
	}
	e.nonInteractive = e.nonInteractive && kindOfName(bytesOf(e.name)) == analytics.Custom
	if e.visitor == "" && e.ip == "" {
		e.fail("visitor", "is required, or ip and user_agent")
	}
}

func isCountry(s string) bool {
	return len(s) == 2 && s[0] >= 'A' && s[0] <= 'Z' && (s[1] >= 'A' && s[1] <= 'Z' || s[1] >= '0' && s[1] <= '9')
}

func isScreen(s string) bool {
	switch s {
	case "", "XS", "SM", "MD", "LG", "XL":
		return true
	}
	return false
}

func (e *entry) text(to *string, v *fastjson.Value, field string, limit int) {
	if v.Type() != fastjson.TypeString {
		if v.Type() == fastjson.TypeNumber && (field == "name" || field == "id" || field == "city" || strings.HasSuffix(field, "_version")) {
			*to = v.String()
		} else {
			e.fail(field, "must be a text")
			return
		}
	} else {
		b, _ := valid(v.GetStringBytes(), nil)
		*to = e.arena.add(bytes.TrimSpace(b))
	}
	if len(*to) > limit {
		e.fail(field, "longer than "+strconv.Itoa(limit)+" bytes")
		*to = ""
	}
}

func (e *entry) flag(v *fastjson.Value, field string) bool {
	b, err := v.Bool()
	if err != nil {
		e.fail(field, "must be true or false")
	}
	return b
}

func (e *entry) number(v *fastjson.Value, field string, limit int64) (int64, bool) {
	n, err := v.Int64()
	if err != nil || n < 0 || n > limit {
		e.fail(field, "must be a whole number from 0 to "+strconv.FormatInt(limit, 10))
		return 0, false
	}
	return n, true
}

func (e *entry) readTime(v *fastjson.Value) {
	t, err := time.Parse(time.RFC3339, string(v.GetStringBytes()))
	if err != nil {
		e.fail("timestamp", "must be a time of RFC 3339, as 2026-01-02T15:04:05Z")
		return
	}
	e.time, e.explicit = t.UnixMilli(), true
}

func (e *entry) readProps(v *fastjson.Value) {
	object, err := v.Object()
	if err != nil {
		e.fail("props", "must be an object")
		return
	}
	if object.Len() > analytics.PropsMax {
		e.fail("props", "more than "+strconv.Itoa(analytics.PropsMax))
		return
	}
	object.Visit(func(k []byte, v *fastjson.Value) {
		m := member{key: k, kind: kindOf(v)}
		switch m.kind {
		case kindText:
			m.text = v.GetStringBytes()
		case kindNumber:
			m.text = v.MarshalTo(nil)
		case kindObject, kindArray:
			e.fail("props", "values must be texts, numbers or truth values")
			return
		}
		if m.blank() {
			return
		}
		key, _ := valid(m.key, nil)
		val, _ := valid(m.content(), nil)
		switch {
		case len(key) > analytics.PropKeyBytesMax:
			e.fail("props", "a key is longer than "+strconv.Itoa(analytics.PropKeyBytesMax)+" bytes")
			return
		case len(val) > analytics.PropValueBytesMax:
			e.fail("props", "a value is longer than "+strconv.Itoa(analytics.PropValueBytesMax)+" bytes")
			return
		}
		p := analytics.Prop{Key: e.arena.add(key), Value: e.arena.add(val)}
		for i := range e.props {
			if e.props[i].Key == p.Key {
				e.props[i] = p
				return
			}
		}
		e.props = append(e.props, p)
	})
}

func (e *entry) readRevenue(v *fastjson.Value) {
	object, err := v.Object()
	if err != nil {
		e.fail("revenue", "must be an object")
		return
	}
	var members []member
	object.Visit(func(k []byte, v *fastjson.Value) {
		m := member{key: k, kind: kindOf(v)}
		switch m.kind {
		case kindText:
			m.text = v.GetStringBytes()
		case kindNumber:
			m.text = v.MarshalTo(nil)
		}
		members = append(members, m)
	})
	var ok bool
	if e.revenue, ok = money(members); !ok {
		e.fail("revenue", "needs a decimal amount and a currency of ISO 4217")
	}
}
