import { card, el, follow, setBadge, setText, textOf, words } from './dom.js';
import { LadderView, nameOf } from './ladder.js';
import { clock, counterParts, duration, grouped } from './state.js';

/** The colour and the word of each state. */
const TONES = {
  running: 'busy',
  authorized: 'good',
  refused: 'bad',
  ended: 'idle',
  up: 'good',
  draining: 'busy',
  down: 'idle',
  silent: 'bad',
  served: 'good',
  discarded: 'bad',
  'not seen': 'idle',
};

const LEVELS = { 30: 'info', 40: 'warn', 50: 'error', 60: 'fatal' };
const EVENT_FIELDS = new Set(['level', 'name', 'time', 'at', 'msg']);

/** Facts as a definition list. `rows`: `{ name, value }`. */
export class Facts {
  constructor(title, read) {
    this.read = read;
    this.list = el('dl', { class: 'facts' });
    this.element = card(title, this.list);
  }

  render(state) {
    const items = this.read(state);
    this.element.hidden = items.length === 0;
    follow(
      this.list,
      items,
      ({ name }) => name,
      () => el('div', {}, el('dt'), el('dd')),
      (row, { name, value }) => {
        setText(row.children[0], words(name));
        setText(row.children[1], factText(name, value));
      },
    );
  }
}

/** Facts that are times in seconds. */
const SECONDS = new Set(['remainingSeconds', 'lifetime']);

function factText(name, value) {
  if (typeof value !== 'number') return textOf(value);
  return SECONDS.has(name) ? duration(value * 1000) : grouped(value);
}

/** The arriving clients as a list, and the ladder of the chosen one. */
export class Clients {
  constructor(title = 'Arriving clients') {
    this.chosen = undefined;
    this.list = el('ul', { class: 'picker', 'aria-label': title, keydown: (event) => this.key(event) });
    this.filter = el('input', {
      type: 'search',
      placeholder: 'Find',
      'aria-label': 'Find a client',
      input: () => this.again(),
    });
    this.ladder = new LadderView();
    this.element = el(
      'div',
      { class: 'split' },
      el('section', { class: 'card', 'aria-label': title }, el('h2', {}, title), this.filter, this.list),
      this.ladder.element,
    );
  }

  again() {
    if (this.state) this.render(this.state);
  }

  render(state) {
    this.state = state;
    const wanted = this.filter.value.trim().toLowerCase();
    const all = [...state.ladders.values()].sort((a, b) => b.head.id - a.head.id);
    const shown = all.filter(
      ({ head }) =>
        wanted === '' ||
        [head.who, head.session, head.address, head.homeAddress].some((text) => text?.toLowerCase().includes(wanted)),
    );
    follow(
      this.list,
      shown,
      ({ head }) => head.id,
      ({ head }) =>
        el(
          'li',
          {},
          el(
            'button',
            { type: 'button', click: () => this.choose(head.id) },
            el('span', { class: 'who' }),
            el('span', { class: 'badge' }),
            el('span', { class: 'quiet when' }),
          ),
        ),
      (item, { head, rungs }) => {
        const [button] = item.children;
        const [who, state, when] = button.children;
        setText(who, nameOf(head));
        setBadge(state, head.state, TONES[head.state] ?? 'idle');
        const took = head.duration === undefined ? counted(rungs.length, 'message') : duration(head.duration);
        setText(when, `${clock(head.startedAt, Date.now())} · ${took}`);
        button.setAttribute('aria-pressed', String(head.id === this.shown(shown)?.head.id));
      },
    );
    // Tab stops at one of the list; arrows move in it.
    const buttons = [...this.list.children].map((item) => item.firstElementChild);
    const stop = buttons.find((button) => button === document.activeElement) ?? buttons.find(isPressed);
    for (const button of buttons) button.tabIndex = button === stop ? 0 : -1;
    this.ladder.show(this.shown(shown), state.columns);
  }

  /** Moves through the list with the keyboard; what is reached is shown. */
  key(event) {
    const items = [...this.list.children];
    const at = items.findIndex((item) => item.contains(document.activeElement));
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
    const next = to === undefined ? undefined : items[Math.max(0, Math.min(items.length - 1, to))];
    if (!next) return;
    event.preventDefault();
    next.firstElementChild.focus();
    this.choose(Number(next.dataset.key));
  }

  /** The chosen ladder; without a choice, the newest. */
  shown(list) {
    return list.find(({ head }) => head.id === this.chosen) ?? list[0];
  }

  choose(id) {
    this.chosen = id;
    this.again();
  }
}

function isPressed(button) {
  return button.getAttribute('aria-pressed') === 'true';
}

