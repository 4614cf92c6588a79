import { describe, expect, it } from 'vitest';
import type { Argv } from 'yargs';
import { unknownWord } from '../../../src/runtime/cli/unknown-word.js';

const leaf = (cli: Argv) => cli.option('json', { type: 'boolean' }).option('limit', { type: 'number', alias: 'n' });

function commands(cli: Argv): Argv {
  return cli
    .command('run', 'Run', (run) => run.option('config', { type: 'string', alias: 'c' }))
    .command('status', 'Status', leaf)
    .command('node', 'Nodes', (node) =>
      node.command('add <name>', 'Add', leaf).command('list', 'List', leaf).command('remove <name>', 'Remove', leaf),
    );
}

describe('unknownWord', () => {
  it.each([
    ['node delete x', 'node has no command "delete"; did you mean "remove"?'],
    ['node RM x', 'node has no command "RM"; did you mean "remove"?'],
    ['node ls', 'node has no command "ls"; did you mean "list"?'],
    ['node lsit', 'node has no command "lsit"; did you mean "list"?'],
    ['node frobnicate', 'node has no command "frobnicate"; it has add, list, remove'],
    ['node x', 'node has no command "x"; it has add, list, remove'],
    ['-c file node delete x', 'node has no command "delete"; did you mean "remove"?'],
    ['-c=file node delete x', 'node has no command "delete"; did you mean "remove"?'],
    ['statu', 'there is no command "statu"; did you mean "status"?'],
    ['node list --jsno', 'node list has no flag --jsno; did you mean --json?'],
    ['node list --json --colour', 'node list has no flag --colour'],
    ['--colour', 'there is no flag --colour'],
  ])('explains %j', (line, expected) => {
    expect(unknownWord('pana-x', commands, line.split(' '))).toBe(expected);
  });

  it.each(['start', 'stop', 'restart', 'reload'])('says who does %s', (word) => {
    expect(unknownWord('pana-x', commands, [word])).toMatch(
      new RegExp(`^there is no command "${word}"; the service manager does that: .*\\b${word}\\b`),
    );
  });

  it.each([
    '',
    'node',
    'node list',
    'node add delete --no-json -n 3',
    'status --help',
    'node list -- --colour',
    'node add x y',
  ])('finds nothing in %j', (line) => {
    expect(unknownWord('pana-x', commands, line.split(' ').filter(Boolean))).toBeUndefined();
  });
});
