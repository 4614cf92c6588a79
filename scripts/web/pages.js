import { act, ask, notify } from './actions.js';
import { badge, card, el, follow, setBadge, setText, textOf, words } from './dom.js';
import { clock, duration, grouped } from './state.js';
import { VirtualTable } from './table.js';
import {
  Bars,
  Clients,
  Counters,
  Enforcement,
  Events,
  Facts,
  factsOfRelay,
  Hooks,
  Peers,
  RadiusClients,
  toneOf,
} from './views.js';

/** How long after the last key a search is sent, in milliseconds, and how often an open list is read again. */
const SEARCH_DELAY = 250;
const LIST_INTERVAL = 5_000;

/** A view of several parts. `parts` that have `render` follow the state. */
class Together {
  constructor(className, ...parts) {
    this.parts = parts;
    this.element = el('div', { class: className }, ...parts.map(({ element }) => element));
  }

  render(state) {
    for (const part of this.parts) part.render?.(state);
  }
}

/** What is known of a thing, with buttons, beside a table. */
class Details {
  /** `origin`: gets the focus back. */
  constructor(title, origin) {
    this.origin = origin;
    this.element = el('aside', {
      class: 'card details',
      'aria-label': title,
      hidden: true,
      tabindex: -1,
      keydown: (event) => {
        if (event.key === 'Escape') this.hide();
      },
    });
  }

  /** `byKey`: it was opened with the keyboard, which goes on in it. */
  show(heading, facts, buttons, byKey, ...more) {
    const close = el(
      'button',
      { type: 'button', class: 'close', 'aria-label': 'Close', title: 'Close (Escape)', click: () => this.hide() },
      '×',
    );
    this.facts = el('dl', { class: 'facts' });
    this.element.replaceChildren(
      el('h2', {}, heading, close),
      this.facts,
      el('div', { class: 'buttons' }, ...buttons),
      ...more,
    );
    this.element.hidden = false;
    this.update(facts);
    this.element.scrollTop = 0;
    if (byKey) this.element.focus();
  }

  /** `facts`: pairs of name and value. */
  update(facts) {
    follow(
      this.facts,
      facts.filter(([, value]) => value !== undefined && value !== null),
      ([name]) => name,
      ([name]) => el('div', {}, el('dt', {}, name), el('dd')),
      (item, [, value]) => setText(item.children[1], textOf(value)),
    );
  }

  hide() {
    const hadFocus = this.element.contains(document.activeElement);
    this.element.hidden = true;
    if (hadFocus) this.origin.focus();
  }
}

function button(text, onClick, className = '') {
  return el('button', { type: 'button', class: className, click: onClick }, text);
}

// ----------------------------------------------------------------------------------------------------------- the PAA

class PaaSessions {
  constructor() {
    this.seen = '';
    this.filter = el('input', {
      type: 'search',
      placeholder: 'Find by NAI, address or session',
      'aria-label': 'Find a session',
      input: () => this.again(),
    });
    this.count = el('span', { class: 'quiet' });
    this.table = new VirtualTable(
      'Sessions',
      [
        { title: 'Session', width: '6rem', text: (row) => row.session },
        { title: 'Subscriber', width: 'minmax(9rem, 2fr)', text: (row) => row.nai },
        { title: 'State', width: 'minmax(7rem, 9.5rem)', text: (row) => row.state },
        { title: 'Address', width: 'minmax(8rem, 1.5fr)', text: (row) => row.address },
        { title: 'Home address', width: 'minmax(9rem, 2fr)', text: (row) => row.homeAddress },
        { title: 'Left', width: '5rem', text: (row) => this.left(row) },
      ],
      { keyOf: (row) => row.session, onOpen: (row, byKey) => this.open(row, byKey) },
    );
    this.details = new Details('Session', this.table.scroller);
    this.element = el(
      'div',
      { class: 'side' },
      el(
        'section',
        { class: 'card grow', 'aria-label': 'Sessions' },
        el('div', { class: 'bar' }, el('h2', {}, 'Sessions'), this.count, this.filter),
        this.table.element,
      ),
      this.details.element,
    );
  }

