/** Why an event was not counted, in words. */
import { t } from './i18n';

const REASONS = [
  'counted', 'duplicate', 'bot', 'spam_referrer', 'unknown_site', 'dc_ip', 'hostname_blocked', 'page_blocked', 'ip_blocked', 'country_blocked', 'invalid', 'no_visit',
  'verification_agent', 'rate_limited', 'too_old',
] as const;

/** A reason that this page does not know is shown by its name. */
export function reasonText(reason: string): string {
  const known = REASONS.find((name) => name === reason);
  return known ? t(`settings.reason.${known}`) : reason.replaceAll('_', ' ');
}
