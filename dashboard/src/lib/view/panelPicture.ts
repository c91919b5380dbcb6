/** Draws a panel as a picture in the colours of the page. Loaded when somebody asks for one. */
import { fitted, layoutPicture, type Picture } from '../data/panelImage';

const SCALE = 2;
const FONT = '"Inter Variable", system-ui, sans-serif';

export async function drawPanel(picture: Picture): Promise<Blob> {
  const layout = layoutPicture(picture);
  const canvas = document.createElement('canvas');
  canvas.width = layout.width * SCALE;
  canvas.height = layout.height * SCALE;
  const pen = canvas.getContext('2d');
  if (!pen) throw new Error('this browser draws no pictures');
  const color = colors(['surface', 'text', 'text-soft', 'text-faint', 'bar']);
  pen.scale(SCALE, SCALE);
  pen.fillStyle = color['surface'] ?? '';
  pen.fillRect(0, 0, layout.width, layout.height);
  const write = (text: string, x: number, y: number, font: string, name: string, width = Infinity) => {
    pen.font = `${font} ${FONT}`;
    pen.fillStyle = color[name] ?? '';
    pen.fillText(fitted(text, width, (each) => pen.measureText(each).width), x, y);
  };
  const inner = layout.width - 2 * layout.title.x;
  write(picture.title, layout.title.x, layout.title.y, '650 20px', 'text', inner);
  for (const { x, y, text } of layout.lines) write(text, x, y, '450 13px', 'text-soft', inner);
  pen.textAlign = 'right';
  for (const { x, y, text } of layout.columns) write(text, x, y, '500 12px', 'text-faint');
  for (const { bar, text, figures } of layout.rows) {
    pen.fillStyle = color['bar'] ?? '';
    pen.beginPath();
    pen.roundRect(bar.x, bar.y, bar.width, bar.height, 6);
    pen.fill();
    pen.textAlign = 'left';
    write(text.text, text.x, text.y, '450 14px', 'text', text.width);
    pen.textAlign = 'right';
    for (const figure of figures) write(figure.text, figure.x, figure.y, '550 14px', 'text');
  }
  return new Promise((done, failed) => canvas.toBlob((blob) => (blob ? done(blob) : failed(new Error('the picture is empty'))), 'image/png'));
}

/** Tokens as a canvas understands them, in the theme that is shown. */
export function colors(names: string[]): Record<string, string> {
  const probe = document.createElement('i');
  document.body.append(probe);
  const found = Object.fromEntries(names.map((name) => {
    probe.style.color = `var(--${name})`;
    return [name, getComputedStyle(probe).color];
  }));
  probe.remove();
  return found;
}
