package node

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"time"

	"golang.org/x/sync/errgroup"

	"footfall/analytics"
	"footfall/cluster"
	"footfall/cluster/placement"
)

// askDigest asks another node for the digest of a shard's replica.
const askDigest = 66

// digest is what a replica holds, as of a log index.
type digest struct {
	Node  uint16 `json:"node"`
	Index uint64 `json:"index"`
	Sum   string `json:"sum,omitempty"` // of everything that is counted
	Error string `json:"error,omitempty"`
}

// verdict compares the replicas of a shard.
type verdict struct {
	Shard    uint16   `json:"shard"`
	Equal    bool     `json:"equal"`
	Replicas []digest `json:"replicas"`
}

// verification is the result of comparing all shards.
type verification struct {
	Shards    int       `json:"shards"`
	Equal     int       `json:"equal"`
	Different []verdict `json:"different"` // and those that could not be compared
}

// How often a shard is looked at again whose replicas were not at the same index,
// and the rest between.
const (
	verifyTries = 20
	verifyPause = 100 * time.Millisecond

	verifyParallel = 8 // shards
)

// Verify reads every site of every shard on all of its replicas and compares
// them at the same log index (invariant I3).
func (o orders) Verify(ctx context.Context) (any, error) {
	var shards []*placement.Shard
	for _, s := range o.n.control.Placement().Shards() {
		if s.ID != placement.Control {
			shards = append(shards, s)
		}
	}
	verdicts := make([]verdict, len(shards))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(verifyParallel)
	for i, s := range shards {
		group.Go(func() (err error) {
			verdicts[i], err = o.n.compare(ctx, s)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	out := verification{Shards: len(shards), Different: []verdict{}}
	for _, v := range verdicts {
		if v.Equal {
			out.Equal++
		} else {
			out.Different = append(out.Different, v)
		}
	}
	return out, nil
}

// compare looks at the replicas of a shard until they are at one index.
func (n *Node) compare(ctx context.Context, s *placement.Shard) (v verdict, err error) {
	for range verifyTries {
		v = verdict{Shard: s.ID, Equal: true}
		level := true
		for _, m := range s.Members {
			d := n.digestOf(ctx, m.Node, s.ID)
			if first := append(v.Replicas, d)[0]; d.Error != "" || d.Index != first.Index {
				level = false
			} else if d.Sum != first.Sum {
				v.Equal = false
			}
			v.Replicas = append(v.Replicas, d)
		}
		if level {
			return v, nil
		}
		v.Equal = false
		select {
		case <-ctx.Done():
			return v, ctx.Err()
		case <-time.After(verifyPause):
		}
	}
	return v, nil
}

func (n *Node) digestOf(ctx context.Context, node, shard uint16) digest {
	fail := func(err error) digest { return digest{Node: node, Error: err.Error()} }
	if node == n.member.Self() {
		return n.digestHere(ctx, shard)
	}
	body, err := json.Marshal(shard)
	if err != nil {
		return fail(err)
	}
	answer, err := n.member.Ask(ctx, node, askDigest, body)
	if err != nil {
		return fail(err)
	}
	var d digest
	if err := json.Unmarshal(answer, &d); err != nil {
		return fail(err)
	}
	d.Node = node
	return d
}

func (n *Node) digestHere(ctx context.Context, shard uint16) digest {
	index, sum, err := n.sites.DeepDigest(ctx, shard)
	if err != nil {
		return digest{Node: n.member.Self(), Error: err.Error()}
	}
	return digest{Node: n.member.Self(), Index: index, Sum: hex.EncodeToString(sum[:])}
}

// answerDigest serves askDigest.
func (n *Node) answerDigest(ctx context.Context, body []byte) ([]byte, error) {
	var shard uint16
	if err := json.Unmarshal(body, &shard); err != nil || shard >= cluster.Shards {
		return nil, analytics.Errorf(analytics.Invalid, "shard: there is none such")
	}
	return json.Marshal(n.digestHere(ctx, shard))
}