  left({ until }) {
    return until === undefined ? undefined : duration(until - Date.now() - this.state.skew);
  }

  again() {
    this.seen = '';
    if (this.state) this.render(this.state);
  }

  render(state) {
    this.state = state;
    if (this.seen === state.version('sessions')) return;
    this.seen = state.version('sessions');
    const wanted = this.filter.value.trim().toLowerCase();
    const all = state.rows('sessions');
    const shown =
      wanted === ''
        ? all
        : all.filter((row) =>
            [row.nai, row.address, row.session, row.homeAddress].some((text) => text?.toLowerCase().includes(wanted)),
          );
    setText(this.count, wanted === '' ? grouped(all.length) : `${grouped(shown.length)} of ${grouped(all.length)}`);
    this.table.set(shown);
    if (this.opened === undefined) return;
    const row = state.table('sessions').get(this.opened);
    if (row) this.details.update(this.factsOf(row));
    else {
      this.opened = undefined;
      this.details.hide();
    }
  }

  factsOf(row) {
    return [
      ['Session', row.session],
      ['State', row.state],
      ['Address', `${row.address} port ${row.port}`],
      ['Encryption', row.encryption],
      ['Left', this.left(row)],
      ['Home agent', row.homeAgent],
      ['Home address', row.homeAddress],
      ['AAA session', row.diameterSession],
    ];
  }

  open(row, byKey) {
    this.opened = row.session;
    const whose = `${row.nai ?? row.address} (session ${row.session})`;
    this.details.show(
      row.nai ?? row.address,
      this.factsOf(row),
      [
        button('Re-authenticate', () =>
          act(
            'reauthenticate',
            { session: row.session },
            {
              title: 'Re-authenticate this client?',
              text: `The client of ${whose} authenticates again. Its session goes on meanwhile.`,
              verb: 'Re-authenticate',
              done: 'The client has been asked to authenticate again.',
            },
          ),
        ),
        button(
          'Disconnect',
          () =>
            act(
              'disconnect',
              { session: row.session },
              {
                title: 'Disconnect this client?',
                text: `The session of ${whose} ends, and the client loses access.`,
                verb: 'Disconnect',
                done: 'The session is being terminated.',
              },
            ),
          'danger',
        ),
      ],
      byKey,
    );
  }
}

// ---------------------------------------------------------------------------------------------------- the AAA server

/** A list of the AAA server's store, read page by page while it is scrolled, with a search. */
class StoreList {
  constructor(title, list, searchBy, columns, keyOf, show) {
    this.list = list;
    this.searchBy = searchBy;
    this.keyOf = keyOf;
    this.rows = [];
    this.next = undefined;
    this.count = el('span', { class: 'quiet' });
    this.filter = el('input', {
      type: 'search',
      placeholder: searchBy.hint,
      'aria-label': `Search: ${searchBy.hint}`,
      input: () => this.searchSoon(),
    });
    this.table = new VirtualTable(title, columns, {
      keyOf,
      onOpen: (row, byKey) => show(row, this.details, () => this.read(), byKey),
      onNearEnd: () => this.readMore(),
    });
    this.details = new Details(title, this.table.scroller);
    this.element = el(
      'div',
      { class: 'side' },
      el(
        'section',
        { class: 'card grow', 'aria-label': title },
        el('div', { class: 'bar' }, el('h2', {}, title), this.count, this.filter),
        this.table.element,
      ),
      this.details.element,
    );
  }

  opened() {
    void this.read();
    this.timer = setInterval(() => {
      // A list that was scrolled far stays as it is: its rows would come again page by page.
      if (this.table.scroller.scrollTop < 1_000) void this.read();
    }, LIST_INTERVAL);
  }

