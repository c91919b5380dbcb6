// Package dialect writes beacons as Footfall and other products want them:
// whole HTTP requests, without an HTTP library, because the generator must be
// much cheaper than what it measures. It must never decide what is sent. Start
// at New.
package dialect

import (
	"fmt"
	"slices"
	"strconv"

	"footfall/bench/scenario"
	"footfall/bench/visitors"
)

// To is where a request goes.
type To struct {
	Host   string // header Host
	Base   string // path before the dialect's own, "" or "/stats"
	Bearer string // "" for none
}

// Writer writes the events of one world in one dialect. It is not safe for
// concurrent use.
type Writer struct {
	w    *visitors.World
	put  func(*Writer, []byte, *To, []visitors.Event) []byte
	body []byte
}

// New makes a writer for the dialect of the world's scenario.
func New(w *visitors.World) (*Writer, error) {
	out := &Writer{w: w}
	switch w.Scenario.Dialect {
	case "plausible":
		out.put = func(x *Writer, dst []byte, to *To, e []visitors.Event) []byte {
			return x.plausible(dst, to, &e[0], true)
		}
	case "vince":
		out.put = func(x *Writer, dst []byte, to *To, e []visitors.Event) []byte {
			return x.plausible(dst, to, &e[0], false)
		}
	case "native":
		out.put = (*Writer).native
	case "goatcounter":
		out.put = func(x *Writer, dst []byte, to *To, e []visitors.Event) []byte { return x.goatcounter(dst, to, &e[0]) }
	case "umami":
		out.put = func(x *Writer, dst []byte, to *To, e []visitors.Event) []byte { return x.umami(dst, to, &e[0]) }
	case "matomo":
		out.put = func(x *Writer, dst []byte, to *To, e []visitors.Event) []byte { return x.matomo(dst, to, &e[0]) }
	default:
		return nil, fmt.Errorf("dialect: %q is not one of %v", w.Scenario.Dialect, scenario.Dialects())
	}
	return out, nil
}

// Speaks tells whether there is such a dialect.
func Speaks(name string) bool { return slices.Contains(scenario.Dialects(), name) }

// Append appends a request with one event, or many in the native dialect. The
// same events give the same request, so that one which is sent again is known
// again.
func (x *Writer) Append(dst []byte, to *To, events []visitors.Event) []byte {
	return x.put(x, dst, to, events)
}

// appendID appends the id by which Footfall knows an event again.
func (x *Writer) appendID(b []byte, e *visitors.Event) []byte {
	b = strconv.AppendUint(b, x.w.Run, 36)
	b = append(b, '-')
	return strconv.AppendUint(b, e.ID, 36)
}

func (x *Writer) appendURL(b []byte, e *visitors.Event) []byte {
	b = append(b, "https://"...)
	b = append(b, x.w.Domains[e.Site]...)
	return visitors.AppendPath(b, e.Page)
}

func (x *Writer) appendReferrer(b []byte, e *visitors.Event) []byte {
	switch e.Referrer {
	case visitors.NoReferrer:
		return b
	case visitors.OwnReferrer:
		return append(append(append(b, "https://"...), x.w.Domains[e.Site]...), '/')
	}
	return append(b, x.w.Referrers[e.Referrer]...)
}

func (x *Writer) agent(e *visitors.Event) string {
	if e.Bot {
		return x.w.Bots[e.Agent]
	}
	return x.w.Agents[e.Agent]
}

func appendAddr(b []byte, visitor uint32) []byte {
	b = append(b, "81."...)
	b = strconv.AppendUint(b, uint64(visitor>>16&255), 10)
	b = append(b, '.')
	b = strconv.AppendUint(b, uint64(visitor>>8&255), 10)
	b = append(b, '.')
	return strconv.AppendUint(b, uint64(visitor&255), 10)
}

// name is what the Plausible dialect calls an event.
func (x *Writer) name(e *visitors.Event) string {
	switch e.Kind {
	case visitors.Custom:
		return x.w.Names[e.Name]
	case visitors.Engagement:
		return "engagement"
	}
	return "pageview"
}

// head writes the request line and the headers up to the ones that depend on
// the body. e is nil where the sender is a server.
func (x *Writer) head(dst []byte, method, path string, to *To, host string, e *visitors.Event) []byte {
	dst = append(append(append(append(dst, method...), ' '), to.Base...), path...)
	return x.headers(dst, to, host, e)
}

func (x *Writer) headers(dst []byte, to *To, host string, e *visitors.Event) []byte {
	dst = append(dst, " HTTP/1.1\r\nHost: "...)
	dst = append(dst, host...)
	if e != nil {
		dst = append(dst, "\r\nUser-Agent: "...)
		dst = append(dst, x.agent(e)...)
		dst = append(dst, "\r\nX-Forwarded-For: "...)
		dst = appendAddr(dst, e.Visitor)
		dst = append(dst, "\r\nAccept: */*\r\nAccept-Language: en-GB,en;q=0.9"...)
	} else {
		dst = append(dst, "\r\nUser-Agent: footfall-bench"...)
	}
	if to.Bearer != "" {
		dst = append(append(dst, "\r\nAuthorization: Bearer "...), to.Bearer...)
	}
	return dst
}

func (x *Writer) withBody(dst []byte, contentType string) []byte {
	dst = append(append(dst, "\r\nContent-Type: "...), contentType...)
	dst = append(dst, "\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(x.body)), 10)
	dst = append(dst, "\r\n\r\n"...)
	return append(dst, x.body...)
}
