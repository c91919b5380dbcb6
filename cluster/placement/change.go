package placement

import (
	"unicode/utf8"
)

// Bounds of what a command may hold.
const (
	textMax    = 255
	weightMax  = 10_000
	shardsMax  = 4096
	itemsMax   = shardsMax + 1 // groups in one command
	membersMax = 1 << 16       // of one group
)

// NodeInfo is what a node says of itself.
type NodeInfo struct {
	Ident   uint64 `json:"ident,string"`
	Name    string `json:"name"`
	Zone    string `json:"zone,omitempty"`
	Region  string `json:"region,omitempty"`
	Cluster string `json:"cluster"`
	HTTP    string `json:"http"`
	Roles   Roles  `json:"roles"`
	Weight  int    `json:"weight,omitempty"` // 0: NormalWeight
	Version string `json:"version,omitempty"`
	GateMax uint32 `json:"gate_max"`
}

func (n *NodeInfo) check() error {
	switch {
	case n.Ident == 0:
		return invalid("ident: must not be zero")
	case n.Roles == 0 || n.Roles > RoleEdge|RoleData:
		return invalid("roles: must be edge, data or both")
	case n.Weight < 0 || n.Weight > weightMax:
		return invalid("weight: must be from 1 to %d", weightMax)
	case n.GateMax == 0:
		return invalid("gate_max: must not be zero")
	}
	return checkTexts(n.Name, n.Zone, n.Region, n.Cluster, n.HTTP, n.Version)
}

func checkTexts(name, zone, region, cluster, http, version string) error {
	for _, x := range []struct{ field, text string }{
		{"name", name}, {"zone", zone}, {"region", region}, {"cluster", cluster}, {"http", http}, {"version", version},
	} {
		if len(x.text) > textMax || !utf8.ValidString(x.text) {
			return invalid("%s: must be text of at most %d bytes", x.field, textMax)
		}
	}
	return nil
}

func (n *NodeInfo) node(number uint16, state NodeState, at int64) *Node {
	weight := n.Weight
	if weight == 0 {
		weight = NormalWeight
	}
	return &Node{Number: number, Ident: n.Ident, Name: n.Name, Zone: n.Zone, Region: n.Region, Cluster: n.Cluster, HTTP: n.HTTP,
		Roles: n.Roles, Weight: weight, State: state, Since: at, Joined: at, Version: n.Version, GateMax: n.GateMax}
}

// Found makes the cluster with its first node, number 1, which holds every group
// alone. Conflict when there is a cluster already.
type Found struct {
	ID       ID       `json:"id"`
	Shards   int      `json:"shards"`
	Replicas int      `json:"replicas"`
	Gate     uint32   `json:"gate"`
	Node     NodeInfo `json:"node"`
}

// Check implements Change.
func (c *Found) Check() error {
	switch {
	case c.ID == ID{}:
		return invalid("id: must not be zero")
	case c.Shards < 1 || c.Shards > shardsMax:
		return invalid("shards: must be from 1 to %d", shardsMax)
	case c.Gate == 0 || c.Gate > c.Node.GateMax:
		return invalid("gate: must be from 1 to %d", c.Node.GateMax)
	case c.Node.Roles&RoleData == 0:
		return invalid("roles: the node that founds a cluster must have the role data")
	}
	if err := checkReplicas(c.Replicas); err != nil {
		return err
	}
	return c.Node.check()
}

func checkReplicas(n int) error {
	if n != 1 && n != 3 && n != 5 {
		return invalid("replicas: must be 1, 3 or 5")
	}
	return nil
}

// AddNode takes a node in and gives it a number; again for the same disk it
// gives the same node, with what it says of itself brought up to date. Conflict
// for a disk that was removed or belongs to another cluster.
type AddNode struct {
	Of   ID       `json:"of"` // the cluster that the node's disk belongs to; zero for a fresh one
	Node NodeInfo `json:"node"`
}

// Check implements Change.
func (c *AddNode) Check() error { return c.Node.check() }

// UpdateNode changes what is known of a node; nil leaves as it is. An epoch only
// rises.
type UpdateNode struct {
	Number  uint16  `json:"number"`
	Name    *string `json:"name,omitempty"`
	Zone    *string `json:"zone,omitempty"`
	Region  *string `json:"region,omitempty"`
	Cluster *string `json:"cluster,omitempty"`
	HTTP    *string `json:"http,omitempty"`
	Roles   *Roles  `json:"roles,omitempty"`
	Weight  *int    `json:"weight,omitempty"`
	Version *string `json:"version,omitempty"`
	GateMax *uint32 `json:"gate_max,omitempty"`
	Epoch   *uint32 `json:"epoch,omitempty"`
}

// Check implements Change.
func (c *UpdateNode) Check() error {
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	switch {
	case c.Number == 0:
		return invalid("number: must not be zero")
	case c.Roles != nil && (*c.Roles == 0 || *c.Roles > RoleEdge|RoleData):
		return invalid("roles: must be edge, data or both")
	case c.Weight != nil && (*c.Weight < 1 || *c.Weight > weightMax):
		return invalid("weight: must be from 1 to %d", weightMax)
	case c.GateMax != nil && *c.GateMax == 0:
		return invalid("gate_max: must not be zero")
	}
	return checkTexts(text(c.Name), text(c.Zone), text(c.Region), text(c.Cluster), text(c.HTTP), text(c.Version))
}

// SetNodeState moves a node on in its life. From, if set, is the state it must
// be in. A node that holds replicas is removed only with Force, and never when a
// group has no other voter.
type SetNodeState struct {
	Number uint16    `json:"number"`
	From   NodeState `json:"from,omitempty"`
	To     NodeState `json:"to"`
	Force  bool      `json:"force,omitempty"`
}