  closed() {
    clearInterval(this.timer);
    this.details.hide();
  }

  searchSoon() {
    clearTimeout(this.searching);
    this.searching = setTimeout(() => void this.read(), SEARCH_DELAY);
  }

  async read() {
    const page = await this.page(undefined);
    if (page) this.take(page.items, page.next);
  }

  async readMore() {
    if (this.next === undefined || this.reading) return;
    this.reading = true;
    const page = await this.page(this.next);
    this.reading = false;
    if (page) this.take([...this.rows, ...page.items], page.next);
  }

  async page(from) {
    const wanted = this.filter.value.trim();
    const query = new URLSearchParams();
    if (wanted !== '') query.set(this.searchBy.name, wanted);
    if (from !== undefined) query.set('from', from);
    try {
      const page = await ask(`/api/list/${this.list}?${query}`);
      // The search has changed while the answer was on its way.
      return wanted === this.filter.value.trim() ? page : undefined;
    } catch (error) {
      notify(error.message, true);
      return undefined;
    }
  }

  take(rows, next) {
    this.rows = rows;
    this.next = next ?? undefined;
    setText(this.count, `${grouped(rows.length)}${this.next === undefined ? '' : ' and more'}`);
    this.table.set(rows);
  }
}

class HomeAgents {
  constructor() {
    this.list = el('ul', { class: 'agents' });
    this.empty = el('p', { class: 'quiet' }, 'No home agents. "pana-aaa home-agent add" adds one.');
    this.element = card('Home agents', this.list, this.empty);
  }

  render(state) {
    const agents = state.rows('homeAgents').sort((a, b) => a.name.localeCompare(b.name));
    this.empty.hidden = agents.length > 0;
    follow(
      this.list,
      agents,
      ({ name }) => name,
      ({ name }) =>
        el(
          'li',
          {},
          el('strong', {}, name),
          el('span', { class: 'badge' }),
          el('span', { class: 'quiet' }),
          el('meter', { min: 0 }),
          el('output'),
          button('Drain', () => this.drain(state.table('homeAgents').get(name))),
        ),
      (item, agent) => {
        const { name, address, leases, capacity } = agent;
        const [, mark, where, bar, load, drain] = item.children;
        const word = agent.state !== 'down' && agent.failedBy !== undefined ? 'silent' : agent.state;
        setBadge(mark, word, toneOf(word));
        setText(where, address);
        bar.max = Math.max(1, capacity);
        bar.high = capacity * 0.9;
        bar.low = capacity * 0.7;
        bar.optimum = 0;
        bar.value = leases;
        bar.setAttribute('aria-label', `${name}: ${leases} of ${capacity} leases`);
        setText(load, `${grouped(leases)} of ${grouped(capacity)}`);
        setText(drain, agent.state === 'up' ? 'Drain' : 'Use again');
        drain.setAttribute('aria-label', `${drain.textContent} ${name}`);
      },
    );
  }

  drain({ name, state, leases }) {
    if (state === 'up') {
      void act(
        'drain',
        { name },
        {
          title: `Drain ${name}?`,
          text: `${name} gets no new nodes. Its ${grouped(leases)} nodes stay.`,
          verb: 'Drain',
          done: `${name} gets no new nodes.`,
        },
      );
    } else {
      void act(
        'up',
        { name },
        {
          title: `Use ${name} again?`,
          text: `New nodes are assigned to ${name} again.`,
          verb: 'Use again',
          done: `${name} is assigned again.`,
        },
      );
    }
  }
}

