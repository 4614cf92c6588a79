import { visible } from '../../runtime/system/terminal.js';
import { type Heard, RecentMap } from './heard.js';
import { type EndpointIndex, type Host, Hosts } from './hosts.js';
import { identityOf, type Role, Roles } from './roles.js';
import { type SessionIndex, Sessions } from './sessions.js';

/** Limit of the messages that are drawn at the end of a capture. */
const MAX_RUNGS = 200_000;

const TIME_WIDTH = 10;
/** Columns of the text before the first lifeline. */
const LEFT = TIME_WIDTH + 2;

/** Least and most columns of text between two lifelines. */
const MIN_GAP = 19;
const MAX_GAP = 44;

/** Lines of a legend for hosts of one kind, and for sessions. */
const MAX_LEGEND = 24;

/** Limit of the RADIUS hosts whose ports are joined. */
const MAX_RADIUS = 4096;

/** The order in which the hosts of a role share a column if there is too little room. */
const SHARED: readonly Role[] = ['PaC', 'client', 'server', 'PRE', 'PAA'];

interface Rung {
  readonly at: number;
  readonly from: EndpointIndex;
  readonly to: EndpointIndex;
  readonly name: string;
  readonly short: string;
  readonly isRepeat: boolean;
  readonly session: SessionIndex | undefined;
}

/** A lifeline: one host, or all of a role. */
interface Column {
  readonly name: string;
  readonly hosts: readonly Host[];
}

interface Layout {
  readonly columns: readonly Column[];
  readonly legend: readonly string[];
  /** Columns of text between two lifelines. */
  readonly gap: number;
  /** The column of each host, and its number if it shares the column. */
  readonly places: ReadonlyMap<EndpointIndex, { readonly column: number; readonly number: number | undefined }>;
}

/** Draws the messages of a capture as a ladder. A column is a host, or a port of a client. */
export class CaptureLadder {
  readonly #width: number;
  readonly #hosts = new Hosts();
  readonly #roles = new Roles();
  readonly #sessions = new Sessions();
  readonly #rungs: Rung[] = [];
  readonly #numbers = new Map<SessionIndex, number>();
  /** The PAA of each session. */
  readonly #paas = new Map<SessionIndex, EndpointIndex>();
  readonly #radius = new RecentMap<EndpointIndex>(MAX_RADIUS);
  /** The lines of the legend of a ladder that grows. */
  readonly #said = new Set<string>();
  #left = 0;
  #begin: number | undefined;
  #drawn: { readonly version: number; readonly layout: Layout } | undefined;

  /** `width`: columns of the terminal. */
  constructor(width: number) {
    this.#width = width;
  }

  add(heard: Heard): void {
    if (this.#rungs.length >= MAX_RUNGS) {
      this.#left += 1;
      return;
    }
    const { at, name, short, content } = heard;
    const [fromRole, toRole] = this.#roles.of(heard);
    const from = this.#hosts.endpoint(fromRole, heard.from);
    const to = this.#hosts.endpoint(toRole, heard.to);
    this.#hosts.talk(from, to);
    if (content.protocol === 'radius') {
      this.#joinRadius(from, fromRole, heard.from.address);
      this.#joinRadius(to, toRole, heard.to.address);
    }
    const identity = content.protocol === 'diameter' ? identityOf(content.message) : undefined;
    if (identity !== undefined) this.#hosts.identify(from, identity);
    const session = this.#sessionOf(heard, fromRole === 'PaC' || fromRole === 'PRE');
    if (session !== undefined) {
      if (content.protocol === 'pana') this.#paas.set(session, fromRole === 'PAA' ? from : to);
      else if (content.message) this.#joinPaa(session, fromRole === 'client' ? from : to);
    }
    this.#begin ??= at;
    this.#rungs.push({ at, from, to, name, short, isRepeat: heard.repeats !== undefined, session });
  }

