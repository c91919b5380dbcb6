package config

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// The ways for nodes to find one another.
const (
	DiscoveryNone   = "none"
	DiscoveryStatic = "static"
	DiscoveryConsul = "consul"
)

// Cluster is how a node takes part in a cluster. With Listen "" it does not, and
// nothing else but defaults is set.
type Cluster struct {
	Listen string // "host:port" for the other nodes; "" for none
	// Advertise is where the other nodes dial; "" is Listen with the port that it
	// came to have, whose host is then no wildcard.
	Advertise string

	CA, Cert, Key string // paths of PEM files; all or none
	// Insecure lets nodes speak without certificates although an address is not
	// of loopback. Without it, and without the files, all of them are.
	Insecure bool
	// Via holds addresses to dial instead of those advertised, in development
	// builds only; nil for none.
	Via     map[string]string
	viaFile string

	Discovery string   // one of the constants
	Peers     []string // cluster addresses; for DiscoveryStatic, else empty
	Consul    Consul   // for DiscoveryConsul

	Zone, Region string // DNS labels; "" for none
	Edge, Data   bool   // the roles; one at least
	// Found lets an empty node found a cluster when no member can be found. With
	// DiscoveryNone nobody is looked for, and an empty node always founds.
	Found    bool
	Replicas int // voters that a shard is to have: 1, 3 or 5
	// ReplaceAfter is how long a node may be silent before what it holds is made
	// anew on others; the control group's leader goes by its own.
	ReplaceAfter time.Duration
}

// Enabled tells whether there is a cluster port.
func (c *Cluster) Enabled() bool { return c.Listen != "" }

// TLS tells whether nodes speak with certificates.
func (c *Cluster) TLS() bool { return c.CA != "" }

// Consul is how the Consul agent is reached.
type Consul struct {
	Address       string // "host:port", or a URL with http or https
	Token         string
	Service       string // name of the nodes' service; a DNS label
	Datacenter    string // "" is the agent's
	CA, Cert, Key string // paths of PEM files; any of them chooses TLS
}

// onlyInClusters are the settings that mean nothing to a node that is alone.
var onlyInClusters = []string{
	"cluster-advertise", "cluster-ca", "cluster-cert", "cluster-key", "cluster-insecure", "cluster-via",
	"discovery", "peers", "found", "roles", "replicas", "replace-after",
}

// onlyWithConsul are the settings of how Consul is reached.
var onlyWithConsul = []string{
	"consul-address", "consul-token", "consul-service", "consul-ca", "consul-cert", "consul-key", "consul-datacenter",
}

// check finds what does not fit together and the given setting to blame.
func (c *Cluster) check(given places) (name string, err error) {
	if !c.Enabled() {
		for _, name := range onlyInClusters {
			if given.says(name) {
				return name, errors.New("needs cluster-listen")
			}
		}
	}
	if given.says("peers") && c.Discovery != DiscoveryStatic {
		return "peers", fmt.Errorf("needs discovery static, it is %s", c.Discovery)
	}
	for _, name := range onlyWithConsul {
		if given.says(name) && c.Discovery != DiscoveryConsul {
			return name, fmt.Errorf("needs discovery consul, it is %s", c.Discovery)
		}
	}
	switch {
	case !c.Enabled():
		return "", nil
	case c.Discovery == DiscoveryStatic && len(c.Peers) == 0:
		return "discovery", errors.New("static needs peers")
	case c.Discovery == DiscoveryNone && c.Found:
		return "found", errors.New("has no meaning with discovery none, where an empty node founds anyway; choose static or consul")
	case c.Advertise == "" && wildcard(c.Listen):
		return "cluster-listen", fmt.Errorf("%q is no address that other nodes could dial; say cluster-advertise too", c.Listen)
	}
	if name, err := together(given, map[string]string{"cluster-ca": c.CA, "cluster-cert": c.Cert, "cluster-key": c.Key}); err != nil {
		return name, err
	}
	if name, err := together(given, map[string]string{"consul-cert": c.Consul.Cert, "consul-key": c.Consul.Key}); err != nil {
		return name, err
	}
	if c.TLS() && c.Insecure {
		return "cluster-insecure", errors.New("contradicts cluster-ca")
	}
	if c.TLS() || c.Insecure {
		return "", nil
	}
	for _, in := range []struct {
		name      string
		addresses []string
	}{{"cluster-listen", []string{c.Listen}}, {"cluster-advertise", []string{c.Advertise}}, {"peers", c.Peers}} {
		for _, address := range in.addresses {
			if address != "" && !loopback(address) {
				return in.name, fmt.Errorf("%q is not of loopback: needs cluster-ca, cluster-cert and cluster-key, or cluster-insecure", address)
			}
		}
	}
	return "", nil
}

