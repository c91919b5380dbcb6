/** Amounts of money as a merchant reads them. */
import { locale } from './i18n';

/**
 * short: amounts of five digits and more are shortened, so that they fit; from
 * wholeFrom on there are no cents. An unknown currency stands as its code.
 */
export function formatMoney(value: number, currency: string, short: boolean, wholeFrom = Infinity): string {
  const shortened = short && Math.abs(value) >= 10_000;
  try {
    return new Intl.NumberFormat(locale, {
      style: 'currency', currency, currencyDisplay: 'narrowSymbol',
      ...(shortened ? { notation: 'compact', maximumFractionDigits: 1 } : Math.abs(value) >= wholeFrom ? { maximumFractionDigits: 0 } : {}),
    }).format(value);
  } catch {
    return `${new Intl.NumberFormat(locale, { maximumFractionDigits: 2 }).format(value)} ${currency}`.trim();
  }
}

/** On an axis, where room is scarce: no cents beyond one unit. */
export function formatMoneyAxis(value: number, currency: string): string {
  try {
    return new Intl.NumberFormat(locale, {
      style: 'currency', currency, currencyDisplay: 'narrowSymbol', notation: 'compact',
      maximumFractionDigits: Math.abs(value) < 10 ? 2 : 1, minimumFractionDigits: 0,
    }).format(value);
  } catch {
    return formatMoney(value, currency, true);
  }
}
