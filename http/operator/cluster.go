package operator

import (
	"context"
	"encoding/json"
	"time"

	"github.com/valyala/fasthttp"

	"footfall/analytics"
	"footfall/analytics/accounts"
	"footfall/http/door"
)

// Cluster shows the cluster to its operators and takes their orders.
type Cluster interface {
	// Status gives a picture of nodes and shards, ready to be written as JSON.
	Status(ctx context.Context) (any, error)
	// Drain has everything leave a node, Undrain takes that back, Remove takes a
	// node out for ever; with force also one that still holds replicas.
	Drain(ctx context.Context, node uint16) error
	Undrain(ctx context.Context, node uint16) error
	Remove(ctx context.Context, node uint16, force bool) error
	// Move begins to move a replica of a shard between nodes.
	Move(ctx context.Context, shard, from, to uint16) error
	// RaiseGate lets the nodes write the newest formats that all of them read.
	RaiseGate(ctx context.Context) error
	// Verify compares the replicas of all shards and gives a picture of the result.
	Verify(ctx context.Context) (any, error)
	// Deliver brings a batch that waited in the spool of a node that does not run to
	// its shard and gives the shard's decision, ready to be written as JSON.
	Deliver(ctx context.Context, shard uint16, batch []byte) (any, error)
}

const (
	orderTimeout  = 15 * time.Second
	verifyTimeout = 5 * time.Minute

	batchBytesMax = 4 << 20
)

func (d *Door) clusterRoutes() []door.Route {
	return []door.Route{
		{Method: "GET", Path: "/v1/cluster", Need: door.Operator, Handler: d.clusterStatus},
		{Method: "POST", Path: "/v1/cluster/nodes/{node}/drain", Need: door.Operator, Handler: d.order((Cluster).Drain)},
		{Method: "POST", Path: "/v1/cluster/nodes/{node}/undrain", Need: door.Operator, Handler: d.order((Cluster).Undrain)},
		{Method: "POST", Path: "/v1/cluster/nodes/{node}/remove", Need: door.Operator, Handler: d.remove},
		{Method: "POST", Path: "/v1/cluster/move", Need: door.Operator, Handler: d.move},
		{Method: "POST", Path: "/v1/cluster/gate", Need: door.Operator, Handler: d.raiseGate},
		{Method: "POST", Path: "/v1/cluster/verify", Need: door.Operator, Handler: d.verify},
		{Method: "POST", Path: "/v1/cluster/shards/{shard}/batches", Need: door.Operator, Handler: d.deliver, BodyMax: batchBytesMax},
	}
}

// errAlone answers what can only be asked of a cluster.
var errAlone = &analytics.Error{Code: analytics.NotFound, Text: "cluster: this node is alone"}

func (d *Door) clusterStatus(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
	if d.cluster == nil {
		return errAlone
	}
	within, cancel := context.WithTimeout(context.Background(), orderTimeout)
	defer cancel()
	s, err := d.cluster.Status(within)
	if err != nil {
		return err
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, s)
	return nil
}

// nodeOf reads the node that a path names.
func nodeOf(ctx *fasthttp.RequestCtx) (uint16, error) {
	text, _ := ctx.UserValue("node").(string)
	n, err := fasthttp.ParseUint([]byte(text))
	if err != nil || n < 1 || n > 1<<16-1 {
		return 0, analytics.Errorf(analytics.Invalid, "node: must be the number of a node")
	}
	return uint16(n), nil
}

func (d *Door) order(do func(Cluster, context.Context, uint16) error) door.Handler {
	return func(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
		if d.cluster == nil {
			return errAlone
		}
		node, err := nodeOf(ctx)
		if err != nil {
			return err
		}
		within, cancel := context.WithTimeout(context.Background(), orderTimeout)
		defer cancel()
		if err := do(d.cluster, within, node); err != nil {
			return err
		}
		ctx.SetStatusCode(fasthttp.StatusNoContent)
		return nil
	}
}

func (d *Door) remove(ctx *fasthttp.RequestCtx, who accounts.Identity) error {
	force := ctx.QueryArgs().GetBool("force")
	return d.order(func(c Cluster, within context.Context, node uint16) error { return c.Remove(within, node, force) })(ctx, who)
}

func (d *Door) move(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
	if d.cluster == nil {
		return errAlone
	}
	var in struct {
		Shard *uint16 `json:"shard"`
		From  uint16  `json:"from"`
		To    uint16  `json:"to"`
	}
	if err := json.Unmarshal(ctx.PostBody(), &in); err != nil {
		return analytics.Errorf(analytics.Invalid, "body: must be {\"shard\": …, \"from\": …, \"to\": …} with numbers: %w", err)
	}
	switch {
	case in.Shard == nil:
		return analytics.Errorf(analytics.Invalid, "shard: is required")
	case in.From == 0 || in.To == 0:
		return analytics.Errorf(analytics.Invalid, "from, to: must be numbers of nodes")
	}
	within, cancel := context.WithTimeout(context.Background(), orderTimeout)
	defer cancel()
	if err := d.cluster.Move(within, *in.Shard, in.From, in.To); err != nil {
		return err
	}
	ctx.SetStatusCode(fasthttp.StatusNoContent)
	return nil
}

func (d *Door) raiseGate(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
	if d.cluster == nil {
		return errAlone
	}
	within, cancel := context.WithTimeout(context.Background(), orderTimeout)
	defer cancel()
	if err := d.cluster.RaiseGate(within); err != nil {
		return err
	}
	ctx.SetStatusCode(fasthttp.StatusNoContent)
	return nil
}

func (d *Door) verify(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
	if d.cluster == nil {
		return errAlone
	}
	within, stop := door.Watch(ctx, context.Background())
	defer stop()
	within, cancel := context.WithTimeout(within, verifyTimeout)
	defer cancel()
	_ = ctx.SetWriteDeadline(time.Now().Add(verifyTimeout + orderTimeout))
	v, err := d.cluster.Verify(within)
	if err != nil {
		return err
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, v)
	return nil
}

func (d *Door) deliver(ctx *fasthttp.RequestCtx, _ accounts.Identity) error {
	if d.cluster == nil {
		return errAlone
	}
	text, _ := ctx.UserValue("shard").(string)
	shard, err := fasthttp.ParseUint([]byte(text))
	if err != nil || shard > 1<<16-1 {
		return analytics.Errorf(analytics.Invalid, "shard: must be the number of a shard")
	}
	within, cancel := context.WithTimeout(context.Background(), orderTimeout)
	defer cancel()
	v, err := d.cluster.Deliver(within, uint16(shard), append([]byte(nil), ctx.PostBody()...))
	if err != nil {
		return err
	}
	door.WriteJSON(ctx, fasthttp.StatusOK, v)
	return nil
}
