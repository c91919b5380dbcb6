/** For how long events are kept, as a choice. */

export const KEPT_DAYS = [0, 183, 365, 730, 1095, 1826] as const;
export const RETENTION_MAX = 36_500;

/** Whether a number of days is one of the choices, or needs a field of its own. */
export function isUsual(days: number): boolean {
  return (KEPT_DAYS as readonly number[]).includes(days);
}

/** The days that were typed; null when they are no whole number in the limits. */
export function parseDays(text: string): number | null {
  const days = Number(text.trim());
  return /^\d+$/.test(text.trim()) && days >= 1 && days <= RETENTION_MAX ? days : null;
}
