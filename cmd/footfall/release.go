//go:build !dev

package main

import (
	"footfall/cmd/internal/node"
	"footfall/http/door"
)

// moreRoutes: a release has none.
func moreRoutes(*node.Node) []door.Route { return nil }
