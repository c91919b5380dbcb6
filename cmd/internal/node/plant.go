//go:build !planted

package node

// plant is where builds that test the tests put bugs into what a part is made of;
// see planted.go. Here it gives cfg as it is.
func plant[T any](_ *Node, cfg T) T { return cfg }
