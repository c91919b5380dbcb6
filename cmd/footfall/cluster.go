package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"footfall/cluster"
	"footfall/cluster/placement"
	"footfall/cluster/spool"
	"footfall/cluster/transport/authority"
	"footfall/cmd/internal/client"
	"footfall/cmd/internal/local"
	"footfall/persistence/pebblestore"
)

type clusterCommand struct {
	Status  clusterStatus  `cmd:"" help:"Show nodes, shards and what is under way."`
	Drain   clusterDrain   `cmd:"" help:"Have everything leave a node, leaders first."`
	Undrain clusterUndrain `cmd:"" help:"Let a node be given replicas again."`
	Remove  clusterRemove  `cmd:"" help:"Take a node out for ever."`
	Move    clusterMove    `cmd:"" help:"Move a replica of a shard to another node."`
	Verify  clusterVerify  `cmd:"" help:"Compare all replicas of all shards."`
	Finish  clusterFinish  `cmd:"" name:"finish-upgrade" help:"Let the nodes write what only the present release and later ones read."`
	Rebuild clusterRebuild `cmd:"" help:"Give up the data of a stopped node, so that it joins anew."`
	InitCA  clusterInitCA  `cmd:"" name:"init-ca" help:"Make the authority that the nodes' certificates are signed by."`
	Issue   clusterIssue   `cmd:"" help:"Make the certificate of a node."`
}

// clusterPicture is the answer to GET /v1/cluster, as far as it is shown.
type clusterPicture struct {
	Cluster struct {
		ID       string `json:"id"`
		Replicas int    `json:"replicas"`
	} `json:"cluster"`
	Nodes []struct {
		Number     int    `json:"number"`
		Name       string `json:"name"`
		Zone       string `json:"zone"`
		Cluster    string `json:"cluster"`
		HTTP       string `json:"http"`
		Roles      string `json:"roles"`
		State      string `json:"state"`
		Live       bool   `json:"live"`
		Replicas   int    `json:"replicas"`
		Leaders    int    `json:"leaders"`
		SpoolBytes uint64 `json:"spool_bytes"`
		DiskFree   uint64 `json:"disk_free"`
	} `json:"nodes"`
	Shards []struct {
		ID      int `json:"id"`
		Leader  int `json:"leader"`
		Members []struct {
			Node   int    `json:"node"`
			Role   string `json:"role"`
			Lag    uint64 `json:"lag"`
			Active bool   `json:"active"`
			Failed bool   `json:"failed"`
		} `json:"members"`
		Op *struct {
			Kind string `json:"kind"`
		} `json:"op"`
	} `json:"shards"`
	Problems []string `json:"problems"`
}

type clusterStatus struct {
	Shards bool `help:"Show every shard, not only those that something is to be said of."`
	remote
}

// Run prints the picture.
func (c clusterStatus) Run(ctx context.Context, w *world) error {
	node, err := c.open(w)
	if err != nil {
		return err
	}
	defer node.Close()
	answer, err := node.Call(ctx, http.MethodGet, "/v1/cluster", nil)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(w.stdout, answer, nil)
	}
	var p clusterPicture
	if err := understand(answer, &p); err != nil {
		return err
	}
	return p.print(w, c.Shards)
}