  /** An address is one client or server of RADIUS, which uses several ports. */
  #joinRadius(index: EndpointIndex, role: Role, address: string): void {
    const key = `${role} ${address}`;
    const first = this.#radius.get(key);
    if (first === undefined) this.#radius.set(key, index);
    else this.#hosts.join(first, index);
  }

  /** The Diameter or RADIUS client of a session is its PAA. */
  #joinPaa(session: SessionIndex, client: EndpointIndex): void {
    const paa = this.#paas.get(this.#sessions.numberOf(session)) ?? this.#paas.get(session);
    if (paa !== undefined) this.#hosts.join(paa, client);
  }

  #sessionOf({ from, to, content }: Heard, fromPac: boolean): SessionIndex | undefined {
    if (content.protocol === 'diameter') return content.message && this.#sessions.diameter(content.message);
    if (content.protocol === 'radius') return this.#sessions.radius(content.message, from, to);
    const pac = content.relayed?.pac ?? (fromPac ? from : to);
    return this.#sessions.pana(content.relayed?.message ?? content.message, pac, (fromPac ? to : from).address);
  }

  /** The whole ladder with its legend; undefined if there is nothing to draw. */
  draw(): string | undefined {
    if (this.#rungs.length === 0) return undefined;
    const { layout } = this.#layout();
    const several = new Set(
      this.#rungs.flatMap(({ session }) => (session === undefined ? [] : [this.#numberOf(session)])),
    );
    const rungs = this.#rungs.map((rung) => this.#line(rung, layout, several.size > 1));
    const left = this.#left === 0 ? [] : [`${this.#left} more messages are not drawn`];
    const sessions = several.size > 1 ? this.#sessionLegend() : [];
    return [...this.#head(layout), ...rungs, ...left, ...sessions].join('\n');
  }

  /** The lines for the messages that were added since, for a capture that goes on. They are not kept. */
  next(): string[] {
    const { layout, isNew } = this.#layout();
    const lines = this.#rungs.map((rung) => this.#line(rung, layout, true));
    this.#rungs.length = 0;
    return isNew && lines.length > 0 ? [...this.#newHead(layout), ...lines] : lines;
  }

  /** The names of the columns, and what the legend did not say before. */
  #newHead(layout: Layout): string[] {
    const isFirst = this.#said.size === 0;
    const legend = layout.legend.filter((line) => !this.#said.has(line));
    for (const line of legend) this.#said.add(line);
    if (isFirst) return this.#head(layout);
    return ['', ...legend, ...(legend.length > 0 ? [''] : []), ...this.#head(layout).slice(-1)];
  }

  #layout(): { readonly layout: Layout; readonly isNew: boolean } {
    if (this.#drawn?.version === this.#hosts.version) return { layout: this.#drawn.layout, isNew: false };
    const layout = layoutOf(this.#hosts.all, this.#width);
    // Hosts may have turned out to be one while they were listed.
    this.#drawn = { version: this.#hosts.version, layout };
    return { layout, isNew: true };
  }

  #head({ columns, legend, gap }: Layout): string[] {
    const names = columns.map(({ name }) => name.slice(0, gap - 1).padEnd(gap)).join('');
    const begin = new Date(this.#begin ?? 0).toISOString();
    return [...legend, `begins ${begin}`, '', `${'ms'.padStart(TIME_WIDTH)}  ${names}`.trimEnd()];
  }

  /** Sessions are numbered as they are drawn. */
  #numberOf(index: SessionIndex): number {
    const root = this.#sessions.numberOf(index);
    const number = this.#numbers.get(root) ?? this.#numbers.size + 1;
    this.#numbers.set(root, number);
    return number;
  }

  #sessionLegend(): string[] {
    const lines = [...this.#numbers].map(([index, number]) => {
      const { pana, diameter, radius, user } = this.#sessions.session(index) ?? {};
      const parts = [
        user,
        pana === undefined ? undefined : `PANA ${pana.toString(16).padStart(8, '0')}`,
        diameter === undefined ? undefined : `Diameter ${diameter}`,
        radius === undefined ? undefined : `RADIUS ${radius}`,
      ];
      return `  #${String(number).padEnd(4)} ${visible(parts.filter((part) => part !== undefined).join('  '))}`.trimEnd();
    });
    return ['', 'sessions', ...shortened(lines)];
  }

  #line({ at, from, to, name, short, isRepeat, session }: Rung, layout: Layout, numbered: boolean): string {
    const { gap, columns, places } = layout;
    const start = places.get(this.#hosts.root(from));
    const end = places.get(this.#hosts.root(to));
    const a = start?.column ?? 0;
    const b = end?.column ?? 0;
    const who = [start?.number, end?.number].flatMap((number) => (number === undefined ? [] : [number])).join(' to ');
    const before = who === '' ? '' : `${who}: `;
    const after = isRepeat ? ' (repeat)' : '';
    const room = Math.max(gap * Math.max(1, Math.abs(b - a)) - 1, 8);
    const full = `${before}${name}${after}`;
    const label = visible(cut(full.length + 6 > room ? `${before}${short}${after}` : full, room - 6));
    const line = Array.from({ length: columns.length }, (_, i) =>
      i === columns.length - 1 ? '|' : `|${' '.repeat(gap - 1)}`,
    );
    const left = Math.min(a, b);
    const arrow =
      b > a
        ? `-- ${label} `.padEnd(room - 1, '-').concat('>')
        : a > b
          ? `<- ${label} `.padEnd(room, '-')
          : `-- ${label} -.`;
    const drawn = [
      ...line.slice(0, left),
      '|',
      arrow,
      ...(a === b ? [' '.repeat(Math.max(0, gap - 1 - arrow.length))] : []),
    ];
    const rest = a === b ? line.slice(left + 1) : line.slice(Math.max(a, b));
    const time = (at - (this.#begin ?? 0)).toFixed(1).padStart(TIME_WIDTH);
    const number = numbered && session !== undefined ? ` #${this.#numberOf(session)}` : '';
    return `${time}  ${[...drawn, ...rest].join('')}${number}`;
  }
}

/** Hosts side by side; if there are too many, those of a role share a column, and each has a number in it. */
function layoutOf(hosts: readonly Host[], width: number): Layout {
  // After the last lifeline there is room for the number of a session.
  const room = width - LEFT - 6;
  const most = Math.max(2, Math.floor(room / MIN_GAP) + 1);
  const shared = new Set<Role>();
  const columnsOf = () => {
    const columns: Column[] = [];
    for (const role of new Set(hosts.map((host) => host.role))) {
      const same = hosts.filter((host) => host.role === role);
      if (shared.has(role) && same.length > 1) columns.push({ name: `${role}s`, hosts: same });
      else
        for (const [i, host] of same.entries()) columns.push({ name: numbered(role, same.length, i), hosts: [host] });
    }
    return columns;
  };
  for (const role of SHARED) {
    if (columnsOf().length <= most) break;
    shared.add(role);
  }
  const columns = columnsOf();
  const places: Map<EndpointIndex, { readonly column: number; readonly number: number | undefined }> = new Map();
  const legend: string[] = [];
  for (const [column, { hosts: list, name }] of columns.entries()) {
    const lines: string[] = [];
    for (const [i, host] of list.entries()) {
      places.set(host.first, { column, number: list.length > 1 ? i + 1 : undefined });
      const label = list.length > 1 ? numbered(host.role, list.length, i) : name;
      lines.push(visible(`${label.padEnd(LEFT - 2)}  ${host.text}`));
    }
    legend.push(...shortened(lines));
  }
  const gap = columns.length < 2 ? MAX_GAP : Math.floor(room / (columns.length - 1));
  return { columns, legend, places, gap: Math.min(MAX_GAP, Math.max(gap, Math.min(MIN_GAP, 12))) };
}

function numbered(role: Role, of: number, i: number): string {
  return of === 1 ? role : `${role} ${i + 1}`;
}

function shortened(lines: readonly string[]): readonly string[] {
  if (lines.length <= MAX_LEGEND) return lines;
  return [...lines.slice(0, MAX_LEGEND), `… ${lines.length - MAX_LEGEND} more`];
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, Math.max(0, length - 1))}…`;
}
