package control

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	"footfall/analytics"
	"footfall/analytics/accounts"
)

// SetupToken offers a new one-time token for the first account and gives its
// text, which is kept nowhere; "" when there is an owner already. A token
// offered before is void from then on. Call it once at start, after the replay.
func (c *Control) SetupToken(ctx context.Context) (string, error) {
	if c.View().HasOwner() {
		return "", nil
	}
	token, err := c.NewSecret()
	if err != nil {
		return "", err
	}
	_, err = c.Do(ctx, &accounts.OfferSetup{Hash: accounts.HashOf([]byte(token))})
	if analytics.CodeOf(err) == analytics.Conflict && err != nil {
		return "", nil // an owner was made meanwhile
	}
	if err != nil {
		return "", fmt.Errorf("offer the setup link: %w", err)
	}
	return token, nil
}

// NewSecret makes 256 random bits as 43 characters of base64url.
func (c *Control) NewSecret() (string, error) {
	var raw [32]byte
	if _, err := io.ReadFull(c.cfg.Random, raw[:]); err != nil {
		return "", fmt.Errorf("make a secret: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(raw[:]), nil
}

// SiteSecret makes the secret of a new site.
func (c *Control) SiteSecret() (s accounts.Secret, err error) {
	for s == (accounts.Secret{}) && err == nil {
		_, err = io.ReadFull(c.cfg.Random, s[:])
	}
	if err != nil {
		return s, errors.Join(errors.New("make a site secret"), err)
	}
	return s, nil
}