/** A session or subscriber of the AAA server: its data, its actions, its history, changes and ladders. */
function showSubject(details, state, heading, facts, of, nai, again, canEnd, byKey) {
  const history = el('ul', { class: 'small' });
  const audit = el('ul', { class: 'small' });
  const own = [...state.ladders.values()].filter(({ head }) => head.session === of || head.who === nai);
  const ladders = own.map(({ head }) =>
    el(
      'li',
      {},
      el('a', { href: `#clients/${head.id}` }, clock(head.startedAt, Date.now())),
      ' ',
      badge(head.state, toneOf(head.state)),
      head.duration === undefined ? '' : ` ${duration(head.duration)}`,
    ),
  );
  const whose = nai === of ? of : `${nai} (session ${of})`;
  const run = (name, words) => async () => {
    await act(name, { of }, words);
    again();
  };
  details.show(
    heading,
    facts,
    canEnd
      ? [
          button(
            'Re-authenticate',
            run('reauthenticate', {
              title: 'Re-authenticate?',
              text: `The PAA asks the client of ${whose} to authenticate again.`,
              verb: 'Re-authenticate',
              done: 'The PAA has been asked.',
            }),
          ),
          button(
            'Disconnect',
            run('disconnect', {
              title: 'Disconnect?',
              text: `The PAA ends the session of ${whose}, and the client loses access.`,
              verb: 'Disconnect',
              done: 'The session is being terminated.',
            }),
            'danger',
          ),
        ]
      : [],
    byKey,
    el('h3', {}, 'Ladders'),
    ladders.length > 0
      ? el('ul', { class: 'small' }, ...ladders)
      : el('p', { class: 'quiet' }, 'None of the last ones.'),
    el('h3', {}, 'Home addresses'),
    history,
    el('h3', {}, 'Audit trail'),
    audit,
  );
  void fill(
    history,
    `/api/list/history?of=${encodeURIComponent(nai)}`,
    (row) =>
      `${row.homeAddress} at ${row.homeAgent} · ${clock(row.acquiredAt)} to ${row.endedAt ? clock(row.endedAt) : 'now'}`,
  );
  void fill(
    audit,
    `/api/list/audit?of=${encodeURIComponent(nai)}`,
    (row) => `${clock(row.at)} · ${row.who} · ${words(row.what)}`,
  );
}

/** Fills a list with what the store answers. */
async function fill(list, path, textOfRow) {
  try {
    const { items } = await ask(path);
    const rows = items.slice(0, 20).map((row) => el('li', {}, textOfRow(row)));
    list.replaceChildren(...(rows.length > 0 ? rows : [el('li', { class: 'quiet' }, 'Nothing.')]));
  } catch (error) {
    list.replaceChildren(el('li', { class: 'bad' }, error.message));
  }
}

const SESSION_FACTS = (row) => [
  ['Session', row.sessionId],
  ['PAA', row.origin],
  ['Home agent', row.homeAgent],
  ['Home address', row.homeAddress],
  ['Certificate', row.serial],
  ['Since', clock(row.startedAt)],
  ['Until', clock(row.expiresAt)],
];

