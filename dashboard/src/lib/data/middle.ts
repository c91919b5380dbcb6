/** Long texts cut in the middle: what stands at the end of a path tells as much as its beginning. */

/** Texts up to this length have no end of their own. */
const SHORT = 28;
/** How much of the end stays, in code units. */
const TAIL = 12;
/** Letters of scripts that run from right to left; their texts are cut at the end by the browser. */
const RIGHT_TO_LEFT = /[\p{Script=Hebrew}\p{Script=Arabic}\p{Script=Syriac}\p{Script=Thaana}\p{Script=Nko}]/u;

/** The beginning, which may be cut, and the end, which may not; the end never begins inside a character. */
export function splitMiddle(text: string): [head: string, tail: string] {
  if (text.length <= SHORT || RIGHT_TO_LEFT.test(text)) return [text, ''];
  const near = text.slice(-4 * TAIL);
  let at = near.length;
  for (const { index } of [...new Intl.Segmenter().segment(near)].reverse()) {
    if (near.length - index > TAIL) break;
    at = index;
  }
  const cut = text.length - near.length + at;
  return [text.slice(0, cut), text.slice(cut)];
}

/** A text on one line: control characters, which would break it or hide in it, are shown as their pictures. */
export function onOneLine(text: string): string {
  return text
    .replace(/[\u0000-\u001f]/g, (char) => String.fromCharCode(0x2400 + char.charCodeAt(0)))
    .replace(/[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, '\u{fffd}');
}
