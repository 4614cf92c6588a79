/**
 * What a terminal obeys or does not show: controls (C0, DEL, C1), format characters (bidirectional controls, characters of
 * no width, tags), separators of lines and paragraphs, halves of surrogate pairs.
 */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;
/** Nearly all lines, told apart at little cost. */
const PLAIN = /^[\n\t -~]*$/;
const EACH_UNSEEN = new RegExp(UNSEEN.source, 'gu');
const EACH_BUT_LINES = new RegExp(`(?![\\n\\t])${UNSEEN.source}`, 'gu');
const EACH_BUT_COLOURS = new RegExp(`\\x1b\\[[0-9;]{0,16}m|${EACH_BUT_LINES.source}`, 'gu');

/**
 * A value that somebody else may have chosen, for a place within a line: an identity, a name, an error text. What a terminal
 * would obey is written as JSON writes it: `\u001b`.
 */
export function visible(text: string): string {
  return UNSEEN.test(text) ? text.replaceAll(EACH_UNSEEN, escaped) : text;
}

/**
 * The same for text of whole lines, whose line ends and tabs stay, just before it is written. JSON remains JSON of the same
 * values.
 */
export function visibleLines(text: string): string {
  return PLAIN.test(text) ? text : text.replaceAll(EACH_BUT_LINES, escaped);
}

/** The same for lines that have been given colours. */
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
