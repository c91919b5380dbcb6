package enrich

import "strings"

// languageBytesMax bounds how much of an Accept-Language header is read.
const languageBytesMax = 1024

// Language gives the language that an Accept-Language header, or a script's
// navigator.language, prefers: the tag with the highest weight, the first of
// equals. The form is canonical and bounded: language, script and region at
// most, "en", "pt-BR", "zh-Hant-TW", "es-419"; what follows is left out. "" if
// nothing in it is a language. No allocation for the common tags.
func Language(accept []byte) string {
	if len(accept) > languageBytesMax {
		accept = accept[:languageBytesMax]
	}
	var best, tag languageTag
	weight := -1
	for rest := accept; len(rest) > 0; {
		item := rest
		if i := indexByte(rest, ','); i >= 0 {
			item, rest = rest[:i], rest[i+1:]
		} else {
			rest = nil
		}
		var parameters []byte
		if i := indexByte(item, ';'); i >= 0 {
			item, parameters = item[:i], item[i+1:]
		}
		if q := quality(parameters); q > weight && q > 0 && tag.read(trim(item)) {
			best, weight = tag, q
		}
	}
	if weight < 0 {
		return ""
	}
	b := best.text[:best.size]
	if s, ok := commonLanguages[string(b)]; ok {
		return s
	}
	return string(b)
}

// languageTag holds a canonical tag; the longest is "abc-Abcd-123".
type languageTag struct {
	text [12]byte
	size int
}

// read takes over the leading subtags of item that are a language, a script and
// a region, in this order, and tells whether there is a language.
func (t *languageTag) read(item []byte) bool {
	t.size = 0
	stage := 0 // 1 after the language, 2 after the script, 3 after the region
	for len(item) > 0 && stage < 3 {
		part := item
		if i := separator(item); i >= 0 {
			part, item = item[:i], item[i+1:]
		} else {
			item = nil
		}
		switch {
		case stage == 0 && (len(part) == 2 || len(part) == 3) && letters(part):
			t.add(part, -1)
			t.modernise()
			stage = 1
		case stage == 1 && len(part) == 4 && letters(part):
			t.add(part, 0)
			stage = 2
		case stage >= 1 && (len(part) == 2 && letters(part) || len(part) == 3 && digits(part)):
			t.add(part, 1)
			stage = 3
		default:
			return stage > 0
		}
	}
	return stage > 0
}

// add appends a subtag: in lower case (-1), capitalised (0) or in upper case (1).
func (t *languageTag) add(part []byte, letterCase int) {
	if t.size > 0 {
		t.text[t.size] = '-'
		t.size++
	}
	for i, c := range part {
		c |= 0x20 // a digit keeps its value
		if c >= 'a' && (letterCase == 1 || letterCase == 0 && i == 0) {
			c -= 0x20
		}
		t.text[t.size] = c
		t.size++
	}
}

// modernise replaces the three codes that were withdrawn and are still sent.
func (t *languageTag) modernise() {
	switch string(t.text[:t.size]) {
	case "iw":
		copy(t.text[:], "he")
	case "in":
		copy(t.text[:], "id")
	case "ji":
		copy(t.text[:], "yi")
	}
}

// quality reads "q=0.8" as 800, 1000 if it is missing, 0 if it is nonsense.
func quality(parameters []byte) int {
	p := trim(parameters)
	if len(p) == 0 {
		return 1000
	}
	if len(p) < 3 || p[0]|0x20 != 'q' || p[1] != '=' || p[2] < '0' || p[2] > '1' {
		return 0
	}
	q, unit := int(p[2]-'0')*1000, 100
	if len(p) > 3 && p[3] == '.' {
		for _, c := range p[4:] {
			if c < '0' || c > '9' || unit == 0 {
				break
			}
			q += int(c-'0') * unit
			unit /= 10
		}
	}
	return min(q, 1000)
}

func separator(b []byte) int {
	for i, c := range b {
		if c == '-' || c == '_' {
			return i
		}
	}
	return -1
}

func indexByte(b []byte, c byte) int {
	for i := range b {
		if b[i] == c {
			return i
		}
	}
	return -1
}

func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

func letters(b []byte) bool {
	for _, c := range b {
		if c |= 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return true
}

func digits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// commonLanguages saves the allocation for what nearly everybody sends. It is
// never written to.
var commonLanguages = intern(`en en-US en-GB en-AU en-CA en-IN en-IE en-NZ en-ZA en-SG de de-DE de-AT de-CH fr fr-FR
	fr-BE fr-CA fr-CH es es-ES es-MX es-AR es-CO es-CL es-US es-PE es-419 pt pt-BR pt-PT it it-IT it-CH nl nl-NL nl-BE
	pl pl-PL ru ru-RU uk uk-UA cs cs-CZ sk sk-SK hu hu-HU ro ro-RO bg bg-BG hr hr-HR sr sr-RS sl sl-SI el el-GR tr tr-TR
	da da-DK sv sv-SE nb nb-NO no nn fi fi-FI et lv lt is he he-IL ar ar-SA ar-EG ar-AE fa fa-IR ur hi hi-IN bn ta te mr
	th th-TH vi vi-VN id id-ID ms ms-MY fil ja ja-JP ko ko-KR zh zh-CN zh-TW zh-HK zh-Hans zh-Hant zh-Hans-CN zh-Hant-TW
	ca ca-ES eu gl af sw kk ka hy az`)

func intern(tags string) map[string]string {
	m := map[string]string{}
	for tag := range strings.FieldsSeq(tags) {
		m[tag] = tag
	}
	return m
}
