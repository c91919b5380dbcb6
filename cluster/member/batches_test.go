package member

import "testing"

func TestDistanceOfNodes(t *testing.T) {
	for _, c := range []struct {
		region, zone, otherRegion, otherZone string
		want                                 int
	}{
		{"", "", "", "", 0},
		{"eu", "a", "eu", "a", 0},
		{"eu", "a", "eu", "b", 1},
		{"", "a", "", "b", 1},
		{"eu", "a", "us", "a", 2}, // zones of two regions may have one name
		{"eu", "a", "", "a", 2},
	} {
		if got := distance(c.region, c.zone, c.otherRegion, c.otherZone); got != c.want || got >= farthest {
			t.Errorf("%+v: %d", c, got)
		}
	}
}
