import { expect, it } from 'vitest';
import { aaaSchema } from '../src/aaa/config/options.js';
import { paaSchema } from '../src/paa/options.js';
import { pacSchema } from '../src/pac/options.js';
import { referenceOf } from './configuration-reference.js';

const INTRODUCTION = `# Configuration reference

Every key of the three configuration files, as the daemons check them. [Configuration](configuration.md) explains their use,
and \`scripts/config\` has an example of each file.

A key is also a flag (\`--pana.port\`) and an environment variable (\`PANA_PAC_PANA_PORT\`). A duration is a number with a
unit (\`500ms\`, \`30s\`, \`5m\`, \`2h\`, \`1d\`), or a number of seconds. A changed key is applied by a reload (SIGHUP) or only by
a restart. A section with required keys may be left out as a whole if the table says "required in" that section.
`;

it('docs/reference.md has each key of the schemas (write it with vitest -u)', async () => {
  const tables = [
    ['pana-pac', pacSchema],
    ['pana-paa', paaSchema],
    ['pana-aaa', aaaSchema],
  ] as const;
  const text = tables.map(([name, schema]) => `## ${name}\n\n${referenceOf(schema)}`).join('\n');
  await expect(`${INTRODUCTION}\n${text}`).toMatchFileSnapshot('../docs/reference.md');
});
