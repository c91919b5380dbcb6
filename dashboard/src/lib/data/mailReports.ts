/** Who gets the weekly and monthly reports. */

export const REPORT_PERIODS = ['weekly', 'monthly'] as const;
export type ReportPeriod = (typeof REPORT_PERIODS)[number];

export interface Receivers { emails: string[]; webhooks: string[] }
export interface MailReports extends Record<ReportPeriod, Receivers> {
  /** Signs what is sent to webhooks; "" as long as there was nothing to sign. */
  secret: string;
  /** This installation sends e-mail. */
  mail: boolean;
}

export const RECEIVERS_MAX: Record<keyof Receivers, number> = { emails: 50, webhooks: 10 };

/** Fills in what an answer leaves out. */
export function parseMailReports(answer: Partial<Record<ReportPeriod, Partial<Receivers> | null>> & { secret?: string; mail?: boolean }): MailReports {
  const of = (period: ReportPeriod): Receivers => ({ emails: answer[period]?.emails ?? [], webhooks: answer[period]?.webhooks ?? [] });
  return { weekly: of('weekly'), monthly: of('monthly'), secret: answer.secret ?? '', mail: answer.mail ?? true };
}

export type ReceiverFault = 'email' | 'webhook' | 'twice' | 'many';

/** What is wrong with one more receiver, null if nothing. */
export function receiverFault(kind: keyof Receivers, text: string, known: readonly string[]): ReceiverFault | null {
  const value = text.trim();
  if (kind === 'emails' && !/^[^\s@]+@[^\s@]+\.[^\s@.]+$/.test(value)) return 'email';
  if (kind === 'webhooks' && !isWebAddress(value)) return 'webhook';
  if (known.includes(value)) return 'twice';
  return known.length >= RECEIVERS_MAX[kind] ? 'many' : null;
}

function isWebAddress(text: string): boolean {
  return URL.canParse(text) && ['http:', 'https:'].includes(new URL(text).protocol);
}

export function withReceiver(reports: MailReports, period: ReportPeriod, kind: keyof Receivers, value: string): MailReports {
  return { ...reports, [period]: { ...reports[period], [kind]: [...reports[period][kind], value.trim()] } };
}

export function withoutReceiver(reports: MailReports, period: ReportPeriod, kind: keyof Receivers, value: string): MailReports {
  return { ...reports, [period]: { ...reports[period], [kind]: reports[period][kind].filter((each) => each !== value) } };
}
