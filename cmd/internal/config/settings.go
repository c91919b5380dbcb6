package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// setting is one flag: its name, its default and how its text is understood.
// Errors of set do not name it; the caller knows where the text came from.
type setting struct {
	name     string
	fallback string
	list     bool // the file may give a list
	set      func(s *Serve, text string) error
}

// settings is the only list of what can be set; it is never changed.
var settings = []setting{
	{name: "data", fallback: "./data", set: func(s *Serve, t string) error {
		s.Data = t
		return notEmpty(t)
	}},
	{name: "listen", fallback: "127.0.0.1:8080", set: func(s *Serve, t string) error {
		s.Listen = t
		return checkAddress(t)
	}},
	{name: "trusted-proxies", fallback: "127.0.0.0/8,::1/128", list: true, set: func(s *Serve, t string) (err error) {
		s.TrustedProxies, err = parsePrefixes(t)
		return err
	}},
	{name: "geoip-db", set: func(s *Serve, t string) error {
		s.GeoIPDB = t
		return nil
	}},
	{name: "disk-reserve", fallback: "0", set: func(s *Serve, t string) (err error) {
		s.DiskReserve, err = ParseBytes(t)
		return err
	}},
	{name: "spool-max", fallback: "0", set: func(s *Serve, t string) (err error) {
		s.SpoolMax, err = ParseBytes(t)
		return err
	}},
	{name: "public-url", set: func(s *Serve, t string) (err error) {
		s.PublicURL, err = parseOrigin(t)
		return err
	}},
	{name: "log-level", fallback: "info", set: func(s *Serve, t string) error {
		switch t {
		case "debug", "info", "warn", "error":
			return s.LogLevel.UnmarshalText([]byte(t))
		}
		return fmt.Errorf("%q is none of debug, info, warn, error", t)
	}},
	{name: "log-format", fallback: "text", set: func(s *Serve, t string) error {
		s.LogFormat = t
		if t != "text" && t != "json" {
			return fmt.Errorf("%q is neither text nor json", t)
		}
		return nil
	}},
	{name: "rate-limit-address", fallback: "1000/s", set: func(s *Serve, t string) (err error) {
		s.RateLimitAddress, err = ParseRate(t)
		return err
	}},
	{name: "api-keys-per-hour", fallback: "600", set: func(s *Serve, t string) error {
		n, err := strconv.Atoi(t)
		if err != nil || n < 0 {
			return fmt.Errorf("%q is not a whole number of 0 or more", t)
		}
		s.APIKeysPerHour = n
		return nil
	}},
	{name: "memory-budget", fallback: "0", set: func(s *Serve, t string) (err error) {
		s.MemoryBudget, err = ParseBytes(t)
		return err
	}},
	{name: "smtp-url", set: func(s *Serve, t string) error { return s.Mail.parseSMTP(t) }},
	{name: "mail-from", set: func(s *Serve, t string) error { return s.Mail.parseFrom(t) }},
	{name: "webhook-private", fallback: "false", set: func(s *Serve, t string) (err error) {
		s.WebhookPrivate, err = parseSwitch(t)
		return err
	}},
	{name: "name", set: func(s *Serve, t string) error {
		s.Name = t
		return checkLabel(t)
	}},
	{name: "cluster-listen", set: func(s *Serve, t string) error {
		s.Cluster.Listen = t
		if t == "" {
			return nil
		}
		return checkAddress(t)
	}},
	{name: "cluster-advertise", set: func(s *Serve, t string) error {
		s.Cluster.Advertise = t
		if t == "" {
			return nil
		}
		return checkPeer(t)
	}},
	{name: "cluster-ca", set: func(s *Serve, t string) error { s.Cluster.CA = t; return nil }},
	{name: "cluster-cert", set: func(s *Serve, t string) error { s.Cluster.Cert = t; return nil }},
	{name: "cluster-key", set: func(s *Serve, t string) error { s.Cluster.Key = t; return nil }},
	{name: "cluster-insecure", fallback: "false", set: func(s *Serve, t string) (err error) {
		s.Cluster.Insecure, err = parseSwitch(t)
		return err
	}},
	{name: "cluster-via", set: func(s *Serve, t string) error {
		s.Cluster.viaFile = t
		if t != "" && !development {
			return errors.New("only development builds have it")
		}
		return nil
	}},
	{name: "discovery", fallback: "none", set: func(s *Serve, t string) error {
		s.Cluster.Discovery = t
		switch t {
		case DiscoveryNone, DiscoveryStatic, DiscoveryConsul:
			return nil
		}
		return fmt.Errorf("%q is none of none, static, consul", t)
	}},
	{name: "peers", list: true, set: func(s *Serve, t string) (err error) {
		s.Cluster.Peers, err = parsePeers(t)
		return err
	}},
	{name: "consul-address", fallback: "127.0.0.1:8500", set: func(s *Serve, t string) error {
		s.Cluster.Consul.Address = t
		return checkConsul(t)
	}},
	{name: "consul-token", set: func(s *Serve, t string) error { s.Cluster.Consul.Token = t; return nil }},
	{name: "consul-service", fallback: "footfall", set: func(s *Serve, t string) error {
		s.Cluster.Consul.Service = t
		return errors.Join(notEmpty(t), checkLabel(t))
	}},
	{name: "consul-ca", set: func(s *Serve, t string) error { s.Cluster.Consul.CA = t; return nil }},
	{name: "consul-cert", set: func(s *Serve, t string) error { s.Cluster.Consul.Cert = t; return nil }},
	{name: "consul-key", set: func(s *Serve, t string) error { s.Cluster.Consul.Key = t; return nil }},
	{name: "consul-datacenter", set: func(s *Serve, t string) error {
		s.Cluster.Consul.Datacenter = t
		return checkLabel(t)
	}},
	{name: "zone", set: func(s *Serve, t string) error {
		s.Cluster.Zone = t
		return checkLabel(t)
	}},
	{name: "region", set: func(s *Serve, t string) error {
		s.Cluster.Region = t
		return checkLabel(t)
	}},
	{name: "roles", fallback: "edge,data", list: true, set: func(s *Serve, t string) (err error) {
		s.Cluster.Edge, s.Cluster.Data, err = parseRoles(t)
		return err
	}},
	{name: "found", fallback: "false", set: func(s *Serve, t string) (err error) {
		s.Cluster.Found, err = parseSwitch(t)
		return err
	}},
	{name: "replicas", fallback: "3", set: func(s *Serve, t string) error {
		switch t {
		case "1", "3", "5":
			s.Cluster.Replicas = int(t[0] - '0')
			return nil
		}
		return fmt.Errorf("%q is none of 1, 3, 5: an even number survives no more than the odd one below it", t)
	}},
	{name: "replace-after", fallback: "10m", set: func(s *Serve, t string) error {
		d, err := time.ParseDuration(t)
		if err != nil || d < replaceAfterMin {
			return fmt.Errorf("%q is not a time of %v or more, like 10m", t, replaceAfterMin)
		}
		s.Cluster.ReplaceAfter = d
		return nil
	}},
}

