import { ask } from './actions.js';
import { el, setText } from './dom.js';
import { viewsOf } from './pages.js';
import { PageState } from './state.js';

/** How long after a lost connection the page tries again, in milliseconds. */
const RETRY = 1_500;

/** How often times on the page are drawn again, in milliseconds. */
const CLOCK = 5_000;

const state = new PageState();
const link = document.querySelector('#link');
const main = document.querySelector('#main');
// It scrolls, so the keyboard must reach it.
main.tabIndex = 0;
const tabs = document.querySelector('#tabs');

let views = [];
let shown;
let source;
let waiting = [];
let retry;

// ---------------------------------------------------------------------------------------------------------- the events

function connect() {
  clearTimeout(retry);
  source?.close();
  source = new EventSource('/api/live');
  source.addEventListener('snapshot', ({ data }) => later({ snapshot: JSON.parse(data) }));
  source.addEventListener('change', ({ data }) => later({ change: JSON.parse(data) }));
  source.addEventListener('open', () => say('live', 'good'));
  source.addEventListener('error', () => {
    source.close();
    say('the daemon does not answer', 'bad');
    retry = setTimeout(again, RETRY);
  });
}

/** A login that is not valid any more shows the login page. */
async function again() {
  try {
    await ask('/api/session');
    connect();
  } catch {
    retry = setTimeout(again, RETRY);
  }
}

function say(text, tone) {
  setText(link, text);
  link.className = `link ${tone}`;
}

/** Many events of one moment are drawn once, when the browser draws anyway. */
function later(message) {
  waiting.push(message);
  if (waiting.length === 1) requestAnimationFrame(draw);
}

function draw() {
  const messages = waiting;
  waiting = [];
  for (const { snapshot, change } of messages) {
    if (snapshot) {
      state.reset(snapshot, Date.now());
      if (views.length === 0) begin();
    } else if (views.length > 0) state.change(change);
  }
  showProblems();
  shown?.render?.(state);
}

function showProblems() {
  const problems = state.rows('problems');
  if (problems.length > 0) say(`live, but ${problems[0].table}: ${problems[0].reason}`, 'bad');
  else if (source?.readyState === EventSource.OPEN) say('live', 'good');
}

// A page that nobody sees costs nothing.
document.addEventListener('visibilitychange', () => {
  if (document.hidden) {
    clearTimeout(retry);
    source?.close();
    say('paused', '');
  } else void again();
});

// ------------------------------------------------------------------------------------------------------------ the views

function begin() {
  views = viewsOf(state);
  setText(document.querySelector('#name'), state.daemon);
  document.title = state.daemon;
  tabs.replaceChildren(
    ...views.map(([id, title]) =>
      el(
        'a',
        {
          role: 'tab',
          id: `tab-${id}`,
          href: `#${id}`,
          'aria-controls': 'main',
          'aria-selected': 'false',
          tabindex: -1,
        },
        title,
      ),
    ),
  );
  route();
}

function route() {
  const [id, part] = location.hash.slice(1).split('/');
  const [name, , view] = views.find(([known]) => known === id) ?? views[0] ?? [];
  if (!view) return;
  if (view !== shown) {
    shown?.closed?.();
    shown = view;
    main.replaceChildren(view.element);
    main.scrollTop = 0;
    main.setAttribute('aria-labelledby', `tab-${name}`);
    view.opened?.();
  }
  for (const tab of tabs.children) {
    const isShown = tab.id === `tab-${name}`;
    tab.setAttribute('aria-selected', String(isShown));
    tab.tabIndex = isShown ? 0 : -1;
  }
  if (part !== undefined) view.choose?.(Number(part));
  view.render?.(state);
}

addEventListener('hashchange', route);

tabs.addEventListener('keydown', (event) => {
  const all = [...tabs.children];
  const at = all.indexOf(document.activeElement);
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
  if (at < 0 || to === undefined) return;
  const next = all.at(to % all.length);
  next.focus();
  next.click();
  event.preventDefault();
});

document.querySelector('#logout').addEventListener('click', async () => {
  await ask('/logout', {}).catch(() => undefined);
  location.reload();
});

setInterval(() => {
  shown?.table?.later();
  shown?.render?.(state);
}, CLOCK);

ask('/api/session').then(
  ({ operator }) => setText(document.querySelector('#operator'), operator),
  () => undefined,
);
connect();
