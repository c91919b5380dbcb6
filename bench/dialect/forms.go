package dialect

import (
	"strconv"

	"footfall/bench/visitors"
)

// plausible writes POST /api/event. The id is an extension that others ignore;
// without it a view that is sent again counts twice.
func (x *Writer) plausible(dst []byte, to *To, e *visitors.Event, withID bool) []byte {
	b := append(append(x.body[:0], `{"n":"`...), x.name(e)...)
	b = x.appendURL(append(b, `","u":"`...), e)
	b = append(append(b, `","d":"`...), x.w.Domains[e.Site]...)
	if e.Referrer == visitors.NoReferrer {
		b = append(b, `","r":null`...)
	} else {
		b = append(x.appendReferrer(append(b, `","r":"`...), e), '"')
	}
	b = append(b, `,"w":1440,"l":"en-GB"`...)
	if e.Kind == visitors.Engagement {
		b = strconv.AppendInt(append(b, `,"e":`...), int64(e.EngagedMS), 10)
		b = strconv.AppendInt(append(b, `,"sd":`...), int64(e.Scroll), 10)
	}
	if withID {
		b = append(x.appendID(append(b, `,"id":"`...), e), '"')
	}
	x.body = append(b, '}')
	sent := *to
	sent.Bearer = "" // visitors have none
	return x.withBody(x.head(dst, "POST", "/api/event", &sent, to.Host, e), "text/plain")
}

// native writes POST /v1/events, an array whenever there are several.
func (x *Writer) native(dst []byte, to *To, events []visitors.Event) []byte {
	b := append(x.body[:0], '[')
	for i := range events {
		e := &events[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, `{"site":"`...), x.w.Domains[e.Site]...)
		b = append(append(b, `","name":"`...), x.name(e)...)
		b = x.appendURL(append(b, `","url":"`...), e)
		b = x.appendReferrer(append(b, `","referrer":"`...), e)
		b = appendAddr(append(b, `","ip":"`...), e.Visitor)
		b = append(append(b, `","user_agent":"`...), x.agent(e)...)
		b = append(x.appendID(append(b, `","id":"`...), e), '"')
		if e.Kind == visitors.Engagement {
			b = strconv.AppendInt(append(b, `,"engagement_time_ms":`...), int64(e.EngagedMS), 10)
			b = strconv.AppendInt(append(b, `,"scroll_depth":`...), int64(e.Scroll), 10)
		}
		b = append(b, '}')
	}
	x.body = append(b, ']')
	return x.withBody(x.head(dst, "POST", "/v1/events", to, to.Host, nil), "application/json")
}

// goatcounter writes GET /count. The product tells sites apart by the host, so
// sites with ids of their own are asked for under them.
func (x *Writer) goatcounter(dst []byte, to *To, e *visitors.Event) []byte {
	host := to.Host
	if e.Site < len(x.w.Scenario.Sites.IDs) {
		host = x.w.IDs[e.Site]
	}
	dst = append(append(append(dst, "GET "...), to.Base...), "/count?p="...)
	if e.Kind == visitors.Custom {
		dst = append(escape(dst, []byte(x.w.Names[e.Name])), "&e=true"...)
	} else {
		dst = visitors.AppendPath(dst, e.Page) // it has no character to escape
	}
	x.body = x.appendReferrer(x.body[:0], e)
	dst = escape(append(dst, "&r="...), x.body)
	dst = append(dst, "&t=A+page&s=1440&b=0&rnd="...)
	dst = x.appendID(dst, e)
	sent := *to
	sent.Bearer = ""
	return append(x.headers(dst, &sent, host, e), "\r\n\r\n"...)
}

// umami writes POST /api/send.
func (x *Writer) umami(dst []byte, to *To, e *visitors.Event) []byte {
	b := append(append(x.body[:0], `{"type":"event","payload":{"website":"`...), x.w.IDs[e.Site]...)
	b = append(append(b, `","hostname":"`...), x.w.Domains[e.Site]...)
	b = visitors.AppendPath(append(b, `","url":"`...), e.Page)
	b = x.appendReferrer(append(b, `","referrer":"`...), e)
	b = append(b, `","title":"A page","screen":"1440x900","language":"en-GB"`...)
	if e.Kind == visitors.Custom {
		b = append(append(append(b, `,"name":"`...), x.w.Names[e.Name]...), '"')
	}
	x.body = append(b, "}}"...)
	sent := *to
	sent.Bearer = ""
	return x.withBody(x.head(dst, "POST", "/api/send", &sent, to.Host, e), "application/json")
}

// matomo writes GET /matomo.php.
func (x *Writer) matomo(dst []byte, to *To, e *visitors.Event) []byte {
	dst = append(append(append(dst, "GET "...), to.Base...), "/matomo.php?rec=1&apiv=1&send_image=0&idsite="...)
	dst = append(dst, x.w.IDs[e.Site]...)
	x.body = x.appendURL(x.body[:0], e)
	dst = escape(append(dst, "&url="...), x.body)
	x.body = x.appendReferrer(x.body[:0], e)
	if len(x.body) > 0 {
		dst = escape(append(dst, "&urlref="...), x.body)
	}
	switch e.Kind {
	case visitors.Custom:
		dst = escape(append(dst, "&e_c=shop&e_a="...), []byte(x.w.Names[e.Name]))
	case visitors.Engagement:
		dst = append(dst, "&ping=1"...)
	default:
		dst = append(dst, "&action_name=A+page"...)
	}
	dst = append(dst, "&_id="...)
	who := uint64(e.Visitor)*0x9e3779b97f4a7c15 | 1<<63 // sixteen digits
	dst = strconv.AppendUint(dst, who, 16)
	dst = append(dst, "&res=1440x900&rand="...)
	dst = x.appendID(dst, e)
	sent := *to
	sent.Bearer = ""
	return append(x.headers(dst, &sent, to.Host, e), "\r\n\r\n"...)
}

// escape writes a text as it stands in a query.
func escape(dst, text []byte) []byte {
	const hex = "0123456789ABCDEF"
	for _, c := range text {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '.', c == '_', c == '~':
			dst = append(dst, c)
		default:
			dst = append(dst, '%', hex[c>>4], hex[c&15])
		}
	}
	return dst
}
