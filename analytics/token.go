package analytics

import (
	"strconv"
	"strings"
)

// String gives the text form, "shard-index" in decimal; "" for the zero Token.
func (t Token) String() string {
	if t.Index == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(t.Shard), 10) + "-" + strconv.FormatUint(t.Index, 10)
}

// Append appends the text form to dst.
func (t Token) Append(dst []byte) []byte {
	if t.Index == 0 {
		return dst
	}
	dst = strconv.AppendUint(dst, uint64(t.Shard), 10)
	dst = append(dst, '-')
	return strconv.AppendUint(dst, t.Index, 10)
}

// ParseToken reads the text form. The empty text is the zero Token.
func ParseToken(s string) (Token, error) {
	if s == "" {
		return Token{}, nil
	}
	left, right, ok := strings.Cut(s, "-")
	shard, err1 := strconv.ParseUint(left, 10, 16)
	index, err2 := strconv.ParseUint(right, 10, 64)
	if !ok || err1 != nil || err2 != nil || index == 0 {
		return Token{}, Errorf(Invalid, "token: must look like 12-3456")
	}
	return Token{Shard: uint16(shard), Index: index}, nil
}
