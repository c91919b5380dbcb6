/** Addresses that show a site to those who have a link, and the HTML that puts it into another page. */

export const EMBED_THEMES = ['system', 'light', 'dark'] as const;
export type EmbedTheme = (typeof EMBED_THEMES)[number];

export function embedAddress(url: string, theme: EmbedTheme): string {
  const address = new URL(url);
  address.searchParams.set('embed', 'true');
  if (theme === 'system') address.searchParams.delete('theme');
  else address.searchParams.set('theme', theme);
  return address.toString();
}

/** title: what screen readers call the frame. */
export function embedCode(url: string, theme: EmbedTheme, title: string): string {
  return `<iframe src="${escaped(embedAddress(url, theme))}" title="${escaped(title)}" loading="lazy" width="100%" height="1600" frameborder="0"></iframe>`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** The end of a day in the reader's zone as the API takes it; "" for no end. */
export function endOfDay(day: string): string {
  return day === '' ? '' : new Date(`${day}T23:59:59`).toISOString();
}