// replaceAfterMin is more than a node that is well may be silent.
const replaceAfterMin = 15 * time.Second

func find(name string) *setting {
	for i := range settings {
		if settings[i].name == name {
			return &settings[i]
		}
	}
	return nil
}

func notEmpty(t string) error {
	if t == "" {
		return errors.New("is empty")
	}
	return nil
}

func checkAddress(t string) error {
	_, port, err := net.SplitHostPort(t)
	if err != nil {
		return fmt.Errorf("%q is not host:port", t)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return fmt.Errorf("%q: the port is not a number from 0 to 65535", t)
	}
	return nil
}

// parsePrefixes reads a comma list of CIDRs and single addresses; the empty
// text trusts nobody.
func parsePrefixes(t string) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	for item := range strings.SplitSeq(t, ",") {
		item = strings.TrimSpace(item)
		if item == "" {
			continue
		}
		if addr, err := netip.ParseAddr(item); err == nil && addr.Zone() == "" {
			prefixes = append(prefixes, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		prefix, err := netip.ParsePrefix(item)
		if err != nil {
			return nil, fmt.Errorf("%q is not a network like 10.0.0.0/8", item)
		}
		prefixes = append(prefixes, prefix.Masked())
	}
	return prefixes, nil
}

func parseOrigin(t string) (string, error) {
	if t == "" {
		return "", nil
	}
	u, err := url.Parse(t)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		strings.Trim(u.Path, "/") != "" {
		return "", fmt.Errorf("%q is not like https://stats.example.com", t)
	}
	return u.Scheme + "://" + u.Host, nil
}

// ParseBytes reads a size in bytes: a whole number, or a number with one of the
// units KB, MB, GB, TB (powers of 1,000) and KiB, MiB, GiB, TiB, or K, M, G, T
// (powers of 1,024).
func ParseBytes(t string) (int64, error) {
	number := strings.TrimRight(t, "BKMGTikmgt ")
	unit := strings.TrimSpace(t[len(number):])
	factor := int64(1)
	if unit != "" && unit != "B" {
		power := strings.IndexByte("KMGT", unit[0]&^0x20) + 1
		base := int64(1024)
		switch unit[1:] {
		case "", "i", "iB":
		case "B":
			base = 1000
		default:
			power = 0
		}
		if power == 0 {
			return 0, fmt.Errorf("%q is not a size like 512MiB", t)
		}
		for range power {
			factor *= base
		}
	}
	if n, err := strconv.ParseInt(number, 10, 64); err == nil && n >= 0 && n <= math.MaxInt64/factor {
		return n * factor, nil
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || !(f >= 0) || f*float64(factor) >= math.MaxInt64 || factor == 1 || strings.ContainsAny(number, "eExXpP_") {
		return 0, fmt.Errorf("%q is not a size like 512MiB", t)
	}
	return int64(f * float64(factor)), nil
}

// ParseRate reads "1000/s", "60/m", "600/h" or "0" for no limit.
func ParseRate(t string) (Rate, error) {
	fail := func() (Rate, error) { return Rate{}, fmt.Errorf("%q is not a rate like 100/s", t) }
	number, unit, ok := strings.Cut(t, "/")
	n, err := strconv.ParseUint(number, 10, 31)
	if err != nil || !ok && n != 0 {
		return fail()
	}
	seconds := 1.0
	switch unit {
	case "", "s":
		if ok && unit == "" {
			return fail()
		}
	case "m":
		seconds = 60
	case "h":
		seconds = 3600
	default:
		return fail()
	}
	return Rate{PerSecond: float64(n) / seconds}, nil
}
