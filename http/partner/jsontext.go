package partner

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"footfall/analytics/query"
)

const hex = "0123456789abcdef"

// appendText appends s as a JSON string. Bytes that are no UTF-8 become U+FFFD.
func appendText(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c < 0x20 || c == 0x7f:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, size := utf8.DecodeRuneInString(s[i:])
			switch {
			case r == utf8.RuneError && size == 1:
				dst = append(dst, "\ufffd"...)
			case r == '\u2028' || r == '\u2029': // would end a line where JSON is read as a script
				dst = append(dst, '\\', 'u', '2', '0', '2', hex[r&15])
			default:
				dst = append(dst, s[i:i+size]...)
			}
			i += size
			continue
		}
		i++
	}
	return append(dst, '"')
}

// appendTexts appends a list of strings.
func appendTexts[S ~string](dst []byte, list []S) []byte {
	dst = append(dst, '[')
	for i, s := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendText(dst, string(s))
	}
	return append(dst, ']')
}

// appendKey appends a member's name, with a comma unless it is the first.
func appendKey(dst []byte, key string) []byte {
	if last := dst[len(dst)-1]; last != '{' {
		dst = append(dst, ',')
	}
	return append(appendText(dst, key), ':')
}

// appendNumber appends a figure as it is shown. What is no number is null.
func appendNumber(dst []byte, x float64) []byte {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return append(dst, "null"...)
	}
	if x == 0 {
		x = 0 // not -0
	}
	return strconv.AppendFloat(dst, x, 'f', -1, 64)
}

// appendFigure appends one figure of a metric: a number, null, or an object for
// revenue.
func appendFigure(dst []byte, m query.Metric, v query.Value) []byte {
	if v.Null {
		return append(dst, "null"...)
	}
	if m != query.TotalRevenue && m != query.AverageRevenue {
		return appendNumber(dst, query.Shown(m, v.Number))
	}
	if v.Currency == "" {
		return append(dst, "null"...)
	}
	decimals := minorUnits(v.Currency)
	scale := math.Pow10(decimals)
	amount := math.Round(v.Number*scale) / scale
	dst = appendNumber(append(dst, `{"value":`...), amount)
	dst = appendText(append(dst, `,"currency":`...), v.Currency)
	dst = appendText(append(dst, `,"short":`...), moneyShort(amount, v.Currency))
	dst = appendText(append(dst, `,"long":`...), moneyLong(amount, v.Currency))
	return append(dst, '}')
}

// appendFigures appends the figures of a row.
func appendFigures(dst []byte, metrics []query.Metric, values []query.Value) []byte {
	dst = append(dst, '[')
	for i, m := range metrics {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendFigure(dst, m, values[i])
	}
	return append(dst, ']')
}

// minorUnits is the number of decimals of a currency, by ISO 4217.
func minorUnits(currency string) int {
	switch currency {
	case "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF":
		return 0
	case "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND":
		return 3
	}
	return 2
}

// symbol is what stands before an amount.
func symbol(currency string) string {
	switch currency {
	case "USD":
		return "$"
	case "EUR":
		return "€"
	case "GBP":
		return "£"
	case "JPY":
		return "¥"
	case "INR":
		return "₹"
	case "KRW":
		return "₩"
	case "BRL":
		return "R$"
	case "CAD":
		return "CA$"
	case "AUD":
		return "A$"
	}
	return currency + " "
}

// moneyLong gives "$1,234.50".
func moneyLong(amount float64, currency string) string {
	sign := ""
	if amount < 0 {
		sign, amount = "-", -amount
	}
	whole, fraction, _ := strings.Cut(strconv.FormatFloat(amount, 'f', minorUnits(currency), 64), ".")
	var b strings.Builder
	b.WriteString(sign + symbol(currency))
	for i, c := range []byte(whole) {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteByte(c)
	}
	if fraction != "" {
		b.WriteString("." + fraction)
	}
	return b.String()
}

// moneyShort gives "$1.2K"; below a thousand it is the long form.
func moneyShort(amount float64, currency string) string {
	size := math.Abs(amount)
	for _, step := range []struct {
		from float64
		name string
	}{{999_950_000, "B"}, {999_950, "M"}, {1000, "K"}} {
		if size < step.from {
			continue
		}
		unit := map[string]float64{"B": 1e9, "M": 1e6, "K": 1e3}[step.name]
		text := strings.TrimSuffix(strconv.FormatFloat(size/unit, 'f', 1, 64), ".0")
		if amount < 0 {
			text = "-" + symbol(currency) + text
		} else {
			text = symbol(currency) + text
		}
		return text + step.name
	}
	return moneyLong(amount, currency)
}
