package persistence

import "encoding/binary"

// The keys of a node's store. Numbers are big-endian, so that order of bytes is
// order of numbers; the first byte is the table.
//
//	00                                      ident: node, format
//	00 01                                   membership: cluster, node number, incarnation
//	01 group(2) 01                          raft hard state
//	01 group(2) 02                          truncated: index and term behind which the log begins
//	01 group(2) 03                          raft configuration
//	01 group(2) 04                          persisted: index P up to which records hold the log, term at P
//	01 group(2) 05                          snapshot marker: a stage that is being installed
//	02 group(2) index(8)                    raft log entry
//	04 group(2) site(8) kind(1) period(4) chunk(4)   record of a site
//	05 …                                    state of the control group
//	06 …                                    spool: batches of this edge that were not acknowledged
//
// A site's records: kind 00 is its header (period and chunk 0), every other
// kind belongs to package site. No site has the number 0: the record
// SiteKey(group, 0, 0, 0, 0) is the shard's table of producers, so that table
// 04 of a group is the whole of the group's state.
const (
	TableIdent   = 0x00
	TableGroup   = 0x01
	TableLog     = 0x02
	TableSite    = 0x04
	TableControl = 0x05
	TableSpool   = 0x06
)

// groupControl is the number of the control group, whose state is a table of
// its own. It is rafthost.Control, which this package cannot import.
const groupControl = 0xffff

// SitePrefixLen is the length of a site's key prefix.
const SitePrefixLen = 1 + 2 + 8

// SiteKey makes the key of a site record.
func SiteKey(group uint16, site uint64, kind byte, period, chunk uint32) []byte {
	k := make([]byte, 0, SitePrefixLen+9)
	k = append(k, TableSite)
	k = binary.BigEndian.AppendUint16(k, group)
	k = binary.BigEndian.AppendUint64(k, site)
	k = append(k, kind)
	k = binary.BigEndian.AppendUint32(k, period)
	return binary.BigEndian.AppendUint32(k, chunk)
}

// ParseSiteKey reads what SiteKey made.
func ParseSiteKey(k []byte) (group uint16, site uint64, kind byte, period, chunk uint32, ok bool) {
	if len(k) != SitePrefixLen+9 || k[0] != TableSite {
		return 0, 0, 0, 0, 0, false
	}
	return binary.BigEndian.Uint16(k[1:]), binary.BigEndian.Uint64(k[3:]), k[11],
		binary.BigEndian.Uint32(k[12:]), binary.BigEndian.Uint32(k[16:]), true
}

// SiteSpan gives the key range of all records of a site.
func SiteSpan(group uint16, site uint64) (from, to []byte) {
	from = SiteKey(group, site, 0, 0, 0)[:SitePrefixLen]
	return from, After(from)
}

// StateSpan gives the key range of the whole state of a group: what a snapshot of
// the group carries and what its removal deletes. For a shard it is the records
// of its sites and of its producers, for the control group all of table 05.
func StateSpan(group uint16) (from, to []byte) {
	if group == groupControl {
		return []byte{TableControl}, []byte{TableControl + 1}
	}
	from = binary.BigEndian.AppendUint16([]byte{TableSite}, group)
	return from, After(from)
}

// LogSpan gives the key range of a group's log.
func LogSpan(group uint16) (from, to []byte) {
	from = binary.BigEndian.AppendUint16([]byte{TableLog}, group)
	return from, After(from)
}

// After gives the first key that does not start with prefix.
func After(prefix []byte) []byte {
	end := append([]byte(nil), prefix...)
	for i := len(end) - 1; i >= 0; i-- {
		end[i]++
		if end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}
