package beacon

import (
	"math"

	"footfall/analytics"
)

// amount reads a decimal number as millionths, rounded half away from zero. It
// never passes through a binary fraction, so that cents stay exact.
func amount(b []byte) (millionths int64, ok bool) {
	negative := false
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		negative = b[0] == '-'
		b = b[1:]
	}
	mantissa, exponent := b, 0
	for i, c := range b {
		if c == 'e' || c == 'E' {
			mantissa = b[:i]
			n, ok := small(b[i+1:])
			if !ok {
				return 0, false
			}
			exponent = n
			break
		}
	}
	var digits [40]byte
	n, point, seen := 0, -1, false
	for _, c := range mantissa {
		switch {
		case c == '.' && point < 0:
			point = n
		case c >= '0' && c <= '9':
			seen = true
			if n == 0 && c == '0' && point < 0 {
				continue // leading zeros
			}
			if n == len(digits) {
				return 0, false
			}
			digits[n] = c - '0'
			n++
		default:
			return 0, false
		}
	}
	if !seen {
		return 0, false
	}
	if point < 0 {
		point = n
	}
	whole := point + exponent + 6 // how many digits make the millionths
	var sum int64
	for i := 0; i < whole; i++ {
		d := int64(0)
		if i < n {
			d = int64(digits[i])
		} else if sum == 0 {
			break // only zeros are left
		}
		if sum > (math.MaxInt64-d)/10 {
			return 0, false
		}
		sum = sum*10 + d
	}
	if whole >= 0 && whole < n && digits[whole] >= 5 && sum < math.MaxInt64 {
		sum++
	}
	if negative {
		sum = -sum
	}
	return sum, true
}

// small reads a whole number of at most three digits.
func small(b []byte) (int, bool) {
	sign := 1
	if len(b) > 0 && (b[0] == '-' || b[0] == '+') {
		if b[0] == '-' {
			sign = -1
		}
		b = b[1:]
	}
	if len(b) == 0 || len(b) > 3 {
		return 0, false
	}
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return sign * n, true
}

// money makes the revenue of members amount and currency; false if one is
// missing or wrong.
func money(members []member) (analytics.Revenue, bool) {
	var out analytics.Revenue
	var haveAmount, haveCurrency bool
	for _, m := range members {
		switch string(m.key) {
		case "amount":
			haveAmount = false
			if m.kind == kindNumber || m.kind == kindText {
				out.Amount, haveAmount = amount(m.text)
			}
		case "currency":
			haveCurrency = false
			if m.kind == kindText {
				out.Currency, haveCurrency = analytics.Currency(m.text)
			}
		}
	}
	if !haveAmount || !haveCurrency {
		return analytics.Revenue{}, false
	}
	return out, true
}
