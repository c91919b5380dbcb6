package placement

// StepKind says what a step is.
type StepKind uint8

// The kinds of steps.
const (
	StepCommand     StepKind = iota + 1 // Change is to be made in the control group
	StepAddLearners                     // the leader adds Replicas as learners, and their nodes make them
	StepChange                          // the leader makes one joint change
	StepRemove                          // the node destroys its replica, which is a member no more
	StepTransfer                        // the leader hands over to Replica
)

func (k StepKind) String() string {
	switch k {
	case StepCommand:
		return "command"
	case StepAddLearners:
		return "add learners"
	case StepChange:
		return "change members"
	case StepRemove:
		return "remove replica"
	case StepTransfer:
		return "transfer leader"
	}
	return "unknown"
}

// Step is one thing to do now. Carrying it out twice, late or never does no
// harm: commands and changes of members name the state that they were made for,
// and the next plan is made from what is then the case.
type Step struct {
	Kind  StepKind
	Shard uint16
	Node  uint16 // that must execute it; 0 for StepCommand
	After uint64 // index of the configuration that it was made for

	Change   Change   // of StepCommand
	Replicas []uint64 // of StepAddLearners
	Promote  []uint64 // of StepChange
	Demote   []uint64 // of StepChange
	Remove   []uint64 // of StepChange
	Replica  uint64   // of StepRemove and StepTransfer
}