function aaaViews(state) {
  const clients = new Clients();
  const sessions = new StoreList(
    'Sessions',
    'sessions',
    { name: 'of', hint: 'NAI or Session-Id, in full' },
    [
      { title: 'Subscriber', width: 'minmax(10rem, 2fr)', text: (row) => row.nai },
      { title: 'PAA', width: 'minmax(9rem, 1.5fr)', text: (row) => row.origin },
      { title: 'Home address', width: 'minmax(10rem, 2fr)', text: (row) => row.homeAddress },
      { title: 'Since', width: '5.5rem', text: (row) => clock(row.startedAt, Date.now()) },
      { title: 'Until', width: '5.5rem', text: (row) => clock(row.expiresAt, Date.now()) },
    ],
    (row) => row.sessionId,
    (row, details, again, byKey) =>
      showSubject(details, state, row.nai, SESSION_FACTS(row), row.sessionId, row.nai, again, true, byKey),
  );
  const subscribers = new StoreList(
    'Subscribers',
    'subscribers',
    { name: 'match', hint: 'part of the NAI' },
    [
      { title: 'NAI', width: 'minmax(12rem, 3fr)', text: (row) => row.nai },
      { title: 'State', width: '7rem', text: (row) => (row.enabled ? 'enabled' : 'disabled') },
      { title: 'Mobile IPv6', width: '7rem', text: (row) => row.mip6 },
      { title: 'Home agent', width: 'minmax(7rem, 1fr)', text: (row) => row.homeAgent ?? 'any' },
      { title: 'Takeovers', width: '6rem', text: (row) => row.takeovers },
    ],
    (row) => row.nai,
    (row, details, again, byKey) =>
      showSubject(
        details,
        state,
        row.nai,
        [
          ['State', row.enabled ? 'enabled' : 'disabled'],
          ['Mobile IPv6', row.mip6],
          ['Local home agent', row.localHomeAgent],
          ['Home address by IKEv2', row.ikev2HomeAddress],
          ['Home agent', row.homeAgent ?? 'any'],
          ['Home address', row.homeAddress],
          ['Second session', row.sessions],
          ['Privacy', row.privacy],
          ['Other services', row.services],
          ['Certificate name', row.certificateName],
        ],
        row.nai,
        row.nai,
        again,
        true,
        byKey,
      ),
  );
  const leases = new StoreList(
    'Leases',
    'leases',
    { name: 'of', hint: 'home address, or part of the NAI' },
    [
      { title: 'Home address', width: 'minmax(12rem, 2fr)', text: (row) => row.homeAddress },
      { title: 'Subscriber', width: 'minmax(10rem, 2fr)', text: (row) => row.nai },
      { title: 'Home agent', width: 'minmax(7rem, 1fr)', text: (row) => row.homeAgent.name },
      { title: 'Until', width: '5.5rem', text: (row) => clock(row.expiresAt, Date.now()) },
    ],
    (row) => row.homeAddress,
    (row, details, again, byKey) =>
      showSubject(
        details,
        state,
        row.homeAddress,
        [
          ['Subscriber', row.nai],
          ['Home agent', row.homeAgent.name],
          ['Since', clock(row.acquiredAt)],
          ['Until', clock(row.expiresAt)],
        ],
        row.nai,
        row.nai,
        again,
        false,
        byKey,
      ),
  );
  const audit = new StoreList(
    'Audit trail',
    'audit',
    { name: 'of', hint: 'name, operator or operation' },
    [
      { title: 'At', width: '10rem', text: (row) => clock(row.at) },
      { title: 'What', width: 'minmax(9rem, 1fr)', text: (row) => words(row.what) },
      { title: 'Who', width: 'minmax(9rem, 1fr)', text: (row) => row.who },
      { title: 'With', width: 'minmax(14rem, 3fr)', text: (row) => row.detail },
    ],
    (row) => `${row.at} ${row.what} ${row.detail}`,
    (row, details, _again, byKey) =>
      details.show(
        words(row.what),
        [
          ['At', clock(row.at)],
          ['Who', row.who],
          ['With', row.detail],
        ],
        [],
        byKey,
      ),
  );
  const overview = new Together(
    'cards',
    new HomeAgents(),
    new Facts('Store', (state) => state.rows('store')),
    new Bars('Authentications', 'authentications', (labels) => labels.result, 'None since the daemon started.'),
    new Bars(
      'TLS handshakes',
      'handshakes',
      (labels) => `${labels.tls} ${labels.kind}`,
      'None since the daemon started.',
    ),
    new Peers(),
    new RadiusClients(),
    new Hooks(),
    new Facts('Server', (state) => state.rows('facts')),
  );
  return [
    ['overview', 'Overview', overview],
    ['clients', 'Clients', clients],
    ['sessions', 'Sessions', sessions],
    ['subscribers', 'Subscribers', subscribers],
    ['leases', 'Leases', leases],
    ['audit', 'Audit trail', audit],
    ['events', 'Events', new Events()],
    ['counters', 'Counters', new Counters()],
  ];
}

