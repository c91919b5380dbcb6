package beacon

import (
	"bytes"

	"github.com/valyala/fastjson"
)

// slot numbers the keys of a beacon body that mean something. A short name and
// its long one have a slot each, because which of them is tried first is a
// rule of its own.
type slot uint8

const (
	slotN slot = iota
	slotName
	slotU
	slotURL
	slotD
	slotDomain
	slotR
	slotReferrer
	slotM
	slotMeta
	slotP
	slotProps
	slotDollar
	slotRevenue
	slotI
	slotInteractive
	slotH
	slotHashMode
	slotE
	slotSD
	slotID
	slotW
	slotL
	slots
)

// kind is the JSON type of a value.
type kind uint8

const (
	kindAbsent kind = iota
	kindNull
	kindFalse
	kindTrue
	kindNumber
	kindText
	kindObject
	kindArray
)

// value is one value of a body. text is the content of a text, unescaped, or
// the digits of a number; the members of an object are form.members[from:to].
type value struct {
	kind     kind
	text     []byte
	from, to int
}

// given tells whether there is something, null counting as nothing.
func (v value) given() bool { return v.kind > kindNull }

// member is one entry of an object; what is nested in it is not kept.
type member struct {
	key  []byte
	kind kind
	text []byte
}

// form is a parsed beacon body. Its slices point into the body, or into the
// form's own buffers, which the next parse overwrites. Of a key that occurs
// twice the last counts.
type form struct {
	values  [slots]value
	members []member
	buf     []byte // digits of numbers that the fallback read

	outer, inner fastjson.Parser // the body; the JSON text inside of a value
	bulky        bool            // the parsers hold more than is worth keeping
}

// bulkyBytes is from what length on a body that the fallback read is bulky: its
// parser takes up to a hundred times that.
const bulkyBytes = 8 << 10

func slotOf(key []byte) (slot, bool) {
	switch string(key) {
	case "n":
		return slotN, true
	case "name":
		return slotName, true
	case "u":
		return slotU, true
	case "url":
		return slotURL, true
	case "d":
		return slotD, true
	case "domain":
		return slotDomain, true
	case "r":
		return slotR, true
	case "referrer":
		return slotReferrer, true
	case "m":
		return slotM, true
	case "meta":
		return slotMeta, true
	case "p":
		return slotP, true
	case "props":
		return slotProps, true
	case "$":
		return slotDollar, true
	case "revenue":
		return slotRevenue, true
	case "i":
		return slotI, true
	case "interactive":
		return slotInteractive, true
	case "h":
		return slotH, true
	case "hashMode":
		return slotHashMode, true
	case "e":
		return slotE, true
	case "sd":
		return slotSD, true
	case "id":
		return slotID, true
	case "w":
		return slotW, true
	case "l":
		return slotL, true
	}
	return 0, false
}

// first gives the first of two slots that is given.
func (f *form) first(a, b slot) value {
	if v := f.values[a]; v.given() {
		return v
	}
	return f.values[b]
}

// parse reads a body; false means that it is not a JSON object.
func (f *form) parse(body []byte) bool {
	return f.scan(body) || f.fallback(body)
}

func (f *form) reset() {
	f.values = [slots]value{}
	f.members = f.members[:0]
	f.buf = f.buf[:0]
}

// scan reads the common shape by hand: an object of plain values and of objects
// of plain values, without an escape. It gives up, without an opinion, on
// everything else; fallback then decides. FuzzBody holds the two against each
// other.
func (f *form) scan(body []byte) bool {
	f.reset()
	i := blank(body, 0)
	if i == len(body) || body[i] != '{' {
		return false
	}
	i = blank(body, i+1)
	if i < len(body) && body[i] == '}' {
		return blank(body, i+1) == len(body)
	}
	for {
		key, next, ok := scanKey(body, i)
		if !ok {
			return false
		}
		i = next
		var v value
		if i < len(body) && body[i] == '{' {
			v.kind, v.from = kindObject, len(f.members)
			if i, ok = f.scanMembers(body, i); !ok {
				return false
			}
			v.to = len(f.members)
		} else if v.kind, v.text, i, ok = scanPlain(body, i); !ok {
			return false
		}
		if s, known := slotOf(key); known {
			f.values[s] = v
		}
		i = blank(body, i)
		if i == len(body) {
			return false
		}
		switch body[i] {
		case ',':
			i = blank(body, i+1)
		case '}':
			return blank(body, i+1) == len(body)
		default:
			return false
		}
	}
}

// scanMembers reads an object of plain values that begins at i.
func (f *form) scanMembers(body []byte, i int) (next int, ok bool) {
	i = blank(body, i+1)
	if i < len(body) && body[i] == '}' {
		return i + 1, true
	}
	for {
		var m member
		if m.key, i, ok = scanKey(body, i); !ok {
			return i, false
		}
		if m.kind, m.text, i, ok = scanPlain(body, i); !ok {
			return i, false
		}
		f.members = append(f.members, m)
		i = blank(body, i)
		if i == len(body) {
			return i, false
		}
		switch body[i] {
		case ',':
			i = blank(body, i+1)
		case '}':
			return i + 1, true
		default:
			return i, false
		}
	}
}