// together wants all of the paths or none; it blames the first, by name, that
// is there while another is not.
func together(given places, paths map[string]string) (name string, err error) {
	var there, missing []string
	for name, path := range paths {
		if path == "" {
			missing = append(missing, name)
		} else if given.says(name) {
			there = append(there, name)
		}
	}
	if len(there) == 0 || len(missing) == 0 {
		return "", nil
	}
	slices.Sort(there)
	slices.Sort(missing)
	return there[0], fmt.Errorf("needs %s too", strings.Join(missing, " and "))
}

// wildcard tells whether the host of a checked address is every address of the
// machine.
func wildcard(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	addr, err := netip.ParseAddr(host)
	return host == "" || err == nil && addr.IsUnspecified()
}

// loopback tells whether nobody but this machine can reach the address.
func loopback(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// checkPeer wants an address that can be dialled.
func checkPeer(t string) error {
	if err := checkAddress(t); err != nil {
		return err
	}
	if host, port, _ := net.SplitHostPort(t); port == "0" || wildcard(t) || strings.ContainsAny(host, " /") {
		return fmt.Errorf("%q is no address that could be dialled", t)
	}
	return nil
}

func parsePeers(t string) ([]string, error) {
	var peers []string
	for item := range strings.SplitSeq(t, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		if err := checkPeer(item); err != nil {
			return nil, err
		}
		if slices.Contains(peers, item) {
			return nil, fmt.Errorf("%q is there twice", item)
		}
		peers = append(peers, item)
	}
	return peers, nil
}

func parseRoles(t string) (edge, data bool, err error) {
	for item := range strings.SplitSeq(t, ",") {
		switch strings.TrimSpace(item) {
		case "edge":
			edge = true
		case "data":
			data = true
		default:
			return false, false, fmt.Errorf("%q is neither edge nor data", strings.TrimSpace(item))
		}
	}
	return edge, data, nil
}

func checkConsul(t string) error {
	scheme, address, ok := strings.Cut(t, "://")
	if !ok {
		address = t
	} else if scheme != "http" && scheme != "https" {
		return fmt.Errorf("%q is neither host:port nor like https://consul:8501", t)
	}
	return checkPeer(address)
}

// checkLabel wants what DNS takes as one label, or nothing.
func checkLabel(t string) error {
	if t == "" {
		return nil
	}
	fits := len(t) <= 63 && t[0] != '-' && t[len(t)-1] != '-'
	for _, r := range t {
		fits = fits && (r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z')
	}
	if !fits {
		return fmt.Errorf("%q is not of up to 63 letters, digits and dashes", t)
	}
	return nil
}

func parseSwitch(t string) (bool, error) {
	switch t {
	case "true", "yes":
		return true, nil
	case "false", "no":
		return false, nil
	}
	return false, fmt.Errorf("%q is neither true nor false", t)
}

// ParseVia reads lines of an advertised address and the one to dial instead,
// with a space between. Empty lines and those that begin with # say nothing.
func ParseVia(text string) (map[string]string, error) {
	via := map[string]string{}
	lines := bufio.NewScanner(strings.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 2 {
			return nil, fmt.Errorf("line %d: must be two addresses", n)
		}
		if err := errors.Join(checkPeer(fields[0]), checkPeer(fields[1])); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if _, twice := via[fields[0]]; twice {
			return nil, fmt.Errorf("line %d: %s is there twice", n, fields[0])
		}
		via[fields[0]] = fields[1]
	}
	return via, lines.Err()
}
