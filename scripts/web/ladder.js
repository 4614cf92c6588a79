import { el, setText } from './dom.js';
import { clock, duration } from './state.js';

/** A ladder diagram: a list of messages between columns, which grows. */
export class LadderView {
  constructor() {
    this.title = el('h2', {});
    this.facts = el('p', { class: 'quiet' });
    this.heads = el('div', { class: 'lanes heads', 'aria-hidden': 'true' });
    this.lines = el('div', { class: 'lanes lines', 'aria-hidden': 'true' });
    this.list = el('ol', { class: 'rungs', 'aria-label': 'Messages' });
    this.more = el('p', { class: 'quiet' });
    const body = el('div', { class: 'ladder' }, this.heads, this.lines, this.list);
    this.body = body;
    this.element = el('section', { class: 'card', 'aria-label': 'Ladder' }, this.title, this.facts, body, this.more);
    this.shown = undefined;
  }

  /** `ladder` undefined: none is chosen. */
  show(ladder, columns) {
    this.body.hidden = ladder === undefined;
    if (!ladder) {
      setText(this.title, 'No client yet');
      setText(this.facts, 'A ladder appears here when a client arrives.');
      setText(this.more, '');
      this.list.replaceChildren();
      this.shown = undefined;
      return;
    }
    const { head, rungs } = ladder;
    if (this.shown !== head.id || this.list.children.length > rungs.length) {
      this.shown = head.id;
      this.list.replaceChildren();
      this.heads.replaceChildren(...columns.map((name) => el('span', {}, name)));
      this.lines.replaceChildren(...columns.map(() => el('span', {})));
    }
    setText(this.title, nameOf(head));
    setText(this.facts, factsOf(head));
    setText(this.more, head.more > 0 ? `${head.more} more messages are not shown.` : '');
    const rows = rungs.slice(this.list.children.length).map((rung) => rungOf(rung, head.startedAt, columns));
    this.list.append(...rows);
  }
}

/** What a ladder is called. */
export function nameOf({ who, session }) {
  return who === session ? `Session ${session}` : who;
}

function factsOf({ startedAt, session, address, homeAgent, homeAddress, duration: took, reason }) {
  const facts = [
    clock(startedAt),
    `session ${session}`,
    address === undefined ? undefined : `from ${address}`,
    took === undefined ? undefined : `result after ${duration(took)}`,
    homeAgent === undefined ? undefined : `home agent ${homeAgent}`,
    homeAddress === undefined ? undefined : `home address ${homeAddress}`,
    reason,
  ];
  return facts.filter((fact) => fact !== undefined).join(' · ');
}

function rungOf([at, from, to, text], startedAt, columns) {
  const time = `${Math.max(0, at - startedAt).toFixed(1)}`;
  const isNote = from === to;
  const where = isNote ? columns[from] : `${columns[from]} to ${columns[to]}`;
  const label = el('span', { class: 'text', title: text }, text);
  const arrow = el('span', { class: isNote ? 'note' : `arrow ${from < to ? 'right' : 'left'}` }, label);
  const width = 100 / columns.length;
  if (isNote) {
    // Notes of the last columns grow to the left.
    const centre = (from + 0.5) * width;
    if (centre > 60) arrow.style.right = `calc(${100 - centre}% + 10px)`;
    else arrow.style.left = `calc(${centre}% + 10px)`;
    arrow.style.maxWidth = `calc(${centre > 60 ? centre : 100 - centre}% - 14px)`;
  } else {
    arrow.style.left = `calc(${(Math.min(from, to) + 0.5) * width}% + 3px)`;
    arrow.style.width = `calc(${Math.abs(to - from) * width}% - 6px)`;
  }
  return el(
    'li',
    { 'aria-label': `${time} milliseconds, ${where}: ${text}` },
    el('span', { class: 'time', 'aria-hidden': 'true' }, time),
    el('span', { class: 'track', 'aria-hidden': 'true' }, arrow),
  );
}
