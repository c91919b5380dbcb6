package node

import (
	"bytes"
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"time"

	"footfall/analytics"
	"footfall/analytics/query"
	"footfall/cluster"
	"footfall/http/door"
)

// Kinds of calls between nodes that are about answers; see member.Parts.Ask.
const (
	askQuestion = 64
	askVersion  = 65
)

// question is what one node asks another about a site. Zones travel by name.
type question struct {
	Site analytics.SiteID
	Zone string          `json:",omitempty"`
	Q    *query.Question `json:",omitempty"`

	From, To int64 // of askVersion
	After    analytics.Token
}

// seen is the answer to askVersion.
type seen struct{ Version, Index uint64 }

var errUnknownAsk = &analytics.Error{Code: analytics.Invalid, Text: "call: not known to this release"}

// answer serves another node's question; see member.Parts.Ask. A question with a
// field that is not known here was asked by a newer release.
func (n *Node) answer(ctx context.Context, kind uint8, body []byte) ([]byte, error) {
	switch kind {
	case askDigest:
		return n.answerDigest(ctx, body)
	case askEvents:
		return n.answerEvents(body)
	}
	var in question
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return nil, errUnknownAsk
	}
	switch kind {
	case askQuestion:
		if in.Q == nil {
			return nil, errUnknownAsk
		}
		zone, err := time.LoadLocation(in.Zone)
		if err != nil {
			return nil, errUnknownAsk
		}
		in.Q.Zone = zone
		a, err := asker{n}.Ask(ctx, in.Site, in.Q, in.After)
		if err != nil {
			return nil, err
		}
		return encoded(a)
	case askVersion:
		var out seen
		var err error
		if out.Version, out.Index, err = (asker{n}).Version(ctx, in.Site, in.From, in.To, in.After); err != nil {
			return nil, err
		}
		return encoded(out)
	}
	return nil, errUnknownAsk
}

func encoded(v any) ([]byte, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(v)
	return b.Bytes(), err
}

// askThere asks the node that an Elsewhere names and reads its answer into out.
func (n *Node) askThere(ctx context.Context, where error, kind uint8, q question, out any) error {
	var e *door.Elsewhere
	if !errors.As(where, &e) {
		return where
	}
	body, err := json.Marshal(q)
	if err != nil {
		return err
	}
	answer, err := n.member.Ask(ctx, e.Node, kind, body)
	if err != nil {
		return err
	}
	return gob.NewDecoder(bytes.NewReader(answer)).Decode(out)
}

// remoteAsk asks another node a question about a site that is not here.
func (a asker) remoteAsk(ctx context.Context, where error, id analytics.SiteID, q *query.Question, after analytics.Token) (*query.Answer, error) {
	out := &query.Answer{}
	err := a.n.askThere(ctx, where, askQuestion, question{Site: id, Zone: q.Zone.String(), Q: q, After: after}, out)
	if err != nil {
		return nil, err
	}
	return out, nil
}

func (a asker) remoteVersion(ctx context.Context, where error, id analytics.SiteID, from, to int64, after analytics.Token) (version, index uint64, err error) {
	var out seen
	err = a.n.askThere(ctx, where, askVersion, question{Site: id, From: from, To: to, After: after}, &out)
	return out.Version, out.Index, err
}

// shardOf finds the shard of a site that is here; see here.
func (a asker) shardOf(id analytics.SiteID) (uint16, error) {
	return cluster.ShardOf(id), a.n.here(id, false)
}
