package place

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/oschwald/maxminddb-golang/v2/mmdbdata"

	"footfall/analytics"
)

// record holds the fields that name a place, in all shapes that databases have:
// MaxMind and DB-IP nest them, IPinfo and the flat files do not.
type record struct {
	Country      value `maxminddb:"country"`
	CountryCode  value `maxminddb:"country_code"`
	Subdivisions value `maxminddb:"subdivisions"`
	RegionCode   value `maxminddb:"region_code"`
	Region       value `maxminddb:"region"`
	State        value `maxminddb:"state1"`
	City         value `maxminddb:"city"`
}

// value is a field that may be a text, a map with codes and names, or a list of
// either, of which the first counts.
type value struct {
	text string // the field itself
	code string // its iso_code
	name string // its English name
	id   uint64 // its GeoNames id
}

// place brings the record into the form that is counted.
func (r *record) place() analytics.Place {
	var p analytics.Place
	p.Country = country(first(r.Country.code, r.CountryCode.text, r.Country.text))
	if p.Country == "" {
		return p
	}
	if code := first(r.Subdivisions.code, r.RegionCode.text); code != "" {
		p.Region = text(p.Country + "-" + strings.TrimPrefix(code, p.Country+"-"))
	} else {
		p.Region = text(first(r.Subdivisions.name, r.State.text, r.Region.text))
	}
	p.City = text(first(r.City.name, r.City.text))
	if p.City == "" && r.City.id != 0 {
		p.City = strconv.FormatUint(r.City.id, 10)
	}
	return p
}

// country accepts two letters and nothing else; "ZZ" and "XX" mean unknown.
func country(code string) string {
	if len(code) != 2 {
		return ""
	}
	code = strings.ToUpper(code)
	if code == "ZZ" || code == "XX" || code[0] < 'A' || code[0] > 'Z' || code[1] < '0' || code[1] > 'Z' {
		return ""
	}
	return code
}

// text cuts s to what may be stored; "-" is how some databases write nothing.
func text(s string) string {
	if s == "-" || !utf8.ValidString(s) {
		return ""
	}
	if len(s) > analytics.AttributeBytesMax {
		end := analytics.AttributeBytesMax
		for !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end]
	}
	return s
}

func first(texts ...string) string {
	for _, s := range texts {
		if s != "" && s != "-" {
			return s
		}
	}
	return ""
}

// textBytesMax bounds what one text of a database may take.
const textBytesMax = 4096

// UnmarshalMaxMindDBCursor reads a field whatever its shape. It follows two maps
// and one list deep and skips the rest, so a hostile file cannot make it work
// without end.
func (v *value) UnmarshalMaxMindDBCursor(c mmdbdata.Cursor) (mmdbdata.Cursor, error) {
	kind, err := c.Kind()
	if err != nil {
		return mmdbdata.Cursor{}, err
	}
	switch kind {
	case mmdbdata.KindString:
		s, next, err := c.ReadStringMaxSize(textBytesMax)
		v.text = s
		return next, err
	case mmdbdata.KindMap:
		return v.readMap(c)
	case mmdbdata.KindSlice:
		return v.readFirst(c)
	}
	return c.Skip()
}

func (v *value) readFirst(c mmdbdata.Cursor) (mmdbdata.Cursor, error) {
	list, err := c.Slice()
	if err != nil {
		return mmdbdata.Cursor{}, err
	}
	var at mmdbdata.Cursor
	for {
		i, element, ok := list.Next(at)
		if !ok {
			return list.End()
		}
		kind, err := element.Kind()
		if err != nil {
			return mmdbdata.Cursor{}, err
		}
		switch {
		case i == 0 && kind == mmdbdata.KindMap:
			at, err = v.readMap(element)
		case i == 0 && kind == mmdbdata.KindString:
			v.text, at, err = element.ReadStringMaxSize(textBytesMax)
		default:
			at, err = element.Skip()
		}
		if err != nil {
			return mmdbdata.Cursor{}, err
		}
	}
}

func (v *value) readMap(c mmdbdata.Cursor) (mmdbdata.Cursor, error) {
	return each(c, func(key []byte, kind mmdbdata.Kind, field mmdbdata.Cursor) (next mmdbdata.Cursor, err error) {
		switch {
		case string(key) == "iso_code" && kind == mmdbdata.KindString:
			v.code, next, err = field.ReadStringMaxSize(textBytesMax)
		case string(key) == "name" && kind == mmdbdata.KindString:
			v.name, next, err = field.ReadStringMaxSize(textBytesMax)
		case string(key) == "geoname_id" && (kind == mmdbdata.KindUint16 || kind == mmdbdata.KindUint32 || kind == mmdbdata.KindUint64):
			v.id, next, err = field.ReadUint()
		case string(key) == "names" && kind == mmdbdata.KindMap:
			next, err = each(field, func(language []byte, kind mmdbdata.Kind, name mmdbdata.Cursor) (mmdbdata.Cursor, error) {
				if string(language) != "en" || kind != mmdbdata.KindString {
					return name.Skip()
				}
				s, next, err := name.ReadStringMaxSize(textBytesMax)
				v.name = s
				return next, err
			})
		default:
			next, err = field.Skip()
		}
		return next, err
	})
}

// each calls read for every entry of the map at c. read gives the cursor behind
// the value.
func each(c mmdbdata.Cursor, read func([]byte, mmdbdata.Kind, mmdbdata.Cursor) (mmdbdata.Cursor, error)) (mmdbdata.Cursor, error) {
	m, err := c.Map()
	if err != nil {
		return mmdbdata.Cursor{}, err
	}
	var at mmdbdata.Cursor
	for {
		key, field, ok := m.Next(at)
		if !ok {
			return m.End()
		}
		kind, err := field.Kind()
		if err != nil {
			return mmdbdata.Cursor{}, err
		}
		if at, err = read(key, kind, field); err != nil {
			return mmdbdata.Cursor{}, err
		}
	}
}
