import { describe, expect, it } from 'vitest';
import { blocksOf, shows } from './page.js';

const PAGE = `# Title

    a picture

## First

Text. On **home**:

    one
      two

    three

\`\`\`
output …
\`\`\`

On **all hosts**:

    four
`;

describe('The blocks of a page', () => {
  it('are commands and output below a section heading, with the host named before them', () => {
    expect(blocksOf(PAGE)).toEqual([
      { kind: 'commands', text: 'one\n  two\n\nthree', on: 'home', section: 'First' },
      { kind: 'output', text: 'output …', on: 'home', section: 'First' },
      { kind: 'commands', text: 'four', on: 'all hosts', section: 'First' },
    ]);
  });
});

describe('Output on a page', () => {
  it.each([
    ['a b', 'x\n  a   b\ny', true],
    ['a … c', 'a b c', true],
    ['a\nc', 'a\nb\nc', false],
    ['a\n…\nc', 'a\nb\nb\nc', true],
    ['a\n…\nc', 'c\na', false],
    ['a [1]', 'a 1', false],
    ['a … c', 'a b\nc', false],
  ])('%j is shown by %j: %s', (output, printed, isShown) => {
    expect(shows(output, printed)).toBe(isShown);
  });
});
