// Package visitor makes the numbers by which visitors and events are told apart
// without knowing them: SipHash-2-4 under a secret that is thrown away (the
// salt) or never shown (the site's secret). It is pure and must never keep,
// print or return an address or a user agent. Start at ID.
//
// Each number is a hash of fixed-size parts, so no two different inputs can be
// spelled alike: texts of any length go in as their own hash under the same key.
// ID, Named and EventID do not allocate; all may be called concurrently.
package visitor

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"github.com/dchest/siphash"

	"footfall/analytics"
)

// Domains of the hash: two functions with the same secret never agree by
// construction. The numbers are part of what is stored; they stay.
const (
	ofAgent uint64 = 1 + iota
	ofDomain
	ofVisitor
	ofName
	ofEvent
)

// ID is the visitor id of someone without a name: of the site, the address, the
// user agent and the registrable domain of the page, under salt. The same
// address in IPv4 and in IPv4-mapped IPv6 form gives the same id; a zone does
// not count. Never 0. The id cannot be traced back once salt is gone.
func ID(salt *[16]byte, site analytics.SiteID, addr netip.Addr, ua []byte, registrableDomain string) uint64 {
	k0, k1 := key(salt)
	var b [40]byte
	binary.LittleEndian.PutUint64(b[0:], uint64(site))
	if addr.IsValid() {
		a := addr.As16()
		copy(b[8:], a[:])
	}
	binary.LittleEndian.PutUint64(b[24:], siphash.Hash(k0, k1^ofAgent, ua))
	binary.LittleEndian.PutUint64(b[32:], siphash.Hash(k0, k1^ofDomain, bytesOf(registrableDomain)))
	return notZero(siphash.Hash(k0, k1^ofVisitor, b[:]))
}

// Named is the visitor id of someone to whom the merchant gave a name: of that
// name under the site's secret. Never 0.
func Named(secret *[16]byte, visitor string) uint64 {
	k0, k1 := key(secret)
	return notZero(siphash.Hash(k0, k1^ofName, bytesOf(visitor)))
}

// EventID is the number by which an event is known again: of the id that the
// client gave under the site's secret, so that nobody outside can aim at the
// number of another event. Never 0.
func EventID(secret *[16]byte, id string) uint64 {
	k0, k1 := key(secret)
	return notZero(siphash.Hash(k0, k1^ofEvent, bytesOf(id)))
}

func key(k *[16]byte) (k0, k1 uint64) {
	return binary.LittleEndian.Uint64(k[:8]), binary.LittleEndian.Uint64(k[8:])
}

func notZero(h uint64) uint64 {
	if h == 0 {
		return 1
	}
	return h
}

// bytesOf views s as bytes, for a hash that only reads them.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
