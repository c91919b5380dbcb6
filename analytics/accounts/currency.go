package accounts

import "footfall/analytics"

// KnownCurrency tells by an Invalid error that code is not the code of a
// currency; "" is none and passes. The list grows with releases, so a replica
// must not decide by it: whoever proposes a goal does.
func KnownCurrency(code string) error {
	if known, ok := analytics.Currency([]byte(code)); code == "" || ok && known == code {
		return nil
	}
	return invalid("currency: %q is not a currency code of ISO 4217, like EUR", clip(code))
}
