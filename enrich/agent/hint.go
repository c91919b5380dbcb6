package agent

import "footfall/analytics"

// Hint is what the client hints Sec-CH-UA-Platform and Sec-CH-UA-Mobile say, in
// a number: the zero Hint says nothing. Two equal hints correct alike, so a
// cache may use it as part of its key.
type Hint uint8

const (
	hintMobile Hint = 1 << iota
	hintAndroid
	hintChromeOS
	hintWindows
	hintMac
	hintLinux
)

// ReadHint reads the two header values; both may be empty or nonsense.
func ReadHint(platform, mobile []byte) Hint {
	var h Hint
	switch string(platform) {
	case `"Android"`:
		h = hintAndroid
	case `"Chrome OS"`, `"Chromium OS"`:
		h = hintChromeOS
	case `"Windows"`:
		h = hintWindows
	case `"macOS"`:
		h = hintMac
	case `"Linux"`:
		h = hintLinux
	}
	if string(mobile) == "?1" {
		h |= hintMobile
	}
	return h
}

// correct mends what a frozen user agent hides. It trusts the user agent where
// that says something definite: a hint only fills a gap, or tells what a Linux
// really is. An Android that is told to be mobile is a phone.
func (h Hint) correct(a *analytics.Agent) {
	if a.OS == "" || a.OS == "GNU/Linux" && h&(hintAndroid|hintChromeOS) != 0 {
		if os := h.system(); os != "" {
			a.OS, a.OSVersion = os, ""
			a.Device = Desktop
			if os == "Android" {
				a.Device = Tablet
			}
		}
	}
	if a.OS == "Android" && h&hintMobile != 0 {
		a.Device = Mobile
	}
}

func (h Hint) system() string {
	switch {
	case h&hintAndroid != 0:
		return "Android"
	case h&hintChromeOS != 0:
		return "Chrome OS"
	case h&hintWindows != 0:
		return "Windows"
	case h&hintMac != 0:
		return "Mac"
	case h&hintLinux != 0:
		return "GNU/Linux"
	}
	return ""
}
