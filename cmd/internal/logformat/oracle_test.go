package logformat

import (
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// The oracle reads lines with regular expressions and package time, slow and
// plain to see. Parser must agree with it on every line, whole or damaged.

const (
	blankClass = `\x09-\x0d\x1c-\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}`
	wordRE     = `([^` + blankClass + `]+)`
	quotedRE   = `"((?:[^"\\]|\\(?s:.))*)"`
)

var (
	lineRE = regexp.MustCompile(`^` + wordRE + ` ` + wordRE + ` ` + wordRE + ` \[([^\]]+)\] "([A-Z]+) ` + wordRE +
		` (HTTP/[0-9.]+)" (\p{Nd}{3}) (\p{Nd}+|-)(?: ` + quotedRE + ` ` + quotedRE + `)?[` + blankClass + `]*$`)
	dateRE = regexp.MustCompile(`^(3[01]|[12][0-9]|0[1-9]|[1-9]| [1-9])/((?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec))/([0-9]{4})` +
		`:(2[0-3]|[01][0-9]|[0-9]):([0-5][0-9]|[0-9]):([0-5][0-9]|[0-9])(?:[` + blankClass + `]+(Z|[+-].*))?$`)
	offsetRE = regexp.MustCompile(`^([+-])([01][0-9]|2[0-3])(?:([0-5][0-9])([0-5][0-9])?|:([0-5][0-9])(?::([0-5][0-9]))?)$`)
)

type oracleLine struct {
	host, method, target, referrer, agent string
	hasAgent                              bool
	status                                int
	ms                                    int64
}

func oracle(raw string, zone *time.Location) (l oracleLine, ok bool) {
	m := lineRE.FindStringSubmatchIndex(string(AppendUTF8(nil, []byte(raw))))
	if m == nil {
		return l, false
	}
	text := string(AppendUTF8(nil, []byte(raw)))
	group := func(i int) string {
		if m[2*i] < 0 {
			return ""
		}
		return text[m[2*i]:m[2*i+1]]
	}
	l = oracleLine{host: group(1), method: group(5), target: group(6), referrer: group(10), agent: group(11), hasAgent: m[20] >= 0}
	for _, r := range group(8) {
		l.status = l.status*10 + oracleDigit(r)
	}
	l.ms, ok = oracleDate(group(4), zone)
	return l, ok
}

// oracleDigit walks down to the zero of the digit's script.
func oracleDigit(r rune) int {
	if r >= 0x1d7ce && r <= 0x1d7ff { // five styles of digits without a gap
		return int(r-0x1d7ce) % 10
	}
	n := 0
	for unicode.Is(unicode.Nd, r-1) && n < 9 {
		r--
		n++
	}
	return n
}

func oracleDate(s string, zone *time.Location) (int64, bool) {
	m := dateRE.FindStringSubmatch(s)
	if m == nil {
		return 0, false
	}
	month := map[string]time.Month{"jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6,
		"jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12}[strings.ToLower(m[2])]
	n := func(s string) int {
		v, _ := strconv.Atoi(strings.TrimSpace(s))
		return v
	}
	day, year := n(m[1]), n(m[3])
	where := zone
	switch o := m[7]; {
	case o == "Z":
		where = time.UTC
	case o != "":
		p := offsetRE.FindStringSubmatch(o)
		if p == nil {
			return 0, false
		}
		seconds := n(p[2])*3600 + n(p[3]+p[5])*60 + n(p[4]+p[6])
		if p[1] == "-" {
			seconds = -seconds
		}
		where = time.FixedZone("", seconds)
	case where == nil:
		return 0, false
	}
	noon := time.Date(year, month, day, 12, 0, 0, 0, time.UTC)
	if year < 1 || noon.Day() != day || noon.Month() != month {
		return 0, false
	}
	return time.Date(year, month, day, n(m[4]), n(m[5]), n(m[6]), 0, where).UnixMilli(), true
}
