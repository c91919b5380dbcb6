package door

import "fmt"

// Elsewhere is the error of a question about something that this node has no
// replica of. The request as a whole can be answered by Node; the edge passes it
// on when nothing of an answer has been written yet.
type Elsewhere struct{ Node uint16 }

func (e *Elsewhere) Error() string { return fmt.Sprintf("the answer is on node %d", e.Node) }
