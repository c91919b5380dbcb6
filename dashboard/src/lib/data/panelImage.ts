/** What stands where on the picture of a panel. */
import type { PanelRow } from './rows';

export interface PictureRow { text: string; figures: string[]; share: number }

export interface Picture {
  title: string;
  /** Site, days, and filters, each a line. */
  lines: string[];
  columns: string[];
  rows: PictureRow[];
}

export const PICTURE_WIDTH = 720;
const EDGE = 32;
const TITLE = 30;
const LINE = 20;
const ROW = 34;
const COLUMN = 96;

export interface Layout {
  width: number;
  height: number;
  title: { x: number; y: number };
  lines: { x: number; y: number; text: string }[];
  /** Right edges of the columns of figures. */
  columns: { x: number; y: number; text: string }[];
  rows: { bar: { x: number; y: number; width: number; height: number }; text: { x: number; y: number; width: number; text: string }; figures: { x: number; y: number; text: string }[] }[];
}

/** Distances in CSS pixels; texts stand on their y. */
export function layoutPicture(picture: Picture): Layout {
  const right = PICTURE_WIDTH - EDGE;
  const names = right - EDGE - picture.columns.length * COLUMN;
  const top = EDGE + TITLE + picture.lines.length * LINE + 28;
  const columnX = (i: number) => right - (picture.columns.length - 1 - i) * COLUMN;
  return {
    width: PICTURE_WIDTH,
    height: top + picture.rows.length * ROW + EDGE,
    title: { x: EDGE, y: EDGE + 18 },
    lines: picture.lines.map((text, i) => ({ x: EDGE, y: EDGE + TITLE + 12 + i * LINE, text })),
    columns: picture.columns.map((text, i) => ({ x: columnX(i), y: top - 8, text })),
    rows: picture.rows.map(({ text, figures, share }, i) => {
      const y = top + i * ROW;
      return {
        bar: { x: EDGE, y: y + 1, width: Math.max(2, names * share), height: ROW - 4 },
        text: { x: EDGE + 10, y: y + 21, width: names - 20, text },
        figures: figures.map((figure, k) => ({ x: columnX(k), y: y + 21, text: figure })),
      };
    }),
  };
}

/** A text that fits a width: cut in the middle as long as measure finds it too wide. */
export function fitted(text: string, width: number, measure: (text: string) => number): string {
  if (measure(text) <= width) return text;
  const letters = [...text].slice(0, 2000);
  let low = 1;
  let high = letters.length;
  const cut = (n: number) => `${letters.slice(0, Math.ceil(n * 0.6)).join('')}…${letters.slice(letters.length - Math.floor(n * 0.4)).join('')}`;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (measure(cut(middle)) <= width) low = middle;
    else high = middle - 1;
  }
  return cut(low);
}

/** The rows of a panel in words. */
export function pictureRows(rows: readonly PanelRow[], read: (value: string) => string, write: (row: PanelRow, i: number) => string, columns: number): PictureRow[] {
  return rows.map((row) => ({
    text: read(row.value), share: row.share, figures: Array.from({ length: columns }, (_, i) => write(row, i)),
  }));
}
