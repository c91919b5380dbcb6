// Package agent reads user agents: browser, operating system and device, each
// from a closed list of names, so that no visitor can invent one, with versions
// cut to major.minor. The names are those of Plausible's API. It is pure and
// never says whether something is a bot: that is package bots. Start at Parse.
//
// It is a reader of its own, not a general library, for that closed list: the
// libraries at hand report the first unknown product of the text as the
// browser's name, which is a dimension without bound in a stranger's hands.
package agent

import (
	"strings"

	"footfall/analytics"
)

// Devices as they are counted. Televisions and consoles are Desktop, watches
// and media players Mobile.
const (
	Desktop = "Desktop"
	Mobile  = "Mobile"
	Tablet  = "Tablet"
)

// MobileApp is the browser name of every page shown inside another app.
const MobileApp = "Mobile App"

// BytesMax is how much of a user agent is read; the rest is ignored.
const BytesMax = 1024

// Parse reads a user agent. What is not recognised stays empty. All results are
// short and safe to show; the versions share ua's memory. hint may be zero.
func Parse(ua string, hint Hint) analytics.Agent {
	if len(ua) > BytesMax {
		ua = ua[:BytesMax]
	}
	var a analytics.Agent
	a.OS, a.OSVersion = system(ua)
	a.Browser, a.BrowserVersion = browser(ua, a.OS)
	a.Device = device(ua, a.OS, a.Browser)
	hint.correct(&a)
	return a
}

// word finds marker where it does not continue a longer word: at the start or
// after something that is neither letter nor digit. Gives the index after it,
// or -1.
func word(ua, marker string) int {
	for from := 0; ; {
		i := strings.Index(ua[from:], marker)
		if i < 0 {
			return -1
		}
		i += from
		if i == 0 || !alphanumeric(ua[i-1]) {
			return i + len(marker)
		}
		from = i + 1
	}
}

func has(ua, marker string) bool { return word(ua, marker) >= 0 }

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || digit(c)
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// versionAt reads "major" or "major.minor" at ua[i:]; '_' separates like '.'.
// A number of more than six digits is not a version.
func versionAt(ua string, i int) string {
	if i < 0 || i >= len(ua) || !digit(ua[i]) {
		return ""
	}
	end := i
	for end < len(ua) && digit(ua[end]) {
		end++
	}
	if end-i > 6 {
		return ""
	}
	if end+1 < len(ua) && (ua[end] == '.' || ua[end] == '_') && digit(ua[end+1]) {
		minor := end + 1
		stop := minor
		for stop < len(ua) && digit(ua[stop]) {
			stop++
		}
		if stop-minor <= 6 {
			if ua[end] == '_' {
				return ua[i:end] + "." + ua[minor:stop]
			}
			return ua[i:stop]
		}
	}
	return ua[i:end]
}

// versionOf is the version right after marker, "" without one.
func versionOf(ua, marker string) string { return versionAt(ua, word(ua, marker)) }
