package discovery

import (
	"maps"
	"strings"
	"testing"
	"time"
)

// fast makes what a check needs seconds for need milliseconds.
func fast(address string) ConsulOptions {
	return ConsulOptions{Address: address, TTL: time.Second, Refresh: 5 * time.Millisecond, Wait: 2 * time.Second}
}

func open(t *testing.T, o ConsulOptions) *Consul {
	t.Helper()
	c, err := NewConsul(o, quiet())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(t.Context()) })
	return c
}

func member(name string, ident uint64) Member {
	return Member{Ident: ident, Name: name, Cluster: "127.0.0.1:" + map[string]string{"a": "7001", "b": "7002", "c": "7003"}[name],
		HTTP: "127.0.0.1:8001", Zone: "z1", Region: "r1"}
}

func register(t *testing.T, c *Consul, m Member) {
	t.Helper()
	if err := c.Register(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

func TestWhatOneRegistersOthersSee(t *testing.T) {
	fake := newFake(t)
	a, b := open(t, fast(fake.URL)), open(t, fast(fake.URL))
	v := watch(t, b)
	v.await()
	register(t, a, member("a", 1))
	register(t, b, member("b", 2))
	got := v.await("a", "b")
	if got[0] != member("a", 1) || got[1] != member("b", 2) {
		t.Errorf("got %+v", got)
	}
	if err := a.Register(t.Context(), member("c", 3)); err == nil {
		t.Error("a second registration is taken")
	}
	if err := a.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	v.await("b")
	if err := a.Close(t.Context()); err != nil {
		t.Error("second close: ", err)
	}
}

func TestTheEdgeIsForBalancers(t *testing.T) {
	fake := newFake(t)
	a := open(t, fast(fake.URL))
	register(t, a, member("a", 0xabc))
	fake.mu.Lock()
	edge := maps.Clone(fake.services["footfall-edge-0000000000000abc"])
	fake.mu.Unlock()
	check, _ := edge["Check"].(map[string]any)
	if edge["Name"] != "footfall-edge" || edge["Port"] != 8001.0 || check["HTTP"] != "http://127.0.0.1:8001/readyz" {
		t.Errorf("got %v", edge)
	}
	if tags, _ := edge["Tags"].([]any); len(tags) != 2 || tags[0] != "zone-z1" || tags[1] != "region-r1" {
		t.Errorf("tags %v", edge["Tags"])
	}
	// A forgotten edge service comes back although the node's own is there.
	fake.change(func() { delete(fake.services, "footfall-edge-0000000000000abc") })
	eventually(t, "the edge is back", func() bool { return fake.ids()["footfall-edge-0000000000000abc"] })
	if err := a.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	fake.mu.Lock()
	before := fake.refreshed["footfall-0000000000000abc-alive"]
	fake.mu.Unlock()
	eventually(t, "many refreshes", func() bool {
		fake.mu.Lock()
		defer fake.mu.Unlock()
		return fake.refreshed["footfall-0000000000000abc-alive"] > before+3*lookEach
	})
	if ids := fake.ids(); ids["footfall-edge-0000000000000abc"] || !ids["footfall-0000000000000abc"] {
		t.Errorf("after drain: %v", ids)
	}
	if err := a.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if ids := fake.ids(); len(ids) != 0 {
		t.Errorf("after close: %v", ids)
	}
}

func TestWithoutHTTPThereIsNoEdge(t *testing.T) {
	fake := newFake(t)
	a := open(t, fast(fake.URL))
	m := member("a", 1)
	m.HTTP = ""
	register(t, a, m)
	if ids := fake.ids(); len(ids) != 1 {
		t.Errorf("got %v", ids)
	}
	if err := a.Drain(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestALostRegistrationComesBack(t *testing.T) {
	fake := newFake(t)
	a := open(t, fast(fake.URL))
	v := watch(t, a)
	register(t, a, member("a", 1))
	v.await("a")
	fake.change(func() { clear(fake.services); fake.index = 1 }) // its index begins anew, too
	eventually(t, "registered again", func() bool { return len(fake.ids()) == 2 })
	v.await("a")
}

func TestAnAbsentConsulIsNoErrorAndTheListStays(t *testing.T) {
	fake := newFake(t)
	a := open(t, fast(fake.URL))
	fake.change(func() { fake.down = true })
	register(t, a, member("a", 1))
	fake.change(func() { fake.down = false })
	v := watch(t, a)
	v.await("a")
	reports := v.count()
	fake.change(func() { fake.down = true })
	fake.mu.Lock()
	asked := fake.asked
	fake.mu.Unlock()
	fake.change(func() { fake.down = false })
	eventually(t, "asked again", func() bool {
		fake.mu.Lock()
		defer fake.mu.Unlock()
		return fake.asked > asked
	})
	if v.count() != reports {
		t.Errorf("an outage changed the list: %v", v.lists)
	}
}

func TestStrangersInTheListAreLeftOut(t *testing.T) {
	fake := newFake(t)
	fake.raw = `[null, {}, {"Service": null}, {"Service": {"ID": "x"}},
		{"Service": {"ID": "y", "Meta": {"ident": "zz", "cluster": "a:1"}}},
		{"Service": {"ID": "y", "Meta": {"ident": "0", "cluster": "a:1"}}},
		{"Service": {"ID": "z", "Meta": {"ident": "7", "cluster": "nowhere"}}},
		{"Service": {"ID": "l", "Meta": {"ident": "8", "cluster": "a:1", "name": "` + strings.Repeat("x", 300) + `"}}},
		{"Service": {"ID": "n", "Meta": {"ident": "9", "cluster": "127.0.0.1:7001", "name": "a"}}}]`
	v := watch(t, open(t, fast(fake.URL)))
	v.await("a")
}

func FuzzAnswerOfConsul(f *testing.F) {
	f.Add("0000000000000001", "a", "127.0.0.1:7001", "127.0.0.1:80")
	f.Add("", "", ":", "[::1]:80")
	f.Add("FFFF", "\x00", "h:65536", "h:-1")
	f.Fuzz(func(t *testing.T, ident, name, cluster, http string) {
		m, err := memberOf(entryOf(ident, name, cluster, http))
		if err != nil {
			return
		}
		if m.Ident == 0 || checkAddress(m.Cluster) != nil || m.HTTP != "" && checkAddress(m.HTTP) != nil || len(m.Name) > fieldBytesMax {
			t.Errorf("%q %q %q %q gives %+v", ident, name, cluster, http, m)
		}
	})
}
