/** Draws the time chart as a picture: its canvas under a title. Loaded when somebody asks for one. */
import { fitted } from '../data/panelImage';
import { colors } from './panelPicture';

const SCALE = 2;
const EDGE = 32;
const FONT = '"Inter Variable", system-ui, sans-serif';

export interface ChartPicture {
  title: string;
  /** Site, days, and filters, each a line. */
  lines: string[];
  /** The second line of the chart in words, where there is one. */
  other?: string;
}

export async function drawChart(chart: HTMLCanvasElement, { title, lines, other }: ChartPicture): Promise<Blob> {
  const ratio = devicePixelRatio || 1;
  const width = Math.round(chart.width / ratio) + 2 * EDGE;
  const top = EDGE + 34 + lines.length * 20 + 12;
  const canvas = document.createElement('canvas');
  canvas.width = width * SCALE;
  canvas.height = (top + Math.round(chart.height / ratio) + EDGE) * SCALE;
  const pen = canvas.getContext('2d');
  if (!pen) throw new Error('this browser draws no pictures');
  const color = colors(['surface', 'text', 'text-soft', 'compare']);
  pen.scale(SCALE, SCALE);
  pen.fillStyle = color['surface'] ?? '';
  pen.fillRect(0, 0, width, canvas.height / SCALE);
  const write = (text: string, y: number, font: string, name: string, x = EDGE) => {
    pen.font = `${font} ${FONT}`;
    pen.fillStyle = color[name] ?? '';
    pen.fillText(fitted(text, width - EDGE - x, (each) => pen.measureText(each).width), x, y);
  };
  write(title, EDGE + 18, '650 20px', 'text');
  lines.forEach((line, i) => write(line, EDGE + 42 + i * 20, '450 13px', 'text-soft'));
  if (other) {
    const y = EDGE + 42 + (lines.length - 1) * 20;
    const x = EDGE + pen.measureText(lines.at(-1) ?? '').width + 24;
    pen.fillStyle = color['compare'] ?? '';
    pen.fillRect(x, y - 5, 16, 2);
    write(other, y, '450 13px', 'text-soft', x + 24);
  }
  pen.drawImage(chart, EDGE, top, chart.width / ratio, chart.height / ratio);
  return new Promise((done, failed) => canvas.toBlob((blob) => (blob ? done(blob) : failed(new Error('the picture is empty'))), 'image/png'));
}
