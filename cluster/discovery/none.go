package discovery

import "context"

// None knows nobody: for a node that is alone, or that others will come to.
type None struct{}

var (
	_ Discovery = None{}
	_ Founder   = None{}
)

// NewNone gives the discovery that finds nobody.
func NewNone() None { return None{} }

// Register has nobody to tell; it only checks m.
func (None) Register(_ context.Context, m Member) error { return registrable(m) }

// Watch reports the empty list once and waits for the end of ctx.
func (None) Watch(ctx context.Context, changed func([]Member)) error {
	changed(nil)
	<-ctx.Done()
	return ctx.Err()
}

// MayFound is always true: there is nobody to wait for.
func (None) MayFound(context.Context, string, uint64) (bool, error) { return true, nil }

// Close has nothing to end.
func (None) Close(context.Context) error { return nil }
