package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"footfall/internal/testnode"
)

// askMax bounds a request of the campaign.
const askMax = 20 * time.Second

// status is what GET /v1/cluster tells.
type status struct {
	Leading bool
	Nodes   []struct {
		Number     uint16
		Name       string
		Live       bool
		Leaders    int
		LastReport int64  `json:"last_report"`
		SpoolBytes uint64 `json:"spool_bytes"`
	}
	Shards []struct {
		ID      uint16
		Leader  uint16
		Op      json.RawMessage
		Members []struct {
			Role   string
			Lag    uint64
			Active bool
		}
	}
	Problems []string
}

// controlGroup is the id that the control group has among shards.
const controlGroup = 0xFFFF

// leadsControl tells whether the node of a name leads the control group.
func (s *status) leadsControl(name string) bool {
	for _, sh := range s.Shards {
		for _, n := range s.Nodes {
			if sh.ID == controlGroup && sh.Leader != 0 && n.Number == sh.Leader {
				return n.Name == name
			}
		}
	}
	return false
}

// whole tells whether all shards have a leader and n replicas that are level.
func (s *status) whole(n int) error {
	if len(s.Shards) < 2 || len(s.Nodes) != n {
		return fmt.Errorf("%d groups, %d nodes", len(s.Shards), len(s.Nodes))
	}
	for _, sh := range s.Shards {
		voters := 0
		for _, m := range sh.Members {
			if m.Role == "voter" && m.Active && m.Lag == 0 {
				voters++
			}
		}
		switch {
		case sh.Leader == 0:
			return fmt.Errorf("shard %d has no leader", sh.ID)
		case voters < n || len(sh.Op) > 0 && sh.ID != controlGroup:
			return fmt.Errorf("shard %d: %+v %s", sh.ID, sh.Members, sh.Op)
		}
	}
	return nil
}

// quiet tells whether nothing is under way, by reports made after a moment.
func (s *status) quiet(n int, after time.Time) error {
	if !s.Leading {
		return fmt.Errorf("the node does not know: it leads no control group")
	}
	for _, node := range s.Nodes {
		if node.LastReport <= after.UnixMilli() || node.SpoolBytes > 0 {
			return fmt.Errorf("%s reported %d ms after the end, %d bytes in its spool", node.Name, node.LastReport-after.UnixMilli(), node.SpoolBytes)
		}
	}
	return s.whole(n)
}

// status asks node i, which asks the one that leads.
func (r *campaign) status(i int) (s status, err error) {
	a, err := r.do(i, testnode.Request{Path: "/v1/cluster", Key: testnode.AsOperator})
	if err != nil {
		return s, err
	}
	if a.Status != http.StatusOK {
		return s, fmt.Errorf("status: %d %s", a.Status, a.Body)
	}
	return s, json.Unmarshal(a.Body, &s)
}

func (r *campaign) do(i int, q testnode.Request) (testnode.Answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), askMax)
	defer cancel()
	return r.node(i).Do(ctx, q)
}

// makeSite makes a site; one that is there already is made.
func (r *campaign) makeSite(i int, domain string) error {
	a, err := r.do(i, testnode.Request{Path: "/v1/sites", Body: map[string]any{"domain": domain, "timezone": "UTC"}, Key: testnode.AsOperator})
	if err == nil && a.Status != http.StatusCreated && a.Status != http.StatusConflict {
		err = fmt.Errorf("make a site: %d %s", a.Status, a.Body)
	}
	return err
}

func (r *campaign) knows(i int, domain string) error {
	a, err := r.do(i, testnode.Request{Path: "/v1/sites/" + url.PathEscape(domain), Key: testnode.AsOperator})
	if err == nil && a.Status != http.StatusOK {
		err = fmt.Errorf("read a site: %d %s", a.Status, a.Body)
	}
	return err
}
