import { expect, it } from 'vitest';
import type { DaemonName } from '../../../dist/lab/daemon-process.js';
import { run } from '../../daemons/program.js';

/** The commands that a help page lists. */
function commandsIn(help: string): string[][] {
  const section = help.split('\nCommands:\n')[1]?.split('\n\n')[0] ?? '';
  return section.split('\n').flatMap((line) => {
    const [, text] = /^ {2}\S+ (.+?) {2,}/.exec(line) ?? [];
    return text === undefined ? [] : [text.split(' ').filter((word) => !/^[<[]/.test(word))];
  });
}

async function pages(program: DaemonName | 'tool', path: readonly string[] = []): Promise<string[]> {
  const { status, stdout } = await run(program, [...path, '--help']);
  expect(status).toBe(0);
  const inner: string[] = [];
  for (const command of commandsIn(stdout)) inner.push(...(await pages(program, command)));
  return [stdout, ...inner];
}

it.each(['pac', 'paa', 'aaa', 'tool'] as const)(
  'Every help page of %s has an example and lines of at most 120 characters',
  async (program) => {
    const all = await pages(program);
    expect(all.length).toBeGreaterThan(5);
    for (const page of all) {
      expect(page).toContain('\nExamples:\n');
      for (const line of page.split('\n')) expect(line.length).toBeLessThanOrEqual(120);
    }
  },
);
