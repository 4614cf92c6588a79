/** A block of commands on a page of docs, or of output that the commands before it print. */
export interface PageBlock {
  readonly kind: 'commands' | 'output';
  /** The text without its indentation. */
  readonly text: string;
  /** The host or hosts that the paragraph before the block names in bold. */
  readonly on: string;
  /** The heading that the block is under. */
  readonly section: string;
}

/**
 * The blocks of a page below its first section heading, in order. Indented blocks are commands, fenced ones are output. In
 * output, `…` stands for any text in a line.
 */
export function blocksOf(page: string): PageBlock[] {
  const blocks: PageBlock[] = [];
  let section = '';
  let on = '';
  for (const [paragraph] of page.matchAll(
    /^```\n(?:(?!```).*\n)*```$|(?:^(?: {4}.*)?\n)*^ {4}.*$|(?:^[^ \n].*\n?)+/gm,
  )) {
    if (paragraph.startsWith('## ')) section = paragraph.slice(3).trim();
    if (paragraph.startsWith('#') || section === '') continue;
    if (paragraph.startsWith('```')) {
      blocks.push({ kind: 'output', text: paragraph.split('\n').slice(1, -1).join('\n'), on, section });
    } else if (/^\n* {4}/.test(paragraph)) {
      const text = paragraph.replace(/^ {4}/gm, '').trim();
      blocks.push({ kind: 'commands', text, on, section });
    } else {
      on = [...paragraph.matchAll(/\*\*([a-z ]+)\*\*/g)].at(-1)?.[1] ?? on;
    }
  }
  return blocks;
}

/**
 * Whether printed text has the lines that the page shows, in this order: `…` stands for any text, and a line with nothing else
 * for any lines.
 */
export function shows(output: string, printed: string): boolean {
  const lines = output.trim().split('\n');
  const patterns = lines.map((line) => {
    if (line === '…') return '(?:.*\\n)*';
    const escaped = line.trim().replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    return ` *${escaped.replace(/ *… */g, '.*').replace(/ +/g, ' +')}[^\n]*\n`;
  });
  return new RegExp(patterns.join('')).test(`${printed}\n`);
}
