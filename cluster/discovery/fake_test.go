package discovery

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

// fakeConsul answers the endpoints that a Consul client of ours asks, from
// memory and at once, and can be told to behave badly.
type fakeConsul struct {
	*httptest.Server

	mu         sync.Mutex
	index      uint64
	services   map[string]map[string]any // by id, as registered
	kv         map[string][]byte
	refreshed  map[string]int // by check
	registered int
	asked      int
	down       bool // every answer is 500
	raw        string
	changed    chan struct{}
}

func newFake(t *testing.T) *fakeConsul {
	f := &fakeConsul{index: 10, services: map[string]map[string]any{}, kv: map[string][]byte{}, refreshed: map[string]int{}, changed: make(chan struct{})}
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Close)
	return f
}

// change does something under the lock and wakes who waits.
func (f *fakeConsul) change(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
	f.index++
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *fakeConsul) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	down := f.down
	f.mu.Unlock()
	path := r.URL.Path
	last := path[strings.LastIndexByte(path, '/')+1:]
	switch {
	case down:
		http.Error(w, "no cluster leader", http.StatusInternalServerError)
	case path == "/v1/agent/service/register":
		var s map[string]any
		if json.NewDecoder(r.Body).Decode(&s) != nil {
			http.Error(w, "bad", http.StatusBadRequest)
			return
		}
		f.change(func() { f.services[s["ID"].(string)] = s; f.registered++ })
	case strings.HasPrefix(path, "/v1/agent/service/deregister/"):
		f.mu.Lock()
		_, known := f.services[last]
		f.mu.Unlock()
		if !known {
			http.Error(w, "Unknown service", http.StatusNotFound)
			return
		}
		f.change(func() { delete(f.services, last) })
	case strings.HasPrefix(path, "/v1/agent/check/update/"):
		f.mu.Lock()
		defer f.mu.Unlock()
		if _, known := f.services[strings.TrimSuffix(last, "-alive")]; !known {
			http.Error(w, "Unknown check", http.StatusNotFound)
			return
		}
		f.refreshed[last]++
	case strings.HasPrefix(path, "/v1/agent/health/service/id/"):
		f.mu.Lock()
		defer f.mu.Unlock()
		if _, known := f.services[last]; !known {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Write([]byte(`{"AggregatedStatus":"passing"}`))
	case strings.HasPrefix(path, "/v1/health/service/"):
		f.health(w, r, last)
	default:
		http.NotFound(w, r)
	}
}

// health waits for a change as Consul does.
func (f *fakeConsul) health(w http.ResponseWriter, r *http.Request, service string) {
	after, _ := strconv.ParseUint(r.URL.Query().Get("index"), 10, 64)
	wait, _ := time.ParseDuration(r.URL.Query().Get("wait"))
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	f.mu.Lock()
	f.asked++
	for late := false; f.index <= after && after != 0 && !late; {
		changed := f.changed
		f.mu.Unlock()
		select {
		case <-changed:
		case <-deadline.C:
			late = true
		case <-r.Context().Done():
			late = true
		}
		f.mu.Lock()
	}
	defer f.mu.Unlock()
	w.Header().Set("X-Consul-Index", strconv.FormatUint(f.index, 10))
	if f.raw != "" {
		w.Write([]byte(f.raw))
		return
	}
	entries := []map[string]any{}
	for _, s := range f.services {
		if s["Name"] == service {
			entries = append(entries, map[string]any{"Service": map[string]any{"ID": s["ID"], "Service": service, "Meta": s["Meta"]}})
		}
	}
	json.NewEncoder(w).Encode(entries)
}

func (f *fakeConsul) ids() map[string]bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	ids := map[string]bool{}
	for id := range f.services {
		ids[id] = true
	}
	return ids
}

func entryOf(ident, name, cluster, http string) *api.ServiceEntry {
	return &api.ServiceEntry{Service: &api.AgentService{
		ID: "x", Meta: map[string]string{metaIdent: ident, metaName: name, metaCluster: cluster, metaHTTP: http},
	}}
}
