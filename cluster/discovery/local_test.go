package discovery

import (
	"slices"
	"strings"
	"testing"
)

func TestStaticTellsItsListOnce(t *testing.T) {
	s, err := NewStatic([]string{"10.0.0.2:7001", "10.0.0.1:7001", "10.0.0.2:7001"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Register(t.Context(), Member{Name: "a", Cluster: "10.0.0.1:7001"}); err != nil {
		t.Error(err)
	}
	v := watch(t, s)
	eventually(t, "a list", func() bool { return v.count() == 1 })
	want := []Member{{Cluster: "10.0.0.1:7001"}, {Cluster: "10.0.0.2:7001"}}
	if got := v.lists[0]; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for address, want := range map[string]bool{"10.0.0.2:7001": true, "10.0.0.1:7001": false, "10.0.0.3:7001": false} {
		if got, err := s.MayFound(t.Context(), address, 7); err != nil || got != want {
			t.Errorf("may %s found: got %v %v, want %v", address, got, err, want)
		}
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestNoneFindsNobody(t *testing.T) {
	n := NewNone()
	v := watch(t, n)
	eventually(t, "a list", func() bool { return v.count() == 1 })
	if len(v.lists[0]) != 0 {
		t.Errorf("got %v", v.lists[0])
	}
	if may, err := n.MayFound(t.Context(), "a:1", 1); err != nil || !may {
		t.Errorf("found: %v %v", may, err)
	}
}

func TestWrongMembersAreRefusedByName(t *testing.T) {
	consul, err := NewConsul(ConsulOptions{Address: "127.0.0.1:1"}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	static, err := NewStatic([]string{"a:1"})
	if err != nil {
		t.Fatal(err)
	}
	for text, m := range map[string]Member{
		`cluster: "7001" is not host:port`:      {Ident: 1, Cluster: "7001"},
		`cluster: ":7001" is not host:port`:     {Ident: 1, Cluster: ":7001"},
		`cluster: "a:0": the port`:              {Ident: 1, Cluster: "a:0"},
		`cluster: "a:70000": the port`:          {Ident: 1, Cluster: "a:70000"},
		`http: "b" is not host:port`:            {Ident: 1, Cluster: "a:1", HTTP: "b"},
		`is longer than 255 bytes`:              {Ident: 1, Cluster: "a:1", Name: strings.Repeat("n", 256)},
		`http: "http://b:1": the port is not a`: {Ident: 1, Cluster: "a:1", HTTP: "http://b:1"},
	} {
		for _, d := range []Discovery{NewNone(), static, consul} {
			if err := d.Register(t.Context(), m); err == nil || !strings.Contains(err.Error(), strings.TrimSuffix(text, ": the port is not a")) {
				t.Errorf("%T %+v: got %v, want %s", d, m, err, text)
			}
		}
	}
	if err := consul.Register(t.Context(), Member{Cluster: "a:1"}); err == nil || !strings.Contains(err.Error(), "ident: is 0") {
		t.Errorf("no ident: got %v", err)
	}
	for _, peers := range [][]string{nil, {"a"}, {"a:1", ":2"}} {
		if _, err := NewStatic(peers); err == nil || !strings.HasPrefix(err.Error(), "peers: ") {
			t.Errorf("%v: got %v", peers, err)
		}
	}
}

func TestWrongConsulOptionsAreRefusedByName(t *testing.T) {
	for text, o := range map[string]ConsulOptions{
		"consul-address:":                     {Address: "nowhere"},
		"consul-address: \"ftp://":            {Address: "ftp://a:1"},
		"consul-address: \"http://a:1\" does": {Address: "http://a:1", CA: "x.pem"},
		"consul-ca: open":                     {CA: "missing.pem"},
		"consul-cert and consul-key:":         {Address: "https://a:1", Cert: "x.pem"},
		"cannot be refreshed":                 {TTL: 1, Refresh: 2},
	} {
		if _, err := NewConsul(o, quiet()); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%+v: got %v, want %s", o, err, text)
		}
	}
}
