/** What went wrong, in words for a merchant. */
import { t } from './i18n';

/** status: of the HTTP answer, 0 where none came; text: the server's own words. */
export function problemText(status: number, text: string): string {
  if (status === 0) return t('error.offline');
  if (status === 429) return t('error.tooMany');
  if (status === 503) return t('error.busy');
  if (status >= 500) return text || t('error.internal');
  return text;
}
