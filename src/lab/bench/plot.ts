/** A curve. */
export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

export interface Plot {
  readonly title: string;
  readonly x: string;
  readonly y: string;
  readonly series: readonly Series[];
  /** Whether the x axis is logarithmic. */
  readonly logarithmic?: boolean;
  /** A line at this height, such as a mark. */
  readonly mark?: { readonly y: number; readonly name: string } | undefined;
}

const WIDTH = 720;
const HEIGHT = 300;
const LEFT = 70;
const RIGHT = WIDTH - 20;
const TOP = 40;
const BOTTOM = HEIGHT - 50;
const COLOURS = ['#0060a8', '#c04a00', '#2a7d2a', '#7a3f98', '#666'];

/** Draws plots below one another as one SVG. */
export function drawPlots(plots: readonly Plot[]): string {
  const height = HEIGHT * plots.length;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="Helvetica, Arial, sans-serif" font-size="12" fill="#222">`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    ...plots.flatMap((plot, index) => [`<g transform="translate(0,${index * HEIGHT})">`, ...draw(plot), '</g>']),
    '</svg>\n',
  ].join('\n');
}

function draw({ title, x, y, series, logarithmic = false, mark }: Plot): string[] {
  const points = series.flatMap((each) => each.points).filter((point) => point.every(Number.isFinite));
  const xs = points.map(([at]) => at);
  const [least, most] = [Math.min(...xs), Math.max(...xs)];
  const top = Math.max(...points.map(([, value]) => value), mark?.y ?? 0) * 1.05 || 1;
  const scaled = (at: number) => (logarithmic ? Math.log(Math.max(at, 1e-9)) : at);
  const width = scaled(most) - scaled(least) || 1;
  const across = (at: number) => round(LEFT + ((RIGHT - LEFT) * (scaled(at) - scaled(least))) / width);
  const up = (value: number) => round(BOTTOM - ((BOTTOM - TOP) * value) / top);
  const heading = text(LEFT, 22, title, 'font-size="15" font-weight="bold"');
  if (points.length === 0) return [heading, text(LEFT, 60, 'nothing was measured')];
  const ticks = logarithmic ? [...new Set(xs)].sort((a, b) => a - b) : ticksOf(least, most);
  return [
    heading,
    ...ticksOf(0, top).flatMap((value) => [
      `<path d="M${LEFT},${up(value)} H${RIGHT}" stroke="#ddd"/>`,
      text(LEFT - 6, up(value) + 4, short(value), 'text-anchor="end" fill="#555"'),
    ]),
    ...ticks.map((at) => text(across(at), BOTTOM + 16, short(at), 'text-anchor="middle" fill="#555"')),
    text((LEFT + RIGHT) / 2, BOTTOM + 36, x, 'text-anchor="middle"'),
    text(LEFT, TOP - 6, y, 'fill="#555"'),
    ...(mark
      ? [
          `<path d="M${LEFT},${up(mark.y)} H${RIGHT}" stroke="#a00" stroke-dasharray="5,4"/>`,
          text(RIGHT, up(mark.y) - 4, mark.name, 'text-anchor="end" fill="#a00"'),
        ]
      : []),
    ...series.flatMap((each, index) => curve(each, index, across, up)),
  ];
}

function curve(
  { name, points }: Series,
  index: number,
  across: (at: number) => number,
  up: (value: number) => number,
): string[] {
  const colour = COLOURS[index % COLOURS.length] ?? '#000';
  const drawn = points.filter((point) => point.every(Number.isFinite));
  const path = drawn.map(([x, y], at) => `${at === 0 ? 'M' : 'L'}${across(x)},${up(y)}`).join(' ');
  const dots =
    drawn.length > 40 ? [] : drawn.map(([x, y]) => `<circle cx="${across(x)}" cy="${up(y)}" r="3" fill="${colour}"/>`);
  return [
    `<path d="${path}" fill="none" stroke="${colour}" stroke-width="1.6"/>`,
    ...dots,
    text(RIGHT - 8, TOP + 14 + 16 * index, name, `text-anchor="end" fill="${colour}"`),
  ];
}

/** About six round values from `least` to `most`. */
export function ticksOf(least: number, most: number): number[] {
  const rough = (most - least) / 6;
  if (!(rough > 0)) return [least];
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((factor) => factor * unit >= rough) ?? 10) * unit;
  const ticks: number[] = [];
  for (let at = Math.ceil(least / step) * step; at <= most; at += step) ticks.push(at);
  return ticks;
}

function short(value: number): string {
  const size = Math.abs(value);
  if (size >= 1_000_000) return `${round(value / 1_000_000)}M`;
  if (size >= 10_000) return `${round(value / 1_000)}k`;
  return String(Math.round(value * 1000) / 1000);
}

function text(x: number, y: number, words: string, more = ''): string {
  const escaped = words.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${round(x)}" y="${round(y)}" ${more}>${escaped}</text>`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