// scanKey reads a key and its colon; next is at the value.
func scanKey(b []byte, i int) (key []byte, next int, ok bool) {
	key, i, ok = scanText(b, i)
	if !ok {
		return nil, i, false
	}
	i = blank(b, i)
	if i == len(b) || b[i] != ':' {
		return nil, i, false
	}
	return key, blank(b, i+1), true
}

func scanText(b []byte, i int) (content []byte, next int, ok bool) {
	if i >= len(b) || b[i] != '"' {
		return nil, i, false
	}
	i++
	end := bytes.IndexByte(b[i:], '"')
	if end < 0 {
		return nil, i, false
	}
	content = b[i : i+end]
	if bytes.IndexByte(content, '\\') >= 0 {
		return nil, i, false
	}
	return content, i + end + 1, true
}

// scanPlain reads a value that is neither object nor array.
func scanPlain(b []byte, i int) (k kind, content []byte, next int, ok bool) {
	if i >= len(b) {
		return 0, nil, i, false
	}
	switch c := b[i]; {
	case c == '"':
		content, next, ok = scanText(b, i)
		return kindText, content, next, ok
	case c == '-' || c >= '0' && c <= '9':
		start := i
		if c == '-' {
			i++
		}
		digits := i
		for i < len(b) && b[i] >= '0' && b[i] <= '9' {
			i++
		}
		if i == digits {
			return 0, nil, i, false
		}
		if i < len(b) && b[i] == '.' {
			i++
			digits = i
			for i < len(b) && b[i] >= '0' && b[i] <= '9' {
				i++
			}
			if i == digits {
				return 0, nil, i, false
			}
		}
		if i < len(b) && b[i] != ',' && b[i] != '}' && b[i] > ' ' { // exponents and the like
			return 0, nil, i, false
		}
		return kindNumber, b[start:i], i, true
	case c == 't' && hasPrefix(b[i:], "true"):
		return kindTrue, nil, i + 4, true
	case c == 'f' && hasPrefix(b[i:], "false"):
		return kindFalse, nil, i + 5, true
	case c == 'n' && hasPrefix(b[i:], "null"):
		return kindNull, nil, i + 4, true
	}
	return 0, nil, i, false
}

func hasPrefix(b []byte, p string) bool { return len(b) >= len(p) && string(b[:len(p)]) == p }

// blank skips white space from i on.
func blank(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// fallback reads any JSON object.
func (f *form) fallback(body []byte) bool {
	f.reset()
	f.bulky = f.bulky || len(body) > bulkyBytes
	root, err := f.outer.ParseBytes(body)
	if err != nil {
		return false
	}
	object, err := root.Object()
	if err != nil {
		return false
	}
	object.Visit(func(key []byte, v *fastjson.Value) {
		s, known := slotOf(key)
		if !known {
			return
		}
		out := value{kind: kindOf(v), text: f.content(v)}
		if out.kind == kindObject {
			out.from, out.to = f.visit(v)
		}
		f.values[s] = out
	})
	return true
}

// visit appends the members of an object.
func (f *form) visit(v *fastjson.Value) (from, to int) {
	from = len(f.members)
	v.GetObject().Visit(func(key []byte, v *fastjson.Value) {
		f.members = append(f.members, member{key: key, kind: kindOf(v), text: f.content(v)})
	})
	return from, len(f.members)
}

// object gives the members of an object, or of the object whose JSON text v is.
func (f *form) object(v value) ([]member, bool) {
	switch v.kind {
	case kindObject:
		return f.members[v.from:v.to], true
	case kindText:
		f.bulky = f.bulky || len(v.text) > bulkyBytes
		root, err := f.inner.ParseBytes(v.text)
		if err != nil || root.Type() != fastjson.TypeObject {
			return nil, false
		}
		from, to := f.visit(root)
		return f.members[from:to], true
	}
	return nil, false
}

func (f *form) content(v *fastjson.Value) []byte {
	switch v.Type() {
	case fastjson.TypeString:
		return v.GetStringBytes()
	case fastjson.TypeNumber:
		from := len(f.buf)
		f.buf = v.MarshalTo(f.buf)
		return f.buf[from:len(f.buf):len(f.buf)]
	}
	return nil
}

func kindOf(v *fastjson.Value) kind {
	switch v.Type() {
	case fastjson.TypeNull:
		return kindNull
	case fastjson.TypeFalse:
		return kindFalse
	case fastjson.TypeTrue:
		return kindTrue
	case fastjson.TypeNumber:
		return kindNumber
	case fastjson.TypeString:
		return kindText
	case fastjson.TypeObject:
		return kindObject
	}
	return kindArray
}
