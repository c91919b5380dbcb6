/** Lists in one text: parts are joined by a mark, and "\" makes the next character an ordinary one. */

export function escapeText(text: string, mark: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll(mark, `\\${mark}`);
}

/** Parts a text at its marks and takes one level of "\" away. */
export function splitText(text: string, mark: string): string[] {
  const parts: string[] = [];
  let part = '';
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === '\\' && i + 1 < text.length) part += text[++i];
    else if (char === mark) {
      parts.push(part);
      part = '';
    } else part += char;
  }
  parts.push(part);
  return parts;
}
