import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { aaaSchema } from '../src/aaa/config/options.js';
import { paaSchema } from '../src/paa/options.js';
import { pacSchema } from '../src/pac/options.js';
import { preSchema } from '../src/pre/options.js';
import { keyDocs } from '../src/runtime/config/key-docs.js';
import { referenceOf } from './configuration-reference.js';
import { DESCRIBED_METRICS } from './described-metrics.js';

const SCHEMAS = [
  ['pana-pac', pacSchema],
  ['pana-paa', paaSchema],
  ['pana-aaa', aaaSchema],
  ['pana-pre', preSchema],
] as const;

const INTRODUCTION = `# Reference

Every configuration key, every metric and every log event of the daemons, as they are in the code.
[Configuration](configuration.md) and [Monitoring](monitoring.md) explain their use.

A key is also a flag (\`--pana.port\`) and an environment variable (\`PANA_PAC_PANA_PORT\`). A duration is a number with a
unit (\`500ms\`, \`30s\`, \`5m\`, \`2h\`, \`1d\`), or a number of seconds. A changed key is applied by a reload (SIGHUP) or only by
a restart. A section with required keys may be left out as a whole if the table says "required in" that section.
\`scripts/config\` has an example of each file.
`;

const METRICS = `## Metrics

Prometheus collects them from \`/metrics\`. A counter counts from the start of the daemon; a histogram has the series
\`…_bucket\`, \`…_sum\` and \`…_count\`.
`;

const EVENTS = `## Log events

The message of a log line is one of these, in all daemons.
`;

function metricsTable(): string {
  return [...DESCRIBED_METRICS]
    .map(([daemon, metrics]) => {
      const rows = metrics.map(
        ({ name, type, labels, help }) => `| \`${name}\` | ${type} | ${labels.join(', ')} | ${help} |`,
      );
      return `### Metrics of ${daemon}\n\n| metric | type | labels | |\n|---|---|---|---|\n${rows.join('\n')}\n`;
    })
    .join('\n');
}

/** The events of src/runtime/log/events.ts, with their comments, in groups. */
async function eventTables(): Promise<string> {
  const source = await readFile('src/runtime/log/events.ts', 'utf8');
  const union =
    /export type LogEvent =([^;]*);\n/.exec(
      source.replace(/\/\*[\s\S]*?\*\//g, (text) => text.replaceAll(';', '\0')),
    )?.[1] ?? '';
  const found = union
    .replaceAll('\0', ';')
    .matchAll(/ {2}\/\/ (.*)\.\n|(?: {2}\/\*\*([\s\S]*?)\*\/\n)? {2}\| '([^']+)'/g);
  let text = '';
  let count = 0;
  for (const [, group, comment = '', event] of found) {
    if (group !== undefined) text += `\n### ${group}\n\n| event | |\n|---|---|\n`;
    else {
      const description = comment.replaceAll(/\n {3}\*/g, '').trim();
      expect(description, `the comment of '${event}' in events.ts`).not.toBe('');
      text += `| \`${event}\` | ${description} |\n`;
      count += 1;
    }
  }
  expect(count).toBe(source.match(/^ {2}\| '/gm)?.length);
  return text;
}

it('docs/reference.md has each key, metric and log event (write it with vitest -u)', async () => {
  const keys = SCHEMAS.map(([name, schema]) => `## ${name}\n\n${referenceOf(schema)}`).join('\n');
  const text = [INTRODUCTION, keys, METRICS, metricsTable(), `${EVENTS}${await eventTables()}`].join('\n');
  await expect(text).toMatchFileSnapshot('../docs/reference.md');
});

it('each key has an example, which the schema accepts', () => {
  const wrong = SCHEMAS.flatMap(([daemon, schema]) =>
    keyDocs(schema)
      .filter(({ example, schema: type }) => example === undefined || !type.safeParse(example).success)
      .map(({ name, example }) => `${daemon}: ${name}: ${String(example)}`),
  );
  expect(wrong).toEqual([]);
});
