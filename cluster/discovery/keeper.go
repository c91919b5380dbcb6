package discovery

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
)

// The keys of a service's meta data.
const (
	metaIdent   = "ident"
	metaName    = "name"
	metaCluster = "cluster"
	metaHTTP    = "http"
	metaZone    = "zone"
	metaRegion  = "region"
)

// lookEach is how many refreshes pass before the keeper asks whether the edge
// service is there still; its check is Consul's own and fails without telling.
const lookEach = 5

// keeper keeps a node registered.
type keeper struct {
	consul *Consul
	node   *api.AgentServiceRegistration
	edge   *api.AgentServiceRegistration // nil when the node serves nothing
	check  string                        // id of node's check

	cancel context.CancelFunc
	done   chan struct{}      // closed when run has returned
	pokes  chan chan struct{} // each is closed when no registration is under way
}

// Register tries once within ctx and goes on by itself until Close.
func (c *Consul) Register(ctx context.Context, m Member) error {
	if m.Ident == 0 {
		return fmt.Errorf("register %q: ident: is 0", m.Name)
	}
	if err := registrable(m); err != nil {
		return err
	}
	k, err := c.newKeeper(m)
	if err != nil {
		return err
	}
	c.mu.Lock()
	if c.keeper != nil || c.closed {
		c.mu.Unlock()
		return fmt.Errorf("register %q: this client had a node already", m.Name)
	}
	c.keeper = k
	life, cancel := context.WithCancel(context.Background()) // Close ends it, not the end of ctx
	k.cancel = cancel
	c.mu.Unlock()

	err = k.register(ctx)
	if err != nil {
		c.logger.Warn("Consul does not take the registration; trying on", "err", err)
	}
	go k.run(life, err == nil)
	return nil
}

func (c *Consul) newKeeper(m Member) (*keeper, error) {
	host, port, err := splitAddress(m.Cluster)
	if err != nil {
		return nil, fmt.Errorf("register %q: cluster: %w", m.Name, err)
	}
	id := c.opts.Service + "-" + formatIdent(m.Ident)
	meta := map[string]string{
		metaIdent: formatIdent(m.Ident), metaName: m.Name, metaCluster: m.Cluster,
		metaHTTP: m.HTTP, metaZone: m.Zone, metaRegion: m.Region,
	}
	k := &keeper{consul: c, check: id + "-alive", done: make(chan struct{}), pokes: make(chan chan struct{})}
	k.node = &api.AgentServiceRegistration{
		ID: id, Name: c.opts.Service, Address: host, Port: port, Tags: tags(m), Meta: meta,
		Check: &api.AgentServiceCheck{
			CheckID: k.check, Name: "the node says that it lives", TTL: c.opts.TTL.String(), Status: api.HealthPassing,
			DeregisterCriticalServiceAfter: forgetAfter.String(),
		},
	}
	if m.HTTP == "" {
		return k, nil
	}
	if host, port, err = splitAddress(m.HTTP); err != nil {
		return nil, fmt.Errorf("register %q: http: %w", m.Name, err)
	}
	edge := c.opts.Service + "-edge"
	k.edge = &api.AgentServiceRegistration{
		ID: edge + "-" + formatIdent(m.Ident), Name: edge, Address: host, Port: port, Tags: tags(m), Meta: meta,
		Check: &api.AgentServiceCheck{
			CheckID: edge + "-" + formatIdent(m.Ident) + "-ready", Name: "the node is ready", HTTP: "http://" + m.HTTP + "/readyz",
			Interval: "1s", Timeout: "2s", DeregisterCriticalServiceAfter: forgetAfter.String(),
		},
	}
	return k, nil
}

// tags are labels that DNS can ask for: zone-a.footfall-edge.service.consul.
func tags(m Member) []string {
	var tags []string
	if m.Zone != "" {
		tags = append(tags, "zone-"+m.Zone)
	}
	if m.Region != "" {
		tags = append(tags, "region-"+m.Region)
	}
	return tags
}

func formatIdent(ident uint64) string { return fmt.Sprintf("%016x", ident) }

func parseIdent(text string) (uint64, bool) {
	n, err := strconv.ParseUint(text, 16, 64)
	return n, err == nil && n != 0 && text == strings.ToLower(text)
}

// run refreshes until ctx ends.
func (k *keeper) run(ctx context.Context, registered bool) {
	defer close(k.done)
	logger := k.consul.logger
	pause, rounds := pauseMin, 0
	for {
		wait := k.consul.opts.Refresh
		if !registered {
			wait = pause
			pause = min(2*pause, pauseMax)
		}
		if !k.sleep(ctx, wait) {
			return
		}
		rounds++
		if registered {
			err := k.refresh(ctx, rounds%lookEach == 0)
			if err == nil || ctx.Err() != nil {
				continue
			}
			logger.Warn("Consul does not know this node any more; registering it again", "err", err)
			registered = false
		}
		if err := k.register(ctx); err != nil {
			logger.Debug("Consul does not take the registration", "err", err)
			continue
		}
		registered, pause = true, pauseMin
		logger.Info("registered with Consul", "service", k.node.ID)
	}
}

// sleep waits and answers pokes meanwhile; false when ctx has ended.
func (k *keeper) sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case poke := <-k.pokes:
			close(poke)
		case <-timer.C:
			return true
		}
	}
}

// settle returns when no registration is under way that began before it.
func (k *keeper) settle(ctx context.Context) error {
	poke := make(chan struct{})
	select {
	case k.pokes <- poke:
		return nil
	case <-k.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stop ends run and waits for it.
func (k *keeper) stop() {
	k.cancel()
	<-k.done
}

// refresh tells Consul that the node lives. An error means that something is to
// be registered again.
func (k *keeper) refresh(ctx context.Context, look bool) error {
	ctx, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	agent, q := k.consul.client.Agent(), (&api.QueryOptions{}).WithContext(ctx)
	if err := agent.UpdateTTLOpts(k.check, "", api.HealthPassing, q); err != nil {
		return fmt.Errorf("refresh %s: %w", k.check, err)
	}
	if !look || !k.wantsEdge() {
		return nil
	}
	_, info, err := agent.AgentHealthServiceByIDOpts(k.edge.ID, q)
	if err != nil {
		return fmt.Errorf("look for %s: %w", k.edge.ID, err)
	}
	if info == nil {
		return errors.New(k.edge.ID + " is gone")
	}
	return nil
}

func (k *keeper) wantsEdge() bool {
	k.consul.mu.Lock()
	defer k.consul.mu.Unlock()
	return k.edge != nil && !k.consul.drained
}

// register makes both services known.
func (k *keeper) register(ctx context.Context) error {
	services := []*api.AgentServiceRegistration{k.node}
	if k.wantsEdge() {
		services = append(services, k.edge)
	}
	for _, s := range services {
		call, cancel := context.WithTimeout(ctx, callMax)
		err := k.consul.client.Agent().ServiceRegisterOpts(s, api.ServiceRegisterOpts{}.WithContext(call))
		cancel()
		if err != nil {
			return fmt.Errorf("register %s: %w", s.ID, err)
		}
	}
	return nil
}