function paaViews() {
  const network = new Together(
    'cards',
    new Enforcement(),
    new Peers(),
    new Hooks(),
    new Bars('Authentications', 'authorizations', (labels) => labels.result, 'None since the daemon started.'),
    new Facts('DHCPv6 relay agent', factsOfRelay),
    new Facts('Agent', (state) => state.rows('facts')),
  );
  return [
    ['clients', 'Clients', new Clients()],
    ['sessions', 'Sessions', new PaaSessions()],
    ['network', 'Network', network],
    ['events', 'Events', new Events()],
    ['counters', 'Counters', new Counters()],
  ];
}

// ----------------------------------------------------------------------------------------------------------- the PaC

/** The steps of a bootstrap, and what shows that each is done. */
const STEPS = [
  ['Find a PAA', ({ rungs }) => rungs.some(([, , , text]) => text.startsWith('PAR'))],
  [
    'Authenticate',
    ({ head, rungs }) => head.state !== 'refused' && rungs.some(([, , , text]) => text.startsWith('PAR[C]')),
  ],
  ['Session', ({ rungs }) => rungs.some(([, , , text]) => text.startsWith('PAN[C]'))],
  ['Home agent and address', ({ head }) => head.homeAddress !== undefined],
  ['Hooks', ({ rungs }) => rungs.some(([, , , text]) => text.startsWith('hook done'))],
];

class Bootstrap {
  constructor() {
    this.steps = el('ol', { class: 'steps', 'aria-label': 'Bootstrap' });
    this.buttons = el(
      'div',
      { class: 'buttons' },
      button('Re-authenticate', () =>
        act(
          'reauthenticate',
          {},
          {
            title: 'Authenticate again?',
            text: 'The node authenticates again. Its session goes on meanwhile.',
            verb: 'Re-authenticate',
            done: 'The node authenticates again.',
          },
        ),
      ),
    );
    this.element = card('Bootstrap', this.steps, this.buttons);
  }

  render(state) {
    const ladder = [...state.ladders.values()].at(-1) ?? { head: { state: 'running' }, rungs: [] };
    const isOver = ladder.head.state === 'refused' || ladder.head.state === 'ended';
    const isAgain = ladder.rungs.some(([, , , text]) => text.startsWith('PNR[A]'));
    const first = STEPS.findIndex(([, isDone], i) => !isDone(ladder) && !(isAgain && i === 0));
    follow(
      this.steps,
      STEPS.map(([name], i) => ({ name, i })),
      ({ i }) => i,
      ({ name }) => el('li', {}, el('span', { class: 'dot' }), name),
      (item, { i }) => {
        const isDone = first === -1 || i < first;
        const word = isDone ? 'done' : i > first ? 'open' : isOver ? 'failed' : 'now';
        item.className = word;
        item.setAttribute('aria-current', String(i === first));
        item.setAttribute('aria-label', `${STEPS[i][0]}: ${word}`);
      },
    );
    this.buttons.hidden = state.value('facts', 'state') !== 'OPEN';
  }
}

function pacViews() {
  const now = new Together(
    'cards',
    new Bootstrap(),
    new Facts('Session', (state) => state.rows('facts')),
    new Facts('Mobile IPv6', (state) => state.rows('binding')),
    new Hooks(),
    new Events('Lines of the hooks', ({ role }) => role !== undefined),
  );
  return [
    ['now', 'Node', now],
    ['ladder', 'Ladder', new Clients('Authentications')],
    ['events', 'Events', new Events()],
    ['counters', 'Counters', new Counters()],
  ];
}

/** The views of a daemon: `[id, title, view]`, the first one is shown first. */
export function viewsOf(state) {
  if (state.daemon === 'pana-aaa') return aaaViews(state);
  return state.daemon === 'pana-paa' ? paaViews() : pacViews();
}
