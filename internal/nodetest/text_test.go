package nodetest

import "strings"

// holds tells whether text has all parts in it.
func holds(text string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}
