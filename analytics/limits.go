package analytics

// Limits of what one event may carry, for every door alike. Bytes unless the
// name says otherwise.
const (
	NameBytesMax      = 120
	URLBytesMax       = 2000
	ReferrerBytesMax  = 2000
	PropsMax          = 30
	PropKeyBytesMax   = 300
	PropValueBytesMax = 2000
	DomainBytesMax    = 253
	DomainsMax        = 20 // sites named in one comma list
	IDBytesMax        = 128
	VisitorBytesMax   = 256
	AttributeBytesMax = 256 // one enriched field: source, utm_*, browser, city, …

	BeaconBodyBytesMax = 64 << 10 // one beacon
	BatchBodyBytesMax  = 32 << 20 // one /v1/events request, after decompression
	BatchEventsMax     = 10_000

	// TimeMin is the earliest time an event may have: 1 January 1995 UTC, Unix ms.
	TimeMin = 788_918_400_000
	// FutureMaxMS is how far ahead of the server's clock a given time may be.
	FutureMaxMS = 5 * 60 * 1000

	// VisitGapMS ends a visit: an event joins a visit whose last activity is
	// less than this many milliseconds away. Thirty minutes counted in whole
	// minutes, so that 30:59 still joins.
	VisitGapMS = 31 * 60 * 1000

	// IDWindowMS is how long the ids of live events are remembered.
	IDWindowMS = 24 * 60 * 60 * 1000

	EngagedMSMax = 30 * 24 * 60 * 60 * 1000
)
