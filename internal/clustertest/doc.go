// Package clustertest tests what a whole cluster promises its operators: nodes
// come, go, die, lose their disks or their network, and meanwhile no view fails
// at the balancer, no answer fails on the nodes that are left, and what was
// acknowledged is counted once on every replica. It must never assert how long
// anything takes; bench/cmd/cluster prints that. Start at load_test.go.
package clustertest
