import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { Argv } from 'yargs';
import { completionScript, completions, type Gap } from '../../../src/runtime/cli/completion.js';

function commands(cli: Argv): Argv {
  return cli
    .command('list', 'List', (list) => list.option('json', { type: 'boolean' }).option('limit', { type: 'number' }))
    .command('node', 'Nodes', (node) =>
      node
        .command('show <name>', 'Show', (show) =>
          show
            .positional('name', { type: 'string' })
            .option('config', { alias: 'c', type: 'string' })
            .option('root', { choices: ['msk', 'emsk', ''] })
            .example('x', ''),
        )
        .demandCommand(1, 'Which?'),
    )
    .command('shell <shell>', 'Shell', (shell) => shell.positional('shell', { choices: ['bash', 'zsh'] }));
}

describe('completions', () => {
  it.each([
    [[''], ['list', 'node', 'shell']],
    [['l'], ['list']],
    [['list', ''], []],
    [
      ['list', '--'],
      ['--help', '--no-help', '--json', '--no-json', '--limit'],
    ],
    [['list', '--l'], ['--limit']],
    [['node', ''], ['show']],
    [
      ['node', 'show', '--root', ''],
      ['msk', 'emsk'],
    ],
    [['node', 'show', '--root', 'e'], ['emsk']],
    [
      ['shell', ''],
      ['bash', 'zsh'],
    ],
    [['nothing', ''], []],
  ])('completes %j with %j', async (words, found) => {
    expect(await completions(commands, words)).toEqual(found);
  });

  it('requests names for a positional argument or an option, and keeps those with the right prefix', async () => {
    const asked: Gap[] = [];
    const names = async (gap: Gap) => {
      asked.push(gap);
      return ['mn1@home', 'mn2@home', 'other'];
    };
    expect(await completions(commands, ['node', '-c', 'a.yaml', 'show', '--root=msk', 'mn'], names)).toEqual([
      'mn1@home',
      'mn2@home',
    ]);
    await completions(commands, ['node', 'show', 'a', '--config', ''], names);
    expect(asked).toEqual([
      { commands: ['node', 'show'], positionals: [], flags: { c: 'a.yaml', root: 'msk' }, flag: undefined, last: 'mn' },
      { commands: ['node', 'show'], positionals: ['a'], flags: {}, flag: 'config', last: '' },
    ]);
  });
});

describe('completionScript for bash', () => {
  /** The completions that bash offers for this line, where `word` is the last word as bash splits it. */
  async function complete(line: string, word: string): Promise<string[]> {
    const script = `${completionScript('pana-x', 'bash')}
      pana-x() { printf '%s\\n' "$*" mn1@home.example 2001:db8::1; }
      COMP_LINE=$1 COMP_POINT=\${#1}
      _pana_x pana-x "$2" prev
      printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout } = await promisify(execFile)('bash', ['-c', script, 'bash', line, word]);
    return stdout.trimEnd().split('\n');
  }

  it('passes the line and removes the part of each name before the last word', async () => {
    expect(await complete('pana-x show ', '')).toEqual(['--complete show ', 'mn1@home.example', '2001:db8::1']);
    expect(await complete('pana-x show mn1@ho', 'ho')).toEqual([
      '--complete show mn1@ho',
      'home.example',
      '2001:db8::1',
    ]);
    expect((await complete('pana-x show 2001:', ''))[2]).toBe('db8::1');
    expect((await complete("pana-x show '$(x) *", '*'))[0]).toBe("--complete show '$(x) *");
  });
});
