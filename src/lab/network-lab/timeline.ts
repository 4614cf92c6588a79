import type { StartTimes } from './first-start.js';
import { PACE } from './pace.js';
import { PHASES, type Phase } from './report.js';

// A picture of one start: the phases of the paper above those of the lab on one scale, then those of the lab enlarged.

const WIDTH = 960;
/** Left and right end of the bars. */
const [LEFT, RIGHT] = [170, 900];
const BAR = 26;
const ROW = 34;

/** Colours that colour-blind readers can distinguish; the phases in which nothing is exchanged are grey. */
const COLOURS: Readonly<Record<Phase, string>> = {
  PANA: '#0072b2',
  'PANA → IKE': '#b0b0b0',
  IKE: '#d55e00',
  'IKE → BU': '#d0d0d0',
  'BU/BA': '#009e73',
};

const DARK: readonly Phase[] = ['PANA', 'IKE', 'BU/BA'];

interface Bar {
  readonly phase: Phase;
  /** Milliseconds after the first PCI. */
  readonly begin: number;
  readonly end: number;
}

/** The phases that the start had. */
export function phasesOf({ began, authorized, ikeBegan, ikeUp, update, acknowledged }: StartTimes): Bar[] {
  const ends: readonly [Phase, number | undefined][] = [
    ['PANA', authorized],
    ['PANA → IKE', ikeBegan],
    ['IKE', ikeUp],
    ['IKE → BU', update],
    ['BU/BA', acknowledged],
  ];
  const bars: Bar[] = [];
  let begin = 0;
  for (const [phase, at] of ends) {
    if (at === undefined) break;
    bars.push({ phase, begin, end: Math.max(begin, at - began) });
    begin = Math.max(begin, at - began);
  }
  return bars;
}

function paperBars(): Bar[] {
  let begin = 0;
  return (Object.keys(PHASES) as Phase[]).map((phase) => {
    const bar = { phase, begin, end: begin + PHASES[phase].paper };
    begin = bar.end;
    return bar;
  });
}

