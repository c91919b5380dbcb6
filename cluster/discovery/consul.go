package discovery

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"
)

// ConsulOptions say how Consul is reached. Empty texts take Consul's own
// environment variables and defaults where there are such.
type ConsulOptions struct {
	Address    string // host:port, or a URL with http or https; default 127.0.0.1:8500
	Token      string // ACL token
	Service    string // name of the service; default "footfall"
	Datacenter string // default the agent's

	CA, Cert, Key string // paths of PEM files; any of them chooses TLS

	// TTL is how long Consul believes in a node that it does not hear of; Refresh
	// is how often it hears of it. Defaults 10 s and 2 s.
	TTL, Refresh time.Duration

	// Wait bounds one question of Watch; Consul answers early when something
	// changes. Default 10 s.
	Wait time.Duration
}

// Bounds of what Consul may take and of how hard it is asked.
const (
	callMax     = 3 * time.Second        // one call, but for the waiting of Watch
	pauseMin    = 100 * time.Millisecond // between two questions, and before the first new attempt
	pauseMax    = 2 * time.Second        // between two attempts
	forgetAfter = 10 * time.Minute       // a critical service is forgotten
	membersMax  = 4096                   // entries of an answer that are looked at
)

// Consul is membership through a Consul agent. A node is the service Service
// with a check that it refreshes itself; where it serves HTTP it is the service
// Service-edge too, which Consul checks on /readyz and balancers ask DNS for.
type Consul struct {
	opts   ConsulOptions
	client *api.Client
	http   *http.Transport
	logger *slog.Logger

	mu      sync.Mutex
	keeper  *keeper // nil before Register
	drained bool    // the edge service is not to come back
	closed  bool
}

var (
	_ Discovery = (*Consul)(nil)
	_ Founder   = (*Consul)(nil)
	_ Drainer   = (*Consul)(nil)
)

// NewConsul prepares the client; it reads the PEM files but does not call
// Consul.
func NewConsul(opts ConsulOptions, logger *slog.Logger) (*Consul, error) {
	if opts.Address == "" {
		opts.Address = "127.0.0.1:8500"
	}
	if opts.Service == "" {
		opts.Service = "footfall"
	}
	if opts.TTL == 0 {
		opts.TTL = 10 * time.Second
	}
	if opts.Refresh == 0 {
		opts.Refresh = 2 * time.Second
	}
	if opts.Wait == 0 {
		opts.Wait = 10 * time.Second
	}
	if opts.Refresh < 0 || opts.TTL <= opts.Refresh || opts.Wait < 0 {
		return nil, fmt.Errorf("consul: a check of %v cannot be refreshed each %v", opts.TTL, opts.Refresh)
	}
	scheme := "http"
	if opts.CA != "" || opts.Cert != "" || opts.Key != "" {
		scheme = "https"
	}
	if before, address, ok := strings.Cut(opts.Address, "://"); ok {
		if before != "https" && (before != "http" || scheme == "https") {
			return nil, fmt.Errorf("consul-address: %q does not fit: want host:port or https://host:port, or http:// without certificates", opts.Address)
		}
		scheme, opts.Address = before, address
	}
	if err := checkAddress(opts.Address); err != nil {
		return nil, fmt.Errorf("consul-address: %w", err)
	}
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: callMax, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout: callMax,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     time.Minute,
	}
	if scheme == "https" {
		var err error
		if transport.TLSClientConfig, err = tlsConfig(opts); err != nil {
			return nil, err
		}
	}
	client, err := api.NewClient(&api.Config{
		Address: opts.Address, Scheme: scheme, Datacenter: opts.Datacenter, Token: opts.Token,
		Transport: transport, HttpClient: &http.Client{Transport: transport},
	})
	if err != nil {
		return nil, fmt.Errorf("consul client for %s: %w", opts.Address, err)
	}
	return &Consul{opts: opts, client: client, http: transport, logger: logger}, nil
}

// tlsConfig reads the PEM files.
func tlsConfig(opts ConsulOptions) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if opts.CA != "" {
		pem, err := os.ReadFile(opts.CA)
		if err != nil {
			return nil, fmt.Errorf("consul-ca: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("consul-ca: %s holds no certificate", opts.CA)
		}
	}
	if (opts.Cert == "") != (opts.Key == "") {
		return nil, errors.New("consul-cert and consul-key: one needs the other")
	}
	if opts.Cert != "" {
		pair, err := tls.LoadX509KeyPair(opts.Cert, opts.Key)
		if err != nil {
			return nil, fmt.Errorf("consul-cert: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// founder is who may found, as the key in Consul holds it.
type founder struct {
	Ident   string `json:"ident"` // hexadecimal
	Cluster string `json:"cluster"`
}

// FounderKey is the key that decides who founds.
func (c *Consul) FounderKey() string { return "footfall/" + c.opts.Service + "/founder" }

// MayFound is decided by the first to write a key, for ever. When that node is
// lost before it has founded, the operator deletes the key.
func (c *Consul) MayFound(ctx context.Context, cluster string, ident uint64) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	value, err := json.Marshal(founder{formatIdent(ident), cluster})
	if err != nil {
		return false, fmt.Errorf("encode the founder: %w", err)
	}
	key := c.FounderKey()
	won, _, err := c.client.KV().CAS(&api.KVPair{Key: key, Value: value}, (&api.WriteOptions{}).WithContext(ctx))
	if err != nil {
		return false, fmt.Errorf("write %s in Consul: %w", key, err)
	}
	if won {
		return true, nil
	}
	pair, _, err := c.client.KV().Get(key, (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx))
	if err != nil {
		return false, fmt.Errorf("read %s from Consul: %w", key, err)
	}
	if pair == nil {
		return false, fmt.Errorf("read %s from Consul: it was deleted meanwhile", key)
	}
	var f founder
	if err := json.Unmarshal(pair.Value, &f); err != nil {
		return false, fmt.Errorf("read %s from Consul: %q is not of Footfall: %w", key, pair.Value, err)
	}
	return f.Ident == formatIdent(ident), nil
}

// Close stops refreshing and deregisters.
func (c *Consul) Close(ctx context.Context) error {
	c.mu.Lock()
	k, closed := c.keeper, c.closed
	c.closed = true
	c.mu.Unlock()
	if closed {
		return nil
	}
	defer c.http.CloseIdleConnections()
	if k == nil {
		return nil
	}
	k.stop()
	return errors.Join(c.deregister(ctx, k.edge), c.deregister(ctx, k.node))
}

// Drain takes the node out of the balancers' list.
func (c *Consul) Drain(ctx context.Context) error {
	c.mu.Lock()
	k := c.keeper
	c.drained = true
	c.mu.Unlock()
	if k == nil {
		return nil
	}
	// The keeper may be registering it at this moment; when it has seen drained,
	// it will not again.
	if err := k.settle(ctx); err != nil {
		return fmt.Errorf("drain in Consul: %w", err)
	}
	return c.deregister(ctx, k.edge)
}

// deregister removes a service; one that is not known, or none, is no error.
func (c *Consul) deregister(ctx context.Context, service *api.AgentServiceRegistration) error {
	if service == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	err := c.client.Agent().ServiceDeregisterOpts(service.ID, (&api.QueryOptions{}).WithContext(ctx))
	var status api.StatusError
	if errors.As(err, &status) && status.Code == http.StatusNotFound {
		return nil
	}
	if err != nil {
		return fmt.Errorf("deregister %s from Consul: %w", service.ID, err)
	}
	return nil
}
