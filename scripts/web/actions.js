import { el } from './dom.js';

/** Asks the operator. Resolves with true if they confirm. */
export function confirmed(title, text, verb) {
  const before = document.activeElement;
  return new Promise((resolve) => {
    const dialog = el(
      'dialog',
      {
        'aria-labelledby': 'dialog-title',
        'aria-describedby': 'dialog-text',
        close: () => finish(dialog.returnValue === 'yes'),
      },
      el(
        'form',
        { method: 'dialog' },
        el('h2', { id: 'dialog-title' }, title),
        el('p', { id: 'dialog-text' }, text),
        el(
          'div',
          { class: 'buttons' },
          el('button', { value: 'no', autofocus: true }, 'Cancel'),
          el('button', { value: 'yes', class: 'danger' }, verb),
        ),
      ),
    );
    const finish = (answer) => {
      dialog.remove();
      // The button may have gone meanwhile.
      if (before?.checkVisibility()) before.focus();
      else document.querySelector('#main').focus();
      resolve(answer);
    };
    document.body.append(dialog);
    dialog.showModal();
  });
}

let hiding;

/** Shows a line for some seconds. */
export function notify(text, isBad = false) {
  const notice = document.querySelector('#notice');
  notice.textContent = text;
  notice.className = isBad ? 'notice bad' : 'notice';
  notice.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => {
    notice.hidden = true;
  }, 6_000);
}

/** Sends a request. Resolves with the JSON of the answer. Rejects with its error. */
export async function ask(path, body) {
  const answer = await fetch(path, {
    ...(body === undefined
      ? {}
      : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
  if (answer.status === 401) location.reload();
  const value = await answer.json();
  if (!answer.ok) throw new Error(value.error ?? `status ${answer.status}`);
  return value;
}

/** Carries out an action after a confirmation, and says what came of it. */
export async function act(name, body, { title, text, verb, done }) {
  if (!(await confirmed(title, text, verb))) return;
  try {
    const result = await ask(`/api/do/${name}`, body);
    const bad = Array.isArray(result) ? result.filter(({ result }) => result !== 'SUCCESS') : [];
    if (bad.length > 0) notify(`${bad.length} of ${result.length} failed: ${bad[0].result}`, true);
    else notify(done);
  } catch (error) {
    notify(error.message, true);
  }
}
