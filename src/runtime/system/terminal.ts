/**
 * Characters that a terminal interprets or does not show: control characters (C0, DEL, C1), format characters
 * (bidirectional controls, zero-width characters, tags), line and paragraph separators, unpaired surrogates.
 */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;
/** A fast check that most lines pass. */
const PLAIN = /^[\n\t -~]*$/;
const EACH_UNSEEN = new RegExp(UNSEEN.source, 'gu');
const EACH_BUT_LINES = new RegExp(`(?![\\n\\t])${UNSEEN.source}`, 'gu');
const EACH_BUT_COLOURS = new RegExp(`\\x1b\\[[0-9;]{0,16}m|${EACH_BUT_LINES.source}`, 'gu');

/**
 * Makes a value safe within a line: an identity, a name, an error text that somebody else may have chosen. Characters
 * that a terminal would interpret are escaped as in JSON: `\u001b`.
 */
export function visible(text: string): string {
  return UNSEEN.test(text) ? text.replaceAll(EACH_UNSEEN, escaped) : text;
}

/** Like `visible`, but keeps newlines and tabs, for text of several lines. JSON remains JSON with the same values. */
export function visibleLines(text: string): string {
  return PLAIN.test(text) ? text : text.replaceAll(EACH_BUT_LINES, escaped);
}

/** Like `visibleLines`, but keeps colour sequences. */
export function visibleColours(text: string): string {
  return text.replaceAll(EACH_BUT_COLOURS, (found) =>
    found.length > 2 && found.startsWith('\x1b[') ? found : escaped(found),
  );
}

function escaped(character: string): string {
  return Array.from({ length: character.length }, (_, i) => {
    const unit = character.charCodeAt(i);
    return `\\u${unit.toString(16).padStart(4, '0')}`;
  }).join('');
}
