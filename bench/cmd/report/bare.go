package main

import (
	"os"
	"os/exec"

	"footfall/bench/node"
)

func output(name string, args ...string) (string, error) {
	b, err := exec.Command(name, args...).Output()
	return string(b), err
}

// startBare runs this program as the bare server.
func startBare() (*node.Process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	addr, err := node.FreeAddr()
	if err != nil {
		return nil, err
	}
	return node.Run(exec.Command(self, "-bare", addr), addr, "/")
}
