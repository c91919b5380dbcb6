// Package logformat reads lines of web server access logs, Common and Combined,
// and decides which of them are page views. It is pure: no I/O and no clock, and
// a line that does not fit is an error, never a guess. Start at Parser.Parse,
// then Parser.View.
package logformat

import (
	"bytes"
	"errors"
	"time"
	"unicode"
	"unicode/utf8"
)

// Line is one parsed log line. Its slices point into the line given to Parse or
// into the Parser and are valid until the next call of Parse on that Parser.
type Line struct {
	Host     []byte // first field, an address or a host name
	Time     int64  // Unix milliseconds, UTC
	Method   []byte // "GET"
	Target   []byte // as requested, still percent-encoded
	Status   int    // 0…999
	HasAgent bool   // the line has the two fields that Combined adds to Common
	Referrer []byte // as logged, with the log's own escapes; see AppendUnescaped
	Agent    []byte // as logged, with the log's own escapes
}

// What can be wrong with a line. The texts appear in the file of rejected lines.
var (
	ErrHost     = errors.New("host: the three fields before the date are not there")
	ErrDate     = errors.New("date: not [day/month/year:hour:minute:second offset]")
	ErrRequest  = errors.New(`request: not "METHOD target HTTP/version"`)
	ErrStatus   = errors.New("status: not three digits")
	ErrSize     = errors.New("size: not a number or -")
	ErrReferrer = errors.New("referrer: not a quoted text")
	ErrAgent    = errors.New("user agent: not a quoted text")
	ErrRest     = errors.New("line: goes on after its last field")
)

// Parser reads lines. The zero value is ready. It reuses memory between calls
// and is not safe for concurrent use.
type Parser struct {
	// Zone is used for dates without an offset; nil makes such lines an error.
	Zone *time.Location

	repaired []byte // the line with invalid UTF-8 replaced
	page     []byte // scratch of View
	run      []byte // scratch of View
}

// Parse reads one line without its line end into l. Bytes that are not UTF-8
// count as U+FFFD. On an error l holds nothing of use.
func (p *Parser) Parse(raw []byte, l *Line) error {
	b := raw
	if !utf8.Valid(b) {
		p.repaired = AppendUTF8(p.repaired[:0], b)
		b = p.repaired
	}
	host, i := word(b, 0)
	if i < 0 {
		return ErrHost
	}
	if _, i = word(b, i); i < 0 {
		return ErrHost
	}
	if _, i = word(b, i); i < 0 {
		return ErrHost
	}
	if i >= len(b) || b[i] != '[' {
		return ErrDate
	}
	end := bytes.IndexByte(b[i:], ']')
	if end < 0 {
		return ErrDate
	}
	ms, ok := parseDate(b[i+1:i+end], p.Zone)
	if !ok {
		return ErrDate
	}
	i += end + 1
	if i+2 > len(b) || b[i] != ' ' || b[i+1] != '"' {
		return ErrRequest
	}
	i += 2
	start := i
	for i < len(b) && 'A' <= b[i] && b[i] <= 'Z' {
		i++
	}
	if i == start || i >= len(b) || b[i] != ' ' {
		return ErrRequest
	}
	method := b[start:i]
	target, i := word(b, i+1)
	if i < 0 {
		return ErrRequest
	}
	if i = version(b, i); i < 0 {
		return ErrRequest
	}
	status, i := digits(b, i, 3)
	if i < 0 || i >= len(b) || b[i] != ' ' {
		return ErrStatus
	}
	i++
	if i < len(b) && b[i] == '-' {
		i++
	} else if _, i = digits(b, i, 0); i < 0 {
		return ErrSize
	}
	*l = Line{Host: host, Time: ms, Method: method, Target: target, Status: status}
	if i+1 < len(b) && b[i] == ' ' && b[i+1] == '"' {
		if l.Referrer, i = quoted(b, i+1); i < 0 {
			return ErrReferrer
		}
		if i+1 >= len(b) || b[i] != ' ' || b[i+1] != '"' {
			return ErrAgent
		}
		if l.Agent, i = quoted(b, i+1); i < 0 {
			return ErrAgent
		}
		l.HasAgent = true
	}
	if len(trimRight(b[i:])) != 0 {
		return ErrRest
	}
	return nil
}

// word reads characters that are not white space, at least one, and the one
// blank that must follow. next is the position after the blank, or -1.
func word(b []byte, i int) (text []byte, next int) {
	start := i
	for i < len(b) {
		c := b[i]
		if c < utf8.RuneSelf {
			if isSpaceASCII(c) {
				break
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if isSpace(r) {
			return nil, -1
		}
		i += n
	}
	if i == start || i >= len(b) || b[i] != ' ' {
		return nil, -1
	}
	return b[start:i], i + 1
}

// version reads `HTTP/` with digits and dots, the closing quote and a blank.
func version(b []byte, i int) int {
	const prefix = "HTTP/"
	if len(b)-i < len(prefix) || string(b[i:i+len(prefix)]) != prefix {
		return -1
	}
	i += len(prefix)
	start := i
	for i < len(b) && (b[i] == '.' || '0' <= b[i] && b[i] <= '9') {
		i++
	}
	if i == start || i+1 >= len(b) || b[i] != '"' || b[i+1] != ' ' {
		return -1
	}
	return i + 2
}

// digits reads n decimal digits, or with n = 0 as many as there are but at
// least one. Digits of any script count. The value is right for up to nine.
func digits(b []byte, i, n int) (value, next int) {
	count := 0
	for i < len(b) && (n == 0 || count < n) {
		if c := b[i]; c < utf8.RuneSelf {
			if c < '0' || c > '9' {
				break
			}
			value = (value*10 + int(c-'0')) % 1_000_000_000
			i++
		} else {
			r, size := utf8.DecodeRune(b[i:])
			if !unicode.Is(unicode.Nd, r) {
				break
			}
			value = (value*10 + digitValue(r)) % 1_000_000_000
			i += size
		}
		count++
	}
	if count == 0 || count < n {
		return 0, -1
	}
	return value, i
}

// digitValue gives the value of a decimal digit; digits of a script lie in
// blocks of ten, from zero to nine.
func digitValue(r rune) int {
	for _, t := range unicode.Nd.R16 {
		if rune(t.Lo) <= r && r <= rune(t.Hi) {
			return int(r-rune(t.Lo)) % 10
		}
	}
	for _, t := range unicode.Nd.R32 {
		if rune(t.Lo) <= r && r <= rune(t.Hi) {
			return int(r-rune(t.Lo)) % 10
		}
	}
	return 0
}

// quoted reads a text in double quotes, in which a backslash takes the next
// character with it. b[i] is the opening quote.
func quoted(b []byte, i int) (text []byte, next int) {
	i++
	start := i
	for i < len(b) {
		switch b[i] {
		case '"':
			return b[start:i], i + 1
		case '\\':
			i++ // a longer character's other bytes are neither quote nor backslash
		}
		i++
	}
	return nil, -1
}
