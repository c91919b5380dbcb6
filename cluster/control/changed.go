package control

import (
	"footfall/analytics/accounts"
	"footfall/cluster/placement"
)

// Kinds is a set of kinds of things that changed.
type Kinds uint16

// The kinds of things in the state.
const (
	Sites  Kinds = 1 << iota // sites with all that is set up in them: goals, segments, links, guests, annotations, funnels
	Keys                     // API keys
	Users                    // organisations, users with preferences and second factors, sessions, the first setup
	Nodes                    // the cluster and its nodes
	Shards                   // where replicas are and are to be
	Salts                    // which salt is in force

	kindsEnd
)

// All is every kind.
const All = kindsEnd - 1

// Has tells whether one of x is in k.
func (k Kinds) Has(x Kinds) bool { return k&x != 0 }

// changedBy tells what a command that was not refused may have changed.
func changedBy(x command) Kinds {
	switch x.placement.Change.(type) {
	case nil:
	case *placement.Found:
		return Nodes | Shards
	case *placement.PlanShards, *placement.NoteShards:
		return Shards
	case *placement.ChooseSalt, *placement.RetireSalts:
		return Salts
	default:
		return Nodes
	}
	switch x.accounts.Change.(type) {
	case *accounts.CreateKey, *accounts.RevokeKey:
		return Keys
	case *accounts.Touch:
		return Keys | Users
	case *accounts.DeleteSite:
		return Sites | Keys
	case *accounts.CreateOrg, *accounts.SetPassword, *accounts.UpdateUser, *accounts.PutPreferences,
		*accounts.OfferSecondFactor, *accounts.ConfirmSecondFactor, *accounts.RemoveSecondFactor, *accounts.OpenProvenSession,
		*accounts.OpenSession, *accounts.CloseSession, *accounts.CloseSessions, *accounts.OfferSetup, *accounts.Expire:
		return Users
	case *accounts.CreateUser, *accounts.DeleteUser, *accounts.CompleteSetup:
		return Sites | Users // also of guests, who belong to sites
	}
	return Sites
}
