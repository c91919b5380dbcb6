package control

import (
	"context"
	"encoding/base64"
	"fmt"
	"sync/atomic"

	"github.com/alexedwards/argon2id"

	"footfall/analytics"
)

// PasswordCost is what hashing a password costs. The zero value is the default:
// argon2id with 64 MiB, three passes and four lanes, two hashes at a time.
type PasswordCost struct {
	MemoryKiB  uint32
	Passes     uint32
	Lanes      uint8
	Parallel   int // hashes at a time, which bounds the memory
	WaitingMax int // callers waiting for their turn; more are refused
}

// passwords hashes with bounded memory, however many people sign in.
type passwords struct {
	params  argon2id.Params
	turns   chan struct{}
	waiting atomic.Int64
	most    int64
	decoy   string // the form of a hash that no password has, compared for unknown users
}

func newPasswords(cost PasswordCost) *passwords {
	if cost.MemoryKiB == 0 {
		cost.MemoryKiB = 64 << 10
	}
	if cost.Passes == 0 {
		cost.Passes = 3
	}
	if cost.Lanes == 0 {
		cost.Lanes = 4
	}
	if cost.Parallel <= 0 {
		cost.Parallel = 2
	}
	if cost.WaitingMax <= 0 {
		cost.WaitingMax = 32
	}
	params := argon2id.Params{Memory: cost.MemoryKiB, Iterations: cost.Passes, Parallelism: cost.Lanes, SaltLength: 16, KeyLength: 32}
	return &passwords{
		params: params,
		decoy:  decoy(params),
		turns:  make(chan struct{}, cost.Parallel),
		most:   int64(cost.WaitingMax),
	}
}

// decoy writes an all-zero key in the form of a hash: comparing a password with
// it costs what comparing with a real one costs.
func decoy(p argon2id.Params) string {
	zeros := func(n uint32) string { return base64.RawStdEncoding.EncodeToString(make([]byte, n)) }
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", p.Memory, p.Iterations, p.Parallelism, zeros(p.SaltLength), zeros(p.KeyLength))
}

// turn waits for leave to use the memory of one hash.
func (p *passwords) turn(ctx context.Context) error {
	if p.waiting.Add(1) > p.most {
		p.waiting.Add(-1)
		return analytics.Errorf(analytics.Overloaded, "password: too many people are signing in, try again")
	}
	defer p.waiting.Add(-1)
	select {
	case p.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return analytics.Errorf(analytics.Overloaded, "password: too many people are signing in, try again: %w", ctx.Err())
	}
}

// HashPassword makes what is kept of a password. Overloaded when too many wait.
func (c *Control) HashPassword(ctx context.Context, password string) (string, error) {
	p := c.passwords
	if err := p.turn(ctx); err != nil {
		return "", err
	}
	defer func() { <-p.turns }()
	h, err := argon2id.CreateHash(password, &p.params)
	if err != nil {
		return "", fmt.Errorf("hash a password: %w", err)
	}
	return h, nil
}

// CheckPassword tells whether password belongs to hash. An empty hash, for a
// user who does not exist, costs the same time and never matches. Overloaded
// when too many wait.
func (c *Control) CheckPassword(ctx context.Context, hash, password string) (bool, error) {
	p := c.passwords
	if err := p.turn(ctx); err != nil {
		return false, err
	}
	defer func() { <-p.turns }()
	known := hash != ""
	if !known {
		hash = p.decoy
	}
	match, err := argon2id.ComparePasswordAndHash(password, hash)
	if err != nil {
		return false, fmt.Errorf("compare a password: %w", err)
	}
	return match && known, nil
}
