import { el, setText, textOf } from './dom.js';

/** Height of a row in pixels, as in the style sheet. */
const ROW = 34;

/** Rows beyond the visible ones that are drawn, and rows before the end at which more are asked for. */
const MARGIN = 6;
const NEAR_END = 40;

let tables = 0;

/**
 * A table that draws only the rows in view, so that ten thousand cost as much as thirty. Arrow keys, Page Up and Down,
 * Home and End move the current row; Enter or Space
 * opens it.
 */
export class VirtualTable {
  /**
   * `columns`: `{ title, width, text(row) }`, width as in CSS grids. `onOpen(row, byKey)`: a row was opened. `onNearEnd`: the last
   * rows are in view.
   */
  constructor(label, columns, { onOpen, onNearEnd, keyOf }) {
    this.columns = columns;
    this.onOpen = onOpen;
    this.onNearEnd = onNearEnd;
    this.keyOf = keyOf;
    this.rows = [];
    this.currentKey = undefined;
    this.current = -1;
    tables += 1;
    this.id = `table-${tables}`;
    const template = columns.map(({ width }) => width).join(' ');
    this.space = el('div', { class: 'vspace', role: 'presentation' });
    this.pool = [];
    this.template = template;
    const head = el('div', { class: 'vrow vhead', role: 'row', 'aria-rowindex': 1 });
    head.style.gridTemplateColumns = template;
    head.append(...columns.map(({ title }) => el('div', { role: 'columnheader' }, title)));
    this.scroller = el(
      'div',
      {
        class: 'vtable',
        role: 'grid',
        'aria-label': label,
        'aria-readonly': 'true',
        tabindex: 0,
        keydown: (event) => this.key(event),
        scroll: () => this.later(),
      },
      el('div', { class: 'vtop', role: 'rowgroup' }, head),
      this.space,
    );
    this.space.setAttribute('role', 'rowgroup');
    this.empty = el('p', { class: 'quiet pad' }, 'Nothing here.');
    this.element = el('div', { class: 'vbox' }, this.scroller, this.empty);
    new ResizeObserver(() => this.later()).observe(this.scroller);
  }

  /** Replaces the rows. The current row stays current wherever it is now. */
  set(rows) {
    this.rows = rows;
    this.space.style.height = `${rows.length * ROW}px`;
    this.scroller.setAttribute('aria-rowcount', String(rows.length + 1));
    this.empty.hidden = rows.length > 0;
    if (this.currentKey !== undefined) this.follow();
    this.later();
  }

  /** Finds the current row again. If it is gone, the one at its place is current, but not open. */
  follow() {
    const { rows, current, currentKey } = this;
    if (rows[current] !== undefined && this.keyOf(rows[current]) === currentKey) return;
    const found = rows.findIndex((row) => this.keyOf(row) === currentKey);
    this.current = found < 0 ? Math.min(current, rows.length - 1) : found;
    this.currentKey = rows[this.current] && this.keyOf(rows[this.current]);
  }

  later() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = undefined;
      this.draw();
    });
  }

  draw() {
    const { scrollTop, clientHeight } = this.scroller;
    const first = Math.max(0, Math.floor(scrollTop / ROW) - MARGIN);
    const last = Math.min(this.rows.length, Math.ceil((scrollTop + clientHeight) / ROW) + MARGIN);
    const needed = Math.max(0, last - first);
    while (this.pool.length < needed) this.pool.push(this.makeRow());
    this.pool.forEach((element, i) => {
      const index = first + i;
      element.hidden = i >= needed;
      if (element.hidden) return;
      this.fill(element, index);
    });
    if (this.current >= first && this.current < last)
      this.scroller.setAttribute('aria-activedescendant', `${this.id}-${this.current}`);
    else this.scroller.removeAttribute('aria-activedescendant');
    if (this.rows.length > 0 && last > this.rows.length - NEAR_END) this.onNearEnd?.();
  }

  makeRow() {
    const cells = this.columns.map(() => el('div', { role: 'gridcell' }));
    const element = el(
      'div',
      {
        class: 'vrow',
        role: 'row',
        click: () => {
          this.select(Number(element.dataset.index));
          this.open();
        },
      },
      ...cells,
    );
    element.style.gridTemplateColumns = this.template;
    this.space.append(element);
    return element;
  }

  fill(element, index) {
    const row = this.rows[index];
    element.dataset.index = String(index);
    element.id = `${this.id}-${index}`;
    element.style.transform = `translateY(${index * ROW}px)`;
    element.setAttribute('aria-rowindex', String(index + 2));
    element.setAttribute('aria-selected', String(index === this.current));
    this.columns.forEach(({ text, tone }, i) => {
      const cell = element.children[i];
      const value = textOf(text(row));
      setText(cell, value);
      cell.title = value.length > 18 ? value : '';
      cell.className = tone?.(row) ?? '';
    });
  }

  select(index) {
    if (this.rows.length === 0) return;
    this.current = Math.max(0, Math.min(this.rows.length - 1, index));
    this.currentKey = this.keyOf(this.rows[this.current]);
    const top = this.current * ROW;
    const { scrollTop, clientHeight } = this.scroller;
    if (top < scrollTop) this.scroller.scrollTop = top;
    else if (top + 2 * ROW > scrollTop + clientHeight) this.scroller.scrollTop = top + 2 * ROW - clientHeight;
    this.later();
  }

  /** `byKey`: what opens gets the focus. */
  open(byKey = false) {
    const row = this.rows[this.current];
    if (row) this.onOpen?.(row, byKey);
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.scroller.clientHeight / ROW) - 2);
    const moves = {
      ArrowDown: this.current + 1,
      ArrowUp: this.current - 1,
      PageDown: this.current + page,
      PageUp: this.current - page,
      Home: 0,
      End: this.rows.length - 1,
    };
    if (event.key === 'Enter' || event.key === ' ') this.open(true);
    else if (event.key in moves) this.select(moves[event.key]);
    else return;
    event.preventDefault();
  }
}
