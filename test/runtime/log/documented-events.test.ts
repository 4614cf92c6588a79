import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';

it('docs/monitoring.md lists all log events', async () => {
  const source = await readFile('src/runtime/log/events.ts', 'utf8');
  const union = /export type LogEvent =([^;]*);/.exec(source)?.[1] ?? '';
  const events = [...union.matchAll(/\| '([^']+)'/g)].map(([, event]) => event);
  expect(events.length).toBeGreaterThan(50);
  const page = await readFile('docs/monitoring.md', 'utf8');
  const [, section = ''] = /### All events\n([\s\S]*?)\n## /.exec(page) ?? [];
  const documented = [...section.matchAll(/`([^`]+)`/g)].map(([, event]) => event);
  expect(documented.sort()).toEqual(events.sort());
});