/** The peers of Diameter, or the RADIUS servers of a PAA. */
export class Peers {
  constructor() {
    this.list = el('ul', { class: 'lines-list' });
    this.empty = el('p', { class: 'quiet' }, 'No peers are configured.');
    this.element = card('Diameter peers', this.list, this.empty);
  }

  render(state) {
    const peers = state.rows('peers');
    const title = state.value('facts', 'protocol') === 'radius' ? 'RADIUS servers' : 'Diameter peers';
    setText(this.element.firstElementChild, title);
    this.element.setAttribute('aria-label', title);
    this.empty.hidden = peers.length > 0;
    follow(
      this.list,
      peers,
      ({ host }) => host,
      () => el('li', {}, el('span', { class: 'badge' }), el('strong'), el('span', { class: 'quiet' })),
      (item, { host, up, state: name, remoteAddress, productName, inFlight, serving }) => {
        const [mark, title, more] = item.children;
        setBadge(mark, up ? 'up' : 'down', up ? 'good' : 'bad');
        setText(title, host);
        const busy = inFlight + serving > 0 ? `${inFlight} requests to it, ${serving} from it` : undefined;
        setText(more, [remoteAddress, productName, up ? undefined : name, busy].filter(Boolean).join(' · '));
      },
    );
  }
}

/** The RADIUS clients of an AAA server, and what they got. */
export class RadiusClients {
  constructor() {
    this.list = el('ul', { class: 'lines-list' });
    this.element = card('RADIUS clients', this.list);
  }

  render(state) {
    const clients = state.rows('radiusClients');
    this.element.hidden = clients.length === 0;
    follow(
      this.list,
      clients,
      ({ name }) => name,
      () => el('li', {}, el('span', { class: 'badge' }), el('strong'), el('span', { class: 'quiet' })),
      (item, { name, from, accepted, rejected, discarded, lastAnswer, problem }) => {
        const [mark, title, more] = item.children;
        const word = problem !== undefined ? 'discarded' : lastAnswer !== undefined ? 'served' : 'not seen';
        setBadge(mark, word, TONES[word]);
        setText(title, name);
        const facts = [
          from,
          lastAnswer === undefined ? undefined : `last answer ${clock(Date.parse(lastAnswer), Date.now())}`,
          `${accepted} accepted, ${rejected} rejected, ${discarded} discarded`,
          problem === undefined ? undefined : `last one discarded: ${problem}`,
        ];
        setText(more, facts.filter(Boolean).join(' · '));
      },
    );
  }
}

/** Hooks that wait, run, or have failed. */
export class Hooks {
  constructor() {
    this.list = el('ul', { class: 'lines-list' });
    this.empty = el('p', { class: 'quiet' }, 'No hook is waiting.');
    this.element = card('Hooks', this.list, this.empty);
  }

  render(state) {
    const hooks = state.rows('hooks');
    this.empty.hidden = hooks.length > 0;
    follow(
      this.list,
      hooks,
      ({ role, subject, event }) => `${role} ${subject} ${event}`,
      () => el('li', {}, el('span', { class: 'badge' }), el('strong'), el('span', { class: 'quiet' })),
      (item, { subject, event, tries, problem }) => {
        const [mark, title, more] = item.children;
        setBadge(mark, problem === undefined ? 'running' : 'failing', problem === undefined ? 'busy' : 'bad');
        setText(title, `${subject} · ${event}`);
        setText(more, problem === undefined ? '' : `${tries} tries · ${problem}`);
      },
    );
  }
}

/** The enforcement point of a PAA. */
export class Enforcement {
  constructor() {
    this.mark = el('span', { class: 'badge' });
    this.facts = new Facts('', (state) => factsOfPoint(state));
    this.element = card('Enforcement point', this.mark, this.facts.list);
  }

  render(state) {
    const { program, ready } = state.table('enforcement').get('ep') ?? {};
    if (program === undefined) setBadge(this.mark, 'none: everybody may pass', 'bad');
    else setBadge(this.mark, ready ? 'in force' : 'not set up', ready ? 'good' : 'bad');
    this.facts.render(state);
  }
}

function factsOfPoint(state) {
  const { program, clients, pending } = state.table('enforcement').get('ep') ?? {};
  if (program === undefined) return [{ name: 'hook', value: 'hooks.ep is not configured' }];
  return [
    { name: 'hook', value: program },
    { name: 'clients that may pass', value: clients },
    { name: 'reports that wait', value: pending },
  ];
}

/** The DHCPv6 relay agent of a PAA as facts. Empty without one. */
export function factsOfRelay(state) {
  const facts = state.rows('dhcpRelay');
  if (facts.length === 0) return [];
  return [
    ...facts,
    { name: 'messages to servers', value: sumOf(state, 'dhcpv6_forwarded') },
    { name: 'messages to clients', value: sumOf(state, 'dhcpv6_delivered') },
    { name: 'discarded', value: sumOf(state, 'dhcpv6_dropped') },
  ];
}

