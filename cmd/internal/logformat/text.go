package logformat

import (
	"bytes"
	"unicode/utf8"
)

// isSpaceASCII and isSpace know the white space of Unicode, with the four
// ASCII separators 1C to 1F.
func isSpaceASCII(c byte) bool {
	return c == ' ' || 0x09 <= c && c <= 0x0d || 0x1c <= c && c <= 0x1f
}

func isSpace(r rune) bool {
	if r < utf8.RuneSelf {
		return isSpaceASCII(byte(r))
	}
	switch r {
	case 0x85, 0xa0, 0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000:
		return true
	}
	return 0x2000 <= r && r <= 0x200a
}

// trimRight cuts white space from the end.
func trimRight(b []byte) []byte { return bytes.TrimRightFunc(b, isSpace) }

// AppendUTF8 appends b to dst with everything that is not UTF-8 replaced by
// U+FFFD, one for each longest beginning of a character, as browsers do.
func AppendUTF8(dst, b []byte) []byte {
	for len(b) > 0 {
		if b[0] < utf8.RuneSelf {
			dst = append(dst, b[0])
			b = b[1:]
			continue
		}
		if r, n := utf8.DecodeRune(b); r != utf8.RuneError || n > 1 {
			dst = append(dst, b[:n]...)
			b = b[n:]
			continue
		}
		dst = append(dst, "\uFFFD"...)
		b = b[brokenLen(b):]
	}
	return dst
}

// brokenLen counts the bytes that begin a character which does not end well.
func brokenLen(b []byte) int {
	low, high, more := byte(0x80), byte(0xbf), 0
	switch c := b[0]; {
	case 0xc2 <= c && c <= 0xdf:
		more = 1
	case c == 0xe0:
		more, low = 2, 0xa0
	case c == 0xed:
		more, high = 2, 0x9f
	case 0xe1 <= c && c <= 0xef:
		more = 2
	case c == 0xf0:
		more, low = 3, 0x90
	case c == 0xf4:
		more, high = 3, 0x8f
	case 0xf1 <= c && c <= 0xf3:
		more = 3
	}
	n := 1
	for ; n <= more && n < len(b) && low <= b[n] && b[n] <= high; n++ {
		low, high = 0x80, 0xbf
	}
	return n
}

// AppendUnescaped appends a logged text with the log's escapes undone: \" \\
// \n \r \t \b \v \f and \xhh. Any other backslash stays. The result is UTF-8.
func AppendUnescaped(dst, text []byte) []byte {
	if bytes.IndexByte(text, '\\') < 0 {
		return append(dst, text...)
	}
	plain := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			plain = append(plain, text[i])
			continue
		}
		switch c := text[i+1]; c {
		case '"', '\\':
			plain = append(plain, c)
		case 'n', 'r', 't', 'b', 'v', 'f':
			plain = append(plain, ' ') // control characters are of no use in a referrer or a user agent
		case 'x':
			if i+3 < len(text) && unhex(text[i+2]) >= 0 && unhex(text[i+3]) >= 0 {
				plain = append(plain, byte(unhex(text[i+2])<<4|unhex(text[i+3])))
				i += 2
				break
			}
			plain = append(plain, '\\', 'x')
		default:
			plain = append(plain, '\\', c)
		}
		i++
	}
	return AppendUTF8(dst, plain)
}

// unhex gives the value of a hexadecimal digit, or -1.
func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
