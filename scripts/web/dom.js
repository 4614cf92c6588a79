/** Characters that are not shown, or change how others are: such as those that reverse the text after them. */
const UNSEEN = /(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** Text with such characters escaped as in JSON, as in the log: strangers choose names. */
function shown(text) {
  return String(text).replaceAll(UNSEEN, (found) =>
    found.replaceAll(/[\s\S]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`),
  );
}

/**
 * Makes an element. Functions become listeners, `true` an empty attribute, false and undefined none. Children are
 * elements or text: what a stranger wrote is never parsed.
 */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, '');
    else if (value !== undefined && value !== false) element.setAttribute(name, shown(value));
  }
  element.append(...children.filter((child) => child !== undefined && child !== null).map(nodeOf));
  return element;
}

function nodeOf(child) {
  return child instanceof Node ? child : document.createTextNode(shown(child));
}

/** Sets a text only if it differs, so that a screen reader does not repeat it. */
export function setText(element, text) {
  const value = shown(text ?? '');
  if (element.textContent !== value) element.textContent = value;
}

/**
 * Makes the children of an element follow a list of items: reuses the child of each key, so that focus and scroll stay.
 * `make(item)` returns a child, `update(child, item)` changes one.
 */
export function follow(parent, items, keyOf, make, update) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const wanted = new Set(items.map((item) => String(keyOf(item))));
  const focused = [...parent.children].findIndex((child) => child.contains(document.activeElement));
  // First, so that no child that stays has to move, which would take the focus from it.
  for (const [key, child] of known) if (!wanted.has(key)) child.remove();
  let at = parent.firstElementChild;
  for (const item of items) {
    const key = String(keyOf(item));
    let child = known.get(key);
    if (!child) {
      child = make(item);
      child.dataset.key = key;
    }
    update(child, item);
    if (child === at) at = at.nextElementSibling;
    else parent.insertBefore(child, at);
  }
  // What had the focus is gone: its neighbour gets it, so that the keyboard goes on there.
  if (focused >= 0 && !parent.contains(document.activeElement)) {
    const next = parent.children[Math.min(focused, parent.children.length - 1)];
    focusIn(next ?? parent.closest('#main'));
  }
}

/** Focuses the first button or link in an element, or the element. */
export function focusIn(element) {
  const target = element?.querySelector('button, a, [tabindex="0"]') ?? element;
  target?.focus();
}

/** A card with a heading. */
export function card(title, ...children) {
  return el('section', { class: 'card', 'aria-label': title }, el('h2', {}, title), ...children);
}

/** A value of any kind as text. */
export function textOf(value) {
  if (value === undefined || value === null || value === '') return '–';
  if (value === true) return 'yes';
  if (value === false) return 'no';
  if (Array.isArray(value)) return value.map(textOf).join(', ');
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** Names that are more than their words. */
const NAMES = {
  paa: 'PAA',
  ike: 'IKE',
  careOfAddress: 'Care-of address',
  halfOpen: 'Half-open',
  remainingSeconds: 'Left',
  localHomeAddresses: 'Local home addresses',
  conversations: 'Authentications in progress',
  disabled: 'Disabled subscribers',
  takeovers: 'Sessions taken over',
  duties: 'Hooks and disconnects to do',
  protocol: 'Protocol of AAA servers',
};

/** `homeAddress` as `Home address`. */
export function words(name) {
  if (Object.hasOwn(NAMES, name)) return NAMES[name];
  const text = name
    .replaceAll('_', ' ')
    .replace(/([a-z])([A-Z])/g, (_, before, after) => `${before} ${after.toLowerCase()}`);
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}

/** A state as a coloured word with a mark, so that colour is not all that tells. */
export function badge(text, tone) {
  return el('span', { class: `badge ${tone}` }, text);
}

export function setBadge(element, text, tone) {
  setText(element, text);
  element.className = `badge ${tone}`;
}