/** The sum of a counter over its labels. */
function sumOf(state, base) {
  const rows = state.rows('counters').filter(({ name }) => counterParts(name).base === base);
  return rows.reduce((sum, { value }) => sum + value, 0);
}

/** Counters of one name as bars, by one label. */
export class Bars {
  constructor(title, base, label, empty) {
    this.base = base;
    this.label = label;
    this.list = el('ul', { class: 'bars' });
    this.empty = el('p', { class: 'quiet' }, empty);
    this.element = card(title, this.list, this.empty);
  }

  render(state) {
    const rows = state
      .rows('counters')
      .map(({ name, value }) => ({ ...counterParts(name), value }))
      .filter(({ base }) => base === this.base)
      .map(({ labels, value }) => ({ name: this.label(labels), value }))
      .sort((a, b) => b.value - a.value);
    const most = Math.max(1, ...rows.map(({ value }) => value));
    this.empty.hidden = rows.length > 0;
    follow(
      this.list,
      rows,
      ({ name }) => name,
      () => el('li', {}, el('span'), el('meter', { min: 0 }), el('output')),
      (item, { name, value }) => {
        const [title, bar, number] = item.children;
        setText(title, name);
        bar.max = most;
        bar.value = value;
        bar.setAttribute('aria-label', `${name}: ${value}`);
        setText(number, grouped(value));
      },
    );
  }
}

/** All counters, with what came in the last seconds. */
export class Counters {
  constructor() {
    this.body = el('tbody');
    this.element = card(
      'Counters',
      el(
        'table',
        {},
        el(
          'thead',
          {},
          el('tr', {}, el('th', { scope: 'col' }, 'Counter'), el('th', { scope: 'col', class: 'number' }, 'Count')),
        ),
        this.body,
      ),
    );
  }

  render(state) {
    const rows = state.rows('counters').sort((a, b) => a.name.localeCompare(b.name));
    follow(
      this.body,
      rows,
      ({ name }) => name,
      () => el('tr', {}, el('td'), el('td', { class: 'number' })),
      (row, { name, value }) => {
        setText(row.children[0], name.replace('{', ' {').replaceAll(',', ', '));
        setText(row.children[1], grouped(value));
      },
    );
  }
}

/** The last events, the newest first. `of`: only those for which it returns true. */
export class Events {
  constructor(title = 'Events', of = () => true) {
    this.of = of;
    this.list = el('ul', { class: 'events', 'aria-label': title });
    this.filter = el('input', {
      type: 'search',
      placeholder: 'Find',
      'aria-label': 'Find an event',
      input: () => this.again(),
    });
    this.element = el('section', { class: 'card', 'aria-label': title }, el('h2', {}, title), this.filter, this.list);
    /** Numbers of the events, since an event has no name of its own. */
    this.numbers = new WeakMap();
    this.last = 0;
  }

  again() {
    if (this.state) this.render(this.state);
  }

  render(state) {
    this.state = state;
    const wanted = this.filter.value.trim().toLowerCase();
    const events = state.log
      .filter(this.of)
      .filter((event) => wanted === '' || lineOf(event).toLowerCase().includes(wanted));
    follow(
      this.list,
      events.reverse(),
      (event) => this.numberOf(event),
      (event) =>
        el(
          'li',
          { class: LEVELS[event.level] ?? 'info' },
          el('time', { datetime: event.time }, clock(event.at, Date.now())),
          el('span', { class: 'level' }, LEVELS[event.level] ?? 'info'),
          el('strong', {}, event.msg),
          el('span', { class: 'quiet' }, fieldsOf(event)),
        ),
      () => undefined,
    );
  }

  numberOf(event) {
    if (!this.numbers.has(event)) {
      this.last += 1;
      this.numbers.set(event, this.last);
    }
    return this.numbers.get(event);
  }
}

function fieldsOf(event) {
  return Object.entries(event)
    .filter(([name, value]) => !EVENT_FIELDS.has(name) && value !== undefined)
    .map(([name, value]) => `${name}=${fieldText(name, value)}`)
    .join('  ');
}

function counted(count, noun) {
  return `${grouped(count)} ${noun}${count === 1 ? '' : 's'}`;
}

/** Fields of events that are times, and their unit in milliseconds. */
const TIMES = { duration: 1, lifetime: 1000 };

function fieldText(name, value) {
  return Object.hasOwn(TIMES, name) && typeof value === 'number' ? duration(value * TIMES[name]) : textOf(value);
}

function lineOf(event) {
  return `${event.msg} ${fieldsOf(event)}`;
}

export function toneOf(state) {
  return TONES[state] ?? 'idle';
}