/** Draws the picture (SVG). */
export function timelineOf(times: StartTimes): string {
  const ours = phasesOf(times);
  const paper = paperBars();
  const longest = Math.max(endOf(ours), endOf(paper));
  const marks = marksOf(times);
  const enlarged = Math.max(endOf(ours), ...marks.map(({ at }) => at), 1);
  const top = 215;
  const notes = notesOf(ours.length < paper.length);
  const height = top + ROW * (ours.length + marks.length) + 60 + 20 * notes.length;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="Helvetica, Arial, sans-serif" font-size="14" fill="#222">`,
    `<title>One start of a mobile node: the paper, and this lab</title>`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    text(20, 30, 'One start of a mobile node, from the first PCI', 'font-size="18" font-weight="bold"'),
    text(20, 78, 'The paper', 'font-weight="bold"'),
    text(20, 78 + 18, seconds(endOf(paper)), 'fill="#555"'),
    ...paper.map((bar) => box(bar, 66, longest)),
    ...labels(paper, 66, longest),
    text(20, 138, 'This lab', 'font-weight="bold"'),
    text(20, 138 + 18, duration(endOf(ours)), 'fill="#555"'),
    ...ours.map((bar) => box(bar, 126, longest)),
    text(20, top - 15, 'This lab, enlarged', 'font-weight="bold"'),
    ...axis(top, top + ROW * (ours.length + marks.length), enlarged),
    ...ours.flatMap((bar, index) => row(bar, top + 8 + ROW * index, enlarged)),
    ...marks.flatMap((mark, index) => markRow(mark, top + 8 + ROW * (ours.length + index), enlarged)),
    ...notes.map((note, index) =>
      text(20, height - 14 - 20 * (notes.length - 1 - index), note, 'fill="#555" font-size="13"'),
    ),
    '</svg>\n',
  ].join('\n');
}

function notesOf(isShort: boolean): string[] {
  return [
    ...(isShort ? ['No Mobile IPv6 here: the start ends with the IKE_SA, which carries the home address.'] : []),
    ...(PACE > 1 ? ['In user-mode Linux: programs start 10 to 30 times more slowly than usual.'] : []),
  ];
}

interface Mark {
  readonly label: string;
  readonly at: number;
}

function marksOf({ began, opened }: StartTimes): Mark[] {
  return opened === undefined ? [] : [{ label: 'access granted', at: opened - began }];
}

function endOf(bars: readonly Bar[]): number {
  return bars.at(-1)?.end ?? 0;
}

const place = (at: number, longest: number) => LEFT + ((RIGHT - LEFT) * at) / longest;

function box({ phase, begin, end }: Bar, y: number, longest: number): string {
  const [from, to] = [place(begin, longest), place(end, longest)];
  const size = `width="${round(Math.max(1, to - from))}" height="${BAR}"`;
  return `<rect x="${round(from)}" y="${y}" ${size} fill="${COLOURS[phase]}"><title>${phase}</title></rect>`;
}

/**
 * The names and times of phases, each in its bar or, if that is too narrow, above it. One that would overlap the label before
 * is left out: the rows below say it too.
 */
function labels(bars: readonly Bar[], y: number, longest: number): string[] {
  let free = LEFT;
  return bars.flatMap(({ phase, begin, end }) => {
    const label = `${phase} ${duration(end - begin)}`;
    const [from, to] = [place(begin, longest), place(end, longest)];
    const width = 6.5 * label.length;
    if (to - from >= width) {
      const fill = DARK.includes(phase) ? ' fill="#fff"' : '';
      return text((from + to) / 2, y + 18, label, `font-size="12" text-anchor="middle"${fill}`);
    }
    if (from < free) return [];
    free = from + width + 6;
    return text(from, y - 7, label, 'font-size="12"');
  });
}

function row(bar: Bar, y: number, longest: number): string[] {
  return [
    text(20, y + 18, bar.phase),
    box(bar, y, longest),
    beside(
      bar.begin,
      bar.end,
      y,
      longest,
      `${duration(bar.end - bar.begin)} (paper: ${duration(PHASES[bar.phase].paper)})`,
    ),
  ];
}

function markRow({ label, at }: Mark, y: number, longest: number): string[] {
  const [x, middle] = [place(at, longest), y + BAR / 2];
  const diamond = `M${round(x)},${middle - 7} l7,7 l-7,7 l-7,-7 z`;
  return [
    text(20, y + 18, label),
    `<path d="${diamond}" fill="#222"/>`,
    beside(at, at, y, longest, `at ${duration(at)}`, 14),
  ];
}

/** A text to the right of a bar or mark, or to the left if it would not fit there, or else in the bar. */
function beside(begin: number, end: number, y: number, longest: number, words: string, gap = 6): string {
  const [from, to] = [place(begin, longest), place(end, longest)];
  const width = 7.5 * words.length;
  if (to + gap + width < WIDTH - 10) return text(to + gap, y + 18, words, 'font-size="13"');
  const x = from - gap - width > LEFT ? from - gap : to - gap;
  return text(x, y + 18, words, 'font-size="13" text-anchor="end"');
}

/** A scale with about six ticks. */
function axis(top: number, bottom: number, longest: number): string[] {
  const rough = longest / 6;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((factor) => factor * unit >= rough) ?? 10) * unit;
  const lines: string[] = [];
  for (let at = 0; at <= longest; at += step) {
    const x = round(place(at, longest));
    lines.push(`<path d="M${x},${top} V${bottom + 4}" stroke="#ddd"/>`);
    lines.push(text(x, bottom + 20, tick(at, step), 'font-size="12" fill="#555" text-anchor="middle"'));
  }
  return lines;
}

function tick(at: number, step: number): string {
  return step < 1000 ? `${Math.round(at)} ms` : `${Math.round(at / 1000)} s`;
}

function text(x: number, y: number, words: string, more = ''): string {
  return `<text x="${round(x)}" y="${round(y)}" ${more}>${words}</text>`;
}

function duration(milliseconds: number): string {
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : seconds(milliseconds);
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(milliseconds < 10_000 ? 1 : 0)} s`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