// Check implements Change.
func (c *SetNodeState) Check() error {
	switch {
	case c.Number == 0:
		return invalid("number: must not be zero")
	case !c.To.known() || c.To == Joining:
		return invalid("to: must be active, draining, dead or removed")
	case c.From != "" && !c.From.known():
		return invalid("from: is not a state of a node")
	}
	return nil
}

// SetReplicas changes how many voters each shard is to have.
type SetReplicas struct {
	Replicas int `json:"replicas"`
}

// Check implements Change.
func (c *SetReplicas) Check() error { return checkReplicas(c.Replicas) }

// PlanShards writes down what is intended with groups, each item for itself:
// one whose Rev is not the record's is not taken, nor is one that would leave
// an even number of voters.
type PlanShards struct {
	Plans []ShardPlan `json:"plans"`
}

// ShardPlan is an item of PlanShards.
type ShardPlan struct {
	Shard uint16  `json:"shard"`
	Rev   uint64  `json:"rev"`
	Op    *OpPlan `json:"op,omitempty"` // nil gives the operation up that is under way
}

// OpPlan is an Op before it was taken: the new replicas have no ids yet.
type OpPlan struct {
	Kind    OpKind   `json:"kind"`
	Add     []Place  `json:"add,omitempty"`
	Promote []uint64 `json:"promote,omitempty"`
	Demote  []uint64 `json:"demote,omitempty"`
	Remove  []uint64 `json:"remove,omitempty"`
}

// Place is where a new replica is to be, and its role at the end.
type Place struct {
	Node uint16 `json:"node"`
	Role Role   `json:"role"`
}

// Check implements Change.
func (c *PlanShards) Check() error {
	if len(c.Plans) == 0 || len(c.Plans) > itemsMax {
		return invalid("plans: must be from 1 to %d", itemsMax)
	}
	for _, p := range c.Plans {
		if p.Op == nil {
			continue
		}
		n := len(p.Op.Add) + len(p.Op.Promote) + len(p.Op.Demote) + len(p.Op.Remove)
		if n == 0 || n > membersMax {
			return invalid("plans: shard %d: an operation must change something", p.Shard)
		}
		for _, a := range p.Op.Add {
			if a.Role != Voter && a.Role != Learner {
				return invalid("plans: shard %d: the role must be voter or learner", p.Shard)
			}
		}
	}
	return nil
}

// NoteShards writes down what the leaders of groups reported: raft's own
// configuration. An item that is not newer than the record is passed over.
type NoteShards struct {
	Notes []ShardNote `json:"notes"`
}

// ShardNote is an item of NoteShards. Its configuration is not a joint one.
type ShardNote struct {
	Shard     uint16   `json:"shard"`
	ConfIndex uint64   `json:"conf_index"`
	Members   []Member `json:"members"`
}

// Check implements Change.
func (c *NoteShards) Check() error {
	if len(c.Notes) == 0 || len(c.Notes) > itemsMax {
		return invalid("notes: must be from 1 to %d", itemsMax)
	}
	for _, n := range c.Notes {
		if len(n.Members) > membersMax || len(voters(n.Members)) == 0 {
			return invalid("notes: shard %d: must have a voter", n.Shard)
		}
		for i, m := range n.Members {
			if m.Role != Voter && m.Role != Learner || m.Node != NodeOf(m.Replica) || i > 0 && m.Replica <= n.Members[i-1].Replica {
				return invalid("notes: shard %d: the members must be voters or learners in order of their ids", n.Shard)
			}
		}
	}
	return nil
}

// ChooseSalt chooses the salt of a period. The first choice holds: Conflict for
// another one, with what holds in the result.
type ChooseSalt struct {
	Family Family `json:"family"`
	Period uint32 `json:"period"`
	ID     ID     `json:"id"`
	By     uint16 `json:"by"`
}

// Check implements Change.
func (c *ChooseSalt) Check() error {
	switch {
	case c.Family >= familyEnd:
		return invalid("family: is not known")
	case c.ID == ID{}:
		return invalid("id: must not be zero")
	case c.Family.PeriodAt(c.Family.Begin(c.Period)) != c.Period:
		return invalid("period: no %s begins on day %d", c.Family, c.Period)
	}
	return nil
}

// RetireSalts forgets the choices for all periods before one that have been over
// for SaltGrace.
type RetireSalts struct {
	Family Family `json:"family"`
	Before uint32 `json:"before"`
}

// Check implements Change.
func (c *RetireSalts) Check() error {
	if c.Family >= familyEnd {
		return invalid("family: is not known")
	}
	return nil
}

// RaiseGate lets newer formats be written. Conflict when a node could not read
// them.
type RaiseGate struct {
	To uint32 `json:"to"`
}

// Check implements Change.
func (c *RaiseGate) Check() error {
	if c.To == 0 {
		return invalid("to: must not be zero")
	}
	return nil
}

func (*Found) kind() kind        { return kindFound }
func (*AddNode) kind() kind      { return kindAddNode }
func (*UpdateNode) kind() kind   { return kindUpdateNode }
func (*SetNodeState) kind() kind { return kindSetNodeState }
func (*SetReplicas) kind() kind  { return kindSetReplicas }
func (*PlanShards) kind() kind   { return kindPlanShards }
func (*NoteShards) kind() kind   { return kindNoteShards }
func (*ChooseSalt) kind() kind   { return kindChooseSalt }
func (*RetireSalts) kind() kind  { return kindRetireSalts }
func (*RaiseGate) kind() kind    { return kindRaiseGate }
