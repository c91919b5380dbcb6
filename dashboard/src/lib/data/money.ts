/** Amounts of money as a merchant reads them. */
import { locale } from './i18n';

/** exact: to the cent. short: for columns, from five digits on shortened. figure: whole from four digits on, shortened from a million on. */
export type MoneyStyle = 'exact' | 'short' | 'figure';

/** An unknown currency stands as its code. */
export function formatMoney(value: number, currency: string, style: MoneyStyle): string {
  const size = Math.abs(value);
  const shortened = (style === 'short' && size >= 10_000) || (style === 'figure' && size >= 1_000_000);
  try {
    return new Intl.NumberFormat(locale, {
      style: 'currency', currency, currencyDisplay: 'narrowSymbol',
      ...(shortened ? { notation: 'compact', maximumFractionDigits: 1 } : style === 'figure' && size >= 1_000 ? { maximumFractionDigits: 0 } : {}),
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
    return formatMoney(value, currency, 'short');
  }
}
