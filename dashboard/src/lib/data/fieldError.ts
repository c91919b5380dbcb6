/** Errors of the API name the field they are about: "domain: is taken". */

export interface FieldErrors {
  /** Text per field. */
  fields: Record<string, string>;
  /** What belongs to no field that the form has; "" when nothing. */
  general: string;
}

export const NO_ERRORS: FieldErrors = { fields: {}, general: '' };

export function splitFieldError(message: string, known: readonly string[]): FieldErrors {
  const at = message.indexOf(':');
  const field = at < 0 ? '' : message.slice(0, at).trim();
  if (!known.includes(field)) return { fields: {}, general: message };
  return { fields: { [field]: sentence(message.slice(at + 1).trim()) }, general: '' };
}

function sentence(text: string): string {
  return text === '' ? text : text[0]?.toUpperCase() + text.slice(1);
}
