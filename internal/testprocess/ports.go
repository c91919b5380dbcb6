package testprocess

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"testing"
)

// The ports that FreePorts chooses from, unless the kernel gives those to
// connections.
const (
	portMin = 10_000
	portMax = 32_768
)

// FreePorts gives n different ports of loopback that nobody uses, for TCP and
// UDP. They are none that the kernel gives to outgoing connections, so that a
// program that is stopped finds its port free when it comes back. Another program
// may choose the same one meanwhile; a caller that can, tries again with others.
func FreePorts(t testing.TB, n int) []int {
	t.Helper()
	var ports []int
	var held []interface{ Close() error } // so that none comes twice
	defer func() {
		for _, h := range held {
			_ = h.Close() // nothing was done with it
		}
	}()
	top := min(portMax, ephemeralMin())
	for try := 0; len(ports) < n; try++ {
		port := 0 // the kernel's choice
		if top > portMin && try < 100*n {
			port = portMin + rand.IntN(top-portMin)
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil && port != 0 {
			continue
		}
		if err != nil {
			t.Fatalf("find a free port: %v", err)
		}
		held = append(held, l)
		port = l.Addr().(*net.TCPAddr).Port
		u, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err != nil {
			continue
		}
		held, ports = append(held, u), append(ports, port)
	}
	return ports
}

// ephemeralMin is the lowest port that the kernel gives to connections; where it
// does not say, what IANA recommends.
func ephemeralMin() int {
	low := 49_152
	if text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		if _, err := fmt.Sscan(string(text), &low); err != nil {
			return 49_152
		}
	}
	return low
}
