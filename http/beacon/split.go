package beacon

import (
	"bytes"
	"errors"
	"io"
	"strconv"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"footfall/analytics"
)

// decompress gives body as plain bytes, at most BatchBodyBytesMax of them.
func decompress(encoding string, body []byte) ([]byte, error) {
	var plain io.Reader
	switch encoding {
	case "", "identity":
		return body, nil
	case "gzip":
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, analytics.Errorf(analytics.Invalid, "body: not readable as gzip")
		}
		defer z.Close()
		plain = z
	case "zstd":
		z, err := zstd.NewReader(bytes.NewReader(body), zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
			zstd.WithDecoderMaxMemory(analytics.BatchBodyBytesMax+1), zstd.WithDecoderMaxWindow(8<<20))
		if err != nil {
			return nil, analytics.Errorf(analytics.Invalid, "body: not readable as zstd")
		}
		defer z.Close()
		plain = z
	default:
		return nil, analytics.Errorf(analytics.Invalid, "content-encoding: must be gzip, zstd or identity")
	}
	var out bytes.Buffer
	n, err := io.Copy(&out, io.LimitReader(plain, analytics.BatchBodyBytesMax+1))
	switch {
	case n > analytics.BatchBodyBytesMax || errors.Is(err, zstd.ErrDecoderSizeExceeded) || errors.Is(err, zstd.ErrWindowSizeExceeded):
		return nil, analytics.Errorf(analytics.TooLarge, "body: longer than %d bytes after decompression", analytics.BatchBodyBytesMax)
	case err != nil:
		return nil, analytics.Errorf(analytics.Invalid, "body: not readable as %s", encoding)
	}
	return out.Bytes(), nil
}

// split cuts a body into the JSON texts of its events. It looks at brackets,
// commas and texts only, so that one malformed event does not take the others
// with it, and memory is bounded whatever the events hold.
func split(body []byte) (spans [][]byte, keepBots bool, err error) {
	i := blank(body, 0)
	if i == len(body) {
		return nil, false, analytics.Errorf(analytics.Invalid, "body: is empty")
	}
	switch body[i] {
	case '[':
		var end int
		if spans, end, err = elements(body, i); err != nil {
			return nil, false, err
		}
		if end = blank(body, end); end != len(body) {
			return nil, false, unreadable(end)
		}
	case '{':
		if spans, keepBots, err = envelope(body, i); err != nil {
			return nil, false, err
		}
	default:
		return nil, false, unreadable(i)
	}
	if len(spans) == 0 {
		return nil, false, analytics.Errorf(analytics.Invalid, "events: there must be at least one")
	}
	return spans, keepBots, nil
}

// elements cuts the array that begins at i.
func elements(body []byte, i int) (spans [][]byte, end int, err error) {
	i = blank(body, i+1)
	if i < len(body) && body[i] == ']' {
		return nil, i + 1, nil
	}
	for {
		end, ok := skipValue(body, i)
		if !ok {
			return nil, 0, unreadable(i)
		}
		if len(spans) == analytics.BatchEventsMax {
			return nil, 0, analytics.Errorf(analytics.TooLarge, "events: more than %d", analytics.BatchEventsMax)
		}
		spans = append(spans, body[i:end])
		i = blank(body, end)
		if i == len(body) {
			return nil, 0, unreadable(i)
		}
		switch body[i] {
		case ',':
			i = blank(body, i+1)
		case ']':
			return spans, i + 1, nil
		default:
			return nil, 0, unreadable(i)
		}
	}
}

// envelope reads the object that begins at start: one event, or events with
// what holds for all of them.
func envelope(body []byte, start int) (spans [][]byte, keepBots bool, err error) {
	var many bool
	i := blank(body, start+1)
	if i < len(body) && body[i] == '}' {
		i++
		if end := blank(body, i); end != len(body) {
			return nil, false, unreadable(end)
		}
		return [][]byte{body[start:i]}, false, nil
	}
	for {
		key, next, ok := scanKey(body, i)
		if !ok {
			if next, ok = skipEscapedKey(body, i); !ok {
				return nil, false, unreadable(i)
			}
			key = nil
		}
		i = next
		end, ok := skipValue(body, i)
		if !ok {
			return nil, false, unreadable(i)
		}
		switch {
		case string(key) == "events" && body[i] == '[':
			if spans, _, err = elements(body, i); err != nil {
				return nil, false, err
			}
			many = true
		case string(key) == "keep_bots":
			keepBots = string(body[i:end]) == "true"
		}
		i = blank(body, end)
		if i == len(body) {
			return nil, false, unreadable(i)
		}
		if body[i] == ',' {
			i = blank(body, i+1)
			continue
		}
		if body[i] != '}' {
			return nil, false, unreadable(i)
		}
		i++
		if rest := blank(body, i); rest != len(body) {
			return nil, false, unreadable(rest)
		}
		if !many {
			spans = [][]byte{body[start:i]}
		}
		return spans, keepBots, nil
	}
}

// skipEscapedKey passes a key that scanKey gave up on.
func skipEscapedKey(b []byte, i int) (next int, ok bool) {
	if i, ok = skipText(b, i); !ok {
		return i, false
	}
	i = blank(b, i)
	if i == len(b) || b[i] != ':' {
		return i, false
	}
	return blank(b, i+1), true
}

// skipValue finds the end of the value at i without looking into it. A value
// has at least one byte.
func skipValue(b []byte, i int) (end int, ok bool) {
	if i >= len(b) {
		return i, false
	}
	switch b[i] {
	case '"':
		return skipText(b, i)
	case '{', '[':
	default:
		start := i
		for i < len(b) && b[i] > ' ' && b[i] != ',' && b[i] != ']' && b[i] != '}' {
			i++
		}
		return i, i > start
	}
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			if i, ok = skipText(b, i); !ok {
				return i, false
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1, true
			}
		}
		i++
	}
	return i, false
}

func skipText(b []byte, i int) (end int, ok bool) {
	if i >= len(b) || b[i] != '"' {
		return i, false
	}
	for i++; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1, true
		}
	}
	return i, false
}

func unreadable(at int) error {
	return analytics.Errorf(analytics.Invalid, "body: not readable as JSON at byte %s", strconv.Itoa(at))
}
