package transport

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"
)

// keepAlive finds connections whose other end vanished while nothing was sent.
func keepAlive() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 3}
}

// unacknowledged is how long what was sent on a lane may wait for the other
// machine.
func (t *Transport) unacknowledged(lane Lane) time.Duration {
	switch lane {
	case Control, Append, laneCall, laneOnce:
		return t.cfg.SilenceMax + t.cfg.SilenceMax/2
	}
	return t.cfg.StreamIdle
}

// dial opens a lane to a node. settings are those of TLS, with the name and
// sessions of this peer; nil for plain TCP. The wire is tracked.
func (t *Transport) dial(ctx context.Context, addr string, lane Lane, to Node, settings *tls.Config) (*wire, error) {
	if lane != laneOnce && (t.cfg.Self() == 0 || t.cfg.Cluster() == [16]byte{}) {
		return nil, errNotMember
	}
	dialler := net.Dialer{Timeout: t.cfg.DialTimeMax, KeepAliveConfig: keepAlive()}
	raw, err := dialler.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	w, err := t.sayHello(ctx, raw, addr, lane, to, settings)
	if err != nil {
		raw.Close()
		if ctx.Err() != nil {
			err = cause(ctx) // that is why the connection was closed
		}
		return w, fmt.Errorf("%s: %w", addr, err)
	}
	return w, nil
}

// sayHello says hello on a new connection. On a refusal the wire it gives tells
// who refused, and nothing else.
func (t *Transport) sayHello(ctx context.Context, raw net.Conn, addr string, lane Lane, to Node, settings *tls.Config) (*wire, error) {
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	defer stop()
	if err := limitUnacknowledged(raw, t.unacknowledged(lane)); err != nil {
		return nil, err
	}
	if err := raw.SetDeadline(time.Now().Add(t.cfg.HelloTimeMax)); err != nil {
		return nil, err
	}
	w := newWire(raw, raw, nil)
	if settings != nil {
		conn, cork := secure(raw, settings, false)
		if err := conn.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		w = newWire(conn, raw, cork)
		w.expires = conn.ConnectionState().PeerCertificates[0].NotAfter
	}
	if _, err := w.Conn.Write(t.hello(lane, to).append(nil)); err != nil {
		return nil, err
	}
	a, err := readAnswer(w.Conn)
	if err != nil {
		return nil, fmt.Errorf("reading the answer to the hello: %w", err)
	}
	w.lane, w.version, w.peer = lane, a.version, Peer{a.node, a.ident, addr}
	if err := t.checkAnswer(a, lane, to, addr); err != nil {
		return w, err
	}
	if !stop() {
		return nil, cause(ctx)
	}
	if err := raw.SetDeadline(time.Time{}); err != nil {
		return nil, err
	}
	return w, t.track(w)
}

// clientTLS gives the settings for dialling one peer: sessions are resumed with
// the node they were made with.
func (t *Transport) clientTLS() *tls.Config {
	if t.cfg.TLS == nil {
		return nil
	}
	settings := t.cfg.TLS.Clone()
	settings.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	return settings
}
