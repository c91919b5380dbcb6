package export

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"footfall/analytics"
	"footfall/analytics/column"
	"footfall/analytics/entry"
	"footfall/analytics/query"
	"footfall/analytics/session"
)

// Places of the columns of raw events.
const (
	atTime = iota
	atKind
	atName
	atPage
	atHostname
	atVisit
	atVisitor
	atSource
	atReferrer
	atChannel
	atUTMSource
	atUTMMedium
	atUTMCampaign
	atUTMContent
	atUTMTerm
	atBrowser
	atBrowserVersion
	atOS
	atOSVersion
	atDevice
	atCountry
	atRegion
	atCity
	atLanguage
	atScreenClass
	atEntryPage
	atExitPage
	atScroll
	atEngaged
	atRevenue
	atCurrency
	atProps
	eventCells
)

// eventColumns describes raw events, one row each: of which event, then of the
// visit that it belongs to, then what only some events have.
func eventColumns() []heading {
	return []heading{
		atTime:           {"time", instant, true},
		atKind:           {"kind", text, true},
		atName:           {"name", text, true},
		atPage:           {"page", text, false},
		atHostname:       {"hostname", text, false},
		atVisit:          {"visit", text, true},
		atVisitor:        {"visitor", text, true},
		atSource:         {"source", text, false},
		atReferrer:       {"referrer", text, false},
		atChannel:        {"channel", text, false},
		atUTMSource:      {"utm_source", text, false},
		atUTMMedium:      {"utm_medium", text, false},
		atUTMCampaign:    {"utm_campaign", text, false},
		atUTMContent:     {"utm_content", text, false},
		atUTMTerm:        {"utm_term", text, false},
		atBrowser:        {"browser", text, false},
		atBrowserVersion: {"browser_version", text, false},
		atOS:             {"os", text, false},
		atOSVersion:      {"os_version", text, false},
		atDevice:         {"device", text, false},
		atCountry:        {"country", text, false},
		atRegion:         {"region", text, false},
		atCity:           {"city", text, false},
		atLanguage:       {"language", text, false},
		atScreenClass:    {"screen_class", text, false},
		atEntryPage:      {"entry_page", text, false},
		atExitPage:       {"exit_page", text, false},
		atScroll:         {"scroll", integer, false},
		atEngaged:        {"engaged_ms", integer, false},
		atRevenue:        {"revenue_amount", money, false},
		atCurrency:       {"currency", text, false},
		atProps:          {"props", object, false},
	}
}

// eventRows makes rows of the events of a scan.
type eventRows struct {
	out   writer
	block cipher.Block // turns stored visitor ids into those of this export
	cells [eventCells]cell

	texts   []string // of the day's lexicon
	day     *session.Day
	props   uint32 // number of the properties that object holds
	object  string
	scratch []byte
}

// newEventRows begins a file of raw events. key is for this export only.
func newEventRows(open opener, key [16]byte) (*eventRows, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("key the visitors of an export: %w", err)
	}
	out, err := open(eventColumns())
	if err != nil {
		return nil, err
	}
	return &eventRows{out: out, block: block}, nil
}

// visit writes a row for each of the events of a visit.
func (r *eventRows) visit(v query.Visit, events []int) error {
	if len(events) == 0 {
		return nil
	}
	if v.Day != r.day {
		// The numbers of properties mean the same for all days of one lexicon only.
		r.day, r.texts, r.props, r.object = v.Day, v.Day.Lexicon.Texts(), 0, ""
	}
	r.visitCells(v.Layer, v.I)
	for _, i := range events {
		r.eventCells(v.Layer, i)
		if err := r.out.row(r.cells[:]); err != nil {
			return err
		}
	}
	return nil
}

