package logformat

import (
	"bytes"
	"unicode/utf8"
)

// Skip says why a line is not a page view.
type Skip string

const (
	Counted    Skip = ""
	SkipMethod Skip = "method" // not GET
	SkipStatus Skip = "status" // not 200…299 and not 304
	SkipAsset  Skip = "asset"  // a static file by its extension
)

// View decides whether l is a page view and gives its page: the path before '?'
// and '#', percent-decoded, white space at its end cut, "/" when nothing is
// left. With allPaths static files are pages too. The page is UTF-8, belongs to
// the Parser and is valid until its next call.
func (p *Parser) View(l *Line, allPaths bool) (page []byte, skip Skip) {
	if string(l.Method) != "GET" {
		return nil, SkipMethod
	}
	if (l.Status < 200 || l.Status > 299) && l.Status != 304 {
		return nil, SkipStatus
	}
	page = p.pageOf(l.Target)
	if !allPaths && isAsset(page) {
		return page, SkipAsset
	}
	return page, Counted
}

// Query gives what stands between '?' and '#' in a target, still encoded.
func Query(target []byte) []byte {
	if i := bytes.IndexByte(target, '#'); i >= 0 {
		target = target[:i]
	}
	_, query, _ := bytes.Cut(target, []byte{'?'})
	return query
}

func (p *Parser) pageOf(target []byte) []byte {
	if i := bytes.IndexByte(target, '?'); i >= 0 {
		target = target[:i]
	}
	if i := bytes.IndexByte(target, '#'); i >= 0 {
		target = target[:i]
	}
	page := target
	if bytes.IndexByte(target, '%') >= 0 {
		p.page = p.appendDecoded(p.page[:0], target)
		page = p.page
	}
	page = trimRight(page)
	if len(page) == 0 {
		return append(p.page[:0], '/')
	}
	return page
}

// appendDecoded undoes percent-encoding. Characters beyond ASCII stay as they
// are and end a run of encoded bytes: bytes on both sides of one never join to
// a character. A '%' without two hexadecimal digits stays.
func (p *Parser) appendDecoded(dst, b []byte) []byte {
	for len(b) > 0 {
		n := 0
		for n < len(b) && b[n] >= utf8.RuneSelf {
			n++
		}
		dst = append(dst, b[:n]...)
		b = b[n:]
		p.run = p.run[:0]
		for len(b) > 0 && b[0] < utf8.RuneSelf {
			if b[0] == '%' && len(b) > 2 && unhex(b[1]) >= 0 && unhex(b[2]) >= 0 {
				p.run = append(p.run, byte(unhex(b[1])<<4|unhex(b[2])))
				b = b[3:]
				continue
			}
			p.run = append(p.run, b[0])
			b = b[1:]
		}
		dst = AppendUTF8(dst, p.run)
	}
	return dst
}

const extensionBytesMax = 5 // of the list in isAsset

// isAsset tells whether the last part of page ends in a static file's extension.
func isAsset(page []byte) bool {
	dot := bytes.LastIndexByte(page, '.')
	if dot < 0 || bytes.LastIndexByte(page, '/') > dot {
		return false
	}
	ext := page[dot+1:]
	if len(ext) > extensionBytesMax {
		return false
	}
	var lower [extensionBytesMax]byte
	for i, c := range ext {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	switch string(lower[:len(ext)]) {
	case "css", "js", "mjs", "map",
		"png", "jpg", "jpeg", "gif", "svg", "webp", "avif", "ico", "bmp", "tif", "tiff",
		"woff", "woff2", "ttf", "otf", "eot",
		"mp4", "webm", "ogv", "mp3", "ogg", "wav", "flac", "avi", "mov", "wmv",
		"pdf", "zip", "gz", "bz2", "xz", "tar", "tgz", "rar", "7z",
		"exe", "dmg", "iso", "msi", "deb", "rpm",
		"swf", "json", "xml", "txt":
		return true
	}
	return false
}
