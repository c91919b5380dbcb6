/** A line of few numbers as the points of an SVG path. */

export interface Spark {
  line: string;
  /** The same in two parts: what is over, and the way to the last point, which is still growing. */
  past: string;
  now: string;
  area: string;
  /** The last point, which is still growing. */
  last: { x: number; y: number };
}

/** Fits values into width × height from edge to edge, with a margin above and below; zero is at the bottom. */
export function spark(values: number[], width: number, height: number, margin = 3): Spark {
  const most = Math.max(1, ...values);
  const step = values.length > 1 ? width / (values.length - 1) : 0;
  const points = values.map((value, i) => ({
    x: round(i * step),
    y: round(height - margin - (value / most) * (height - 2 * margin)),
  }));
  const last = points.at(-1) ?? { x: 0, y: height - margin };
  const first = points[0] ?? last;
  const line = points.map(({ x, y }, i) => `${i === 0 ? 'M' : 'L'}${x} ${y}`).join('');
  const before = points.at(-2);
  const past = line.slice(0, line.lastIndexOf('L') < 0 ? undefined : line.lastIndexOf('L'));
  const now = before ? `M${before.x} ${before.y}L${last.x} ${last.y}` : '';
  return { line, past, now, area: `${line}L${last.x} ${height}L${first.x} ${height}Z`, last };
}

function round(n: number): number {
  return Math.round(n * 100) / 100;
}
