package query

import (
	"strings"
	"testing"
)

// TestEveryCountryHasOneName: 249 codes are assigned.
func TestEveryCountryHasOneName(t *testing.T) {
	byName := map[string]string{}
	for code, name := range countryNames {
		if other := byName[name]; other != "" || len(code) != 2 || strings.ToUpper(code) != code || strings.TrimSpace(name) != name || len(name) < 4 {
			t.Errorf("%s is %q, as is %q", code, name, other)
		}
		byName[name] = code
	}
	if len(countryNames) != 249 {
		t.Errorf("%d countries", len(countryNames))
	}
}