func (p *clusterPicture) print(w *world, all bool) error {
	out := tabwriter.NewWriter(w.stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintf(out, "cluster %s, %d replicas of each shard\n\n", p.Cluster.ID, p.Cluster.Replicas)
	fmt.Fprintln(out, "node\tname\tstate\tzone\troles\treplicas\tleads\tspool\tdisk free\taddress")
	for _, n := range p.Nodes {
		state := n.State
		if !n.Live && n.State != "removed" {
			state += ", silent"
		}
		fmt.Fprintf(out, "%d\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s\t%s\n", n.Number, n.Name, state, dash(n.Zone), n.Roles, n.Replicas, n.Leaders,
			bytesText(n.SpoolBytes), bytesText(n.DiskFree), n.Cluster)
	}
	fmt.Fprintln(out, "\nshard\tleader\treplicas (lag)\tunder way")
	quiet := 0
	for _, s := range p.Shards {
		strange := s.Op != nil || s.Leader == 0
		var members []string
		for _, m := range s.Members {
			text := strconv.Itoa(m.Node)
			if m.Role != "voter" {
				text += " " + m.Role
			}
			switch {
			case m.Failed:
				text += " (damaged)"
			case !m.Active:
				text += " (silent)"
			case m.Lag > 0:
				text += fmt.Sprintf(" (%d)", m.Lag)
			}
			strange = strange || m.Failed || !m.Active
			members = append(members, text)
		}
		if !strange && !all {
			quiet++
			continue
		}
		op := ""
		if s.Op != nil {
			op = s.Op.Kind
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\n", shardName(s.ID), dash(number(s.Leader)), strings.Join(members, ", "), op)
	}
	if quiet > 0 {
		fmt.Fprintf(out, "%d others are well\t\t\t\n", quiet)
	}
	for i, problem := range p.Problems {
		if i == 0 {
			fmt.Fprintln(out, "\nproblems:")
		}
		fmt.Fprintln(out, "  "+problem)
	}
	return out.Flush()
}

// controlShard is the number under which the control group is shown.
const controlShard = 0xFFFF

func shardName(id int) string {
	if id == controlShard {
		return "control"
	}
	return strconv.Itoa(id)
}

func number(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func bytesText(n uint64) string {
	const units = "KMGTP"
	if n < 1024 {
		return strconv.FormatUint(n, 10) + " B"
	}
	f, i := float64(n)/1024, 0
	for f >= 1024 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	return fmt.Sprintf("%.1f %ciB", f, units[i])
}

// order has the node do something and says so.
func (c remote) order(ctx context.Context, w *world, path string, in any, done string) error {
	node, err := c.open(w)
	if err != nil {
		return err
	}
	defer node.Close()
	if _, err := node.Call(ctx, http.MethodPost, path, in); err != nil {
		return err
	}
	if c.JSON {
		done = "{}"
	}
	_, err = fmt.Fprintln(w.stdout, done)
	return err
}

func nodePath(n uint16, what string) string { return fmt.Sprintf("/v1/cluster/nodes/%d/%s", n, what) }

type clusterDrain struct {
	Node uint16 `arg:"" help:"Number of the node."`
	remote
}

// Run begins the draining.
func (c clusterDrain) Run(ctx context.Context, w *world) error {
	return c.order(ctx, w, nodePath(c.Node, "drain"), nil,
		fmt.Sprintf("Node %d drains: what it leads and holds moves to other nodes. `footfall cluster status` tells when it holds nothing.", c.Node))
}

type clusterUndrain struct {
	Node uint16 `arg:"" help:"Number of the node."`
	remote
}

// Run takes the draining back.
func (c clusterUndrain) Run(ctx context.Context, w *world) error {
	return c.order(ctx, w, nodePath(c.Node, "undrain"), nil, fmt.Sprintf("Node %d takes replicas again.", c.Node))
}

type clusterRemove struct {
	Node  uint16 `arg:"" help:"Number of the node."`
	Force bool   `help:"Also while it holds replicas, which are then made anew on other nodes."`
	remote
}

// Run removes the node.
func (c clusterRemove) Run(ctx context.Context, w *world) error {
	return c.order(ctx, w, removePath(c.Node, c.Force), nil, fmt.Sprintf("Node %d is removed: its data never serves again.", c.Node))
}

func removePath(node uint16, force bool) string {
	path := nodePath(node, "remove")
	if force {
		path += "?force=true"
	}
	return path
}

type clusterMove struct {
	Shard uint16 `arg:"" help:"Number of the shard."`
	From  uint16 `arg:"" help:"Node that gives its replica up."`
	To    uint16 `arg:"" help:"Node that gets one."`
	remote
}

// Run begins the move.
func (c clusterMove) Run(ctx context.Context, w *world) error {
	return c.order(ctx, w, "/v1/cluster/move", map[string]any{"shard": c.Shard, "from": c.From, "to": c.To},
		fmt.Sprintf("Shard %d moves from node %d to node %d.", c.Shard, c.From, c.To))
}

type clusterFinish struct{ remote }

// Run raises the gate of formats.
func (c clusterFinish) Run(ctx context.Context, w *world) error {
	return c.order(ctx, w, "/v1/cluster/gate", nil, "The upgrade is finished: nodes of the release before cannot serve any more.")
}

type clusterVerify struct{ remote }

// errDifferent ends a verification that found replicas that differ.
var errDifferent = errors.New("replicas differ, or could not be compared")

// Run compares and prints what differs.
func (c clusterVerify) Run(ctx context.Context, w *world) error {
	node, err := c.open(w)
	if err != nil {
		return err
	}
	defer node.Close()
	answer, err := node.Call(ctx, http.MethodPost, "/v1/cluster/verify", nil)
	if err != nil {
		return err
	}
	var v struct {
		Shards    int `json:"shards"`
		Equal     int `json:"equal"`
		Different []struct {
			Shard    int `json:"shard"`
			Replicas []struct {
				Node  int    `json:"node"`
				Index uint64 `json:"index"`
				Sum   string `json:"sum"`
				Error string `json:"error"`
			} `json:"replicas"`
		} `json:"different"`
	}
	if err := understand(answer, &v); err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(w.stdout, answer, nil)
	} else {
		_, err = fmt.Fprintf(w.stdout, "%d of %d shards are equal on all of their replicas.\n", v.Equal, v.Shards)
		for _, s := range v.Different {
			for _, r := range s.Replicas {
				fmt.Fprintf(w.stdout, "shard %d on node %d: entry %d, %s\n", s.Shard, r.Node, r.Index, dash(r.Sum+r.Error))
			}
		}
	}
	if err == nil && v.Equal != v.Shards {
		err = errDifferent
	}
	return err
}

type clusterRebuild struct {
	Node     uint16 `arg:"" help:"Number of the node."`
	NodeData string `required:"" placeholder:"DIR" help:"Data directory of that node, which is stopped."`
	// GiveUpSpool is for a store that cannot be read any more.
	GiveUpSpool bool `name:"give-up-spool" help:"Also when the views that wait in its spool cannot be read: they are then not counted."`
	remote
}

// Run delivers the views that only this node had accepted, removes the node from
// the cluster, as long as its shards go on without it, and sets its data aside:
// when it starts again it joins as a new node.
func (c clusterRebuild) Run(ctx context.Context, w *world) error {
	if server, ok := local.Address(c.NodeData); ok && answers(ctx, server) {
		return fmt.Errorf("node-data: %s is in use by the node at %s; stop it first", c.NodeData, server)
	}
	store := filepath.Join(c.NodeData, "store")
	if _, err := os.Stat(store); err != nil {
		return fmt.Errorf("node-data: %w", err)
	}
	node, err := c.open(w)
	if err != nil {
		return err
	}
	defer node.Close()
	switch batches, err := c.salvage(ctx, node, store); {
	case err == nil:
		fmt.Fprintf(w.stdout, "What waited in the spool of node %d is delivered: %d batches.\n", c.Node, batches)
	case !errors.Is(err, errSpoolUnread):
		return err
	case !c.GiveUpSpool:
		return fmt.Errorf("%w; with --give-up-spool the node is rebuilt without them", err)
	default:
		fmt.Fprintf(w.stdout, "Given up: %v\n", err)
	}
	if _, err := node.Call(ctx, http.MethodPost, removePath(c.Node, true), nil); err != nil {
		return err
	}
	aside := store + ".damaged-" + w.now().UTC().Format("20060102T150405Z")
	if err := os.Rename(store, aside); err != nil {
		return fmt.Errorf("set the data aside: %w", err)
	}
	if err := os.RemoveAll(store + "-staged"); err != nil {
		return fmt.Errorf("remove unfinished copies: %w", err)
	}
	_, err = fmt.Fprintf(w.stdout, "Node %d is removed. Its data is in %s now; start the node, and it joins anew.\n", c.Node, aside)
	return err
}

// errSpoolUnread says that nobody can tell any more what waits in a spool.
var errSpoolUnread = errors.New("the views that may wait in its spool cannot be read")

// salvage delivers what waits in the spool of the stopped node's store.
func (c clusterRebuild) salvage(ctx context.Context, node *client.Client, dir string) (batches int, err error) {
	unread := func(err error) error { return fmt.Errorf("node-data: %w: %w", errSpoolUnread, err) }
	store, err := pebblestore.Open(dir, pebblestore.Options{})
	if errors.Is(err, syscall.EAGAIN) { // its lock is held
		return 0, fmt.Errorf("node-data: %s is in use; stop the node first: %w", dir, err)
	}
	if err != nil {
		return 0, unread(err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	place, ok, err := store.Membership()
	switch {
	case err != nil:
		return 0, unread(err)
	case !ok:
		return 0, errors.New("node-data: is of no node of a cluster")
	case place.Node != c.Node:
		return 0, fmt.Errorf("node-data: is of node %d, not of node %d", place.Node, c.Node)
	}
	if err := c.sameCluster(ctx, node, placement.ID(place.Cluster)); err != nil {
		return 0, err
	}
	waiting, err := spool.Open(store, cluster.SalvageBytes, func() int64 { return time.Now().UnixMilli() })
	if err != nil {
		return 0, unread(err)
	}
	return cluster.Salvage(ctx, waiting, store.Ident().Node, func(ctx context.Context, shard uint16, batch []byte) (cluster.Reply, error) {
		path := fmt.Sprintf("/v1/cluster/shards/%d/batches", shard)
		answer, err := node.Send(ctx, http.MethodPost, path, http.Header{"Content-Type": {"application/octet-stream"}}, batch)
		if err != nil {
			return cluster.Reply{}, err
		}
		var out struct {
			Verdict  *cluster.Verdict
			Expected uint64
			Epoch    uint32
		}
		if err := understand(answer, &out); err != nil {
			return cluster.Reply{}, err
		}
		if out.Verdict == nil {
			return cluster.Reply{}, errors.New("the node's answer has no verdict")
		}
		return cluster.Reply{Verdict: *out.Verdict, Expected: out.Expected, Epoch: out.Epoch}, nil
	})
}

// sameCluster makes sure that views go to the cluster that they are of.
func (c clusterRebuild) sameCluster(ctx context.Context, node *client.Client, want placement.ID) error {
	answer, err := node.Call(ctx, http.MethodGet, "/v1/cluster", nil)
	if err != nil {
		return err
	}
	var p clusterPicture
	if err := understand(answer, &p); err != nil {
		return err
	}
	if p.Cluster.ID != want.String() {
		return fmt.Errorf("node-data: is of cluster %s, the node asked of %s", want, p.Cluster.ID)
	}
	return nil
}

// answers tells whether a node serves at an address.
func answers(ctx context.Context, server string) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server+"/healthz", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	return resp.Body.Close() == nil
}

type clusterInitCA struct {
	Dir string `required:"" placeholder:"DIR" help:"Directory for ca.pem and ca.key; made when missing."`
}

// Run makes the authority.
func (c clusterInitCA) Run(_ context.Context, w *world) error {
	if err := (authority.Maker{Random: w.random, Clock: w.now}).InitCA(c.Dir); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w.stdout, "Made %s and its key, which never leaves this machine.\n", filepath.Join(c.Dir, "ca.pem"))
	return err
}

type clusterIssue struct {
	Dir  string   `required:"" placeholder:"DIR" help:"Directory of ca.pem and ca.key."`
	Name string   `required:"" placeholder:"NAME" help:"Name of the node; its files are NAME.pem and NAME.key."`
	Host []string `placeholder:"HOST,…" help:"Names and addresses at which the node is reached."`
}

// Run makes the certificate.
func (c clusterIssue) Run(_ context.Context, w *world) error {
	if err := (authority.Maker{Random: w.random, Clock: w.now}).Issue(c.Dir, c.Name, c.Host...); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w.stdout, "Made %s and %s.key. Give the node both, and ca.pem.\n", filepath.Join(c.Dir, c.Name+".pem"), c.Name)
	return err
}
