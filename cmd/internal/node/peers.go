package node

import (
	"context"
	"encoding/json"
	"sync"

	"footfall/analytics"
	"footfall/http/inspect"
	"footfall/http/merchant"
)

// askEvents asks another node for the newest events of a site that it took.
const askEvents = 67

// looking is what askEvents carries.
type looking struct {
	Site analytics.SiteID `json:"site"`
	Ask  inspect.Ask      `json:"ask"`
}

// peers asks the other nodes of the cluster; see merchant.Peers.
type peers struct{ n *Node }

// peers gives the way to the other nodes; nil on a node alone.
func (n *Node) peers() merchant.Peers {
	if n.clustered() {
		return peers{n}
	}
	return nil
}

// Look implements merchant.Peers. A node that is not connected now took part in
// nothing that can be shown, so the answer is not whole.
func (p peers) Look(ctx context.Context, site analytics.SiteID, ask inspect.Ask) (parts []inspect.Part, all bool) {
	body, err := json.Marshal(looking{site, ask})
	if err != nil {
		return nil, false
	}
	nodes := p.n.member.Wire().Peers()
	got := make([]*inspect.Part, len(nodes))
	var calls sync.WaitGroup
	for i, node := range nodes {
		calls.Go(func() {
			answer, err := p.n.member.Ask(ctx, node.Node, askEvents, body)
			part := &inspect.Part{}
			if err == nil && json.Unmarshal(answer, part) == nil {
				got[i] = part
			}
		})
	}
	calls.Wait()
	all = true
	for _, part := range got {
		if part == nil {
			all = false
			continue
		}
		parts = append(parts, *part)
	}
	return parts, all
}

// answerEvents serves askEvents.
func (n *Node) answerEvents(body []byte) ([]byte, error) {
	var in looking
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, errUnknownAsk
	}
	return json.Marshal(n.watch.Look(in.Site, in.Ask))
}