func (r *eventRows) visitCells(l *session.Layer, i int) {
	c := &r.cells
	c[atVisit] = cell{s: fixedHex(uint64(l.ID[i]))}
	c[atVisitor] = cell{s: r.visitor(l.Visitor[i])}
	from := r.texts[l.Acquisition[i]]
	// By the order in which package entry writes the tuples.
	for k, at := range [...]int{atSource, atReferrer, atChannel, atUTMMedium, atUTMSource, atUTMCampaign, atUTMContent, atUTMTerm} {
		c[at] = texted(entry.Field(from, k))
	}
	agent := r.texts[l.Agent[i]]
	for k, at := range [...]int{atBrowser, atBrowserVersion, atOS, atOSVersion, atDevice} {
		c[at] = texted(entry.Field(agent, k))
	}
	place := r.texts[l.Place[i]]
	for k, at := range [...]int{atCountry, atRegion, atCity} {
		c[at] = texted(entry.Field(place, k))
	}
	c[atLanguage], c[atScreenClass] = texted(r.texts[l.Language[i]]), texted(r.texts[l.Screen[i]])
	c[atEntryPage], c[atExitPage] = texted(r.texts[l.Entry[i]]), texted(r.texts[l.Exit[i]])
}

func (r *eventRows) eventCells(l *session.Layer, i int) {
	c := &r.cells
	c[atTime] = cell{n: l.At[i]}
	c[atPage], c[atHostname] = texted(r.texts[l.Page[i]]), texted(r.texts[l.Host[i]])
	c[atScroll], c[atEngaged] = cell{null: true}, cell{null: true}
	switch analytics.Kind(l.Kind[i] & column.KindMask) {
	case analytics.Pageview:
		c[atKind], c[atName] = cell{s: "pageview"}, cell{s: analytics.NamePageview}
	case analytics.Engagement:
		c[atKind], c[atName] = cell{s: "engagement"}, cell{s: analytics.NameEngagement}
		c[atScroll] = cell{n: int64(l.Scroll(i)), null: l.Scroll(i) == analytics.ScrollNone}
		c[atEngaged] = cell{n: int64(l.Engaged(i))}
	default:
		c[atKind], c[atName] = cell{s: "custom"}, cell{s: r.texts[l.Name(i)]}
	}
	c[atRevenue], c[atCurrency] = cell{null: true}, cell{null: true}
	if n := l.Revenue(i); n != 0 {
		currency, amount := entry.Money(r.texts[n])
		c[atRevenue], c[atCurrency] = cell{n: amount}, texted(currency)
	}
	c[atProps] = cell{null: true}
	if n := l.Props(i); n != 0 {
		if n != r.props {
			r.scratch = appendProps(r.scratch[:0], r.texts[n])
			r.props, r.object = n, string(r.scratch)
		}
		c[atProps] = cell{s: r.object}
	}
}

// visitor names a visitor for this export. It is a permutation: different
// visitors never get one name, and without the key, which nobody keeps, a name
// tells nothing.
func (r *eventRows) visitor(id uint64) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], id)
	r.block.Encrypt(b[:], b[:])
	return hex.EncodeToString(b[:])
}

func fixedHex(x uint64) string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], x)
	return hex.EncodeToString(b[:])
}

// appendProps appends properties as columns have them, a run of key and value
// texts, as a JSON object. Of a key that is there twice the first counts, as it
// does in questions.
func appendProps(dst []byte, props string) []byte {
	dst = append(dst, '{')
	for rest := props; rest != ""; {
		key, after, ok1 := cutText(rest)
		value, after, ok2 := cutText(after)
		if !ok1 || !ok2 {
			break
		}
		if _, twice := entry.Lookup(props[:len(props)-len(rest)], key); !twice {
			if dst[len(dst)-1] != '{' {
				dst = append(dst, ',')
			}
			dst = appendJSON(append(appendJSON(dst, key), ':'), value)
		}
		rest = after
	}
	return append(dst, '}')
}

// cutText takes the first text of a run: its length as a uvarint, its bytes.
func cutText(run string) (text, rest string, ok bool) {
	n, shift := uint64(0), 0
	for i := 0; i < len(run) && shift < 64; i++ {
		n |= uint64(run[i]&0x7f) << shift
		if run[i] < 0x80 {
			run = run[i+1:]
			if n > uint64(len(run)) {
				return "", "", false
			}
			return run[:n], run[n:], true
		}
		shift += 7
	}
	return "", "", false
}
