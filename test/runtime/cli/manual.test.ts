import { describe, expect, it } from 'vitest';
import { pacSchema } from '../../../src/pac/options.js';
import { type ManualSource, manualPage } from '../../../src/runtime/cli/manual.js';
import { optionKeys } from '../../../src/runtime/config/options.js';

const SOURCE: ManualSource = {
  name: 'x-y',
  description: 'Sends things: it does so at once.',
  epilogue: '.first "quoted" \\ back',
  examples: [['x-y send --fast', 'as usual']],
  configuration: { prefix: 'X', schema: pacSchema },
  commands: (cli) =>
    cli.command('thing', 'Handle things', (thing) =>
      thing.command('send <name>', 'Send a thing', (send) =>
        send
          .positional('name', { type: 'string', description: 'its name' })
          .option('fast', { type: 'boolean', description: 'do it now' })
          .option('kind', { choices: ['a', 'b'], default: 'a', description: 'its kind' })
          .option('pana.port', { type: 'string', hidden: true })
          .example('x-y thing send one', ''),
      ),
    ),
};

describe('The manual page of a command', () => {
  const page = manualPage(SOURCE, '8');

  it('has subcommands with arguments, flags, defaults and examples', () => {
    expect(page).toContain('.SH NAME\nx\\-y \\- Sends things\n');
    expect(page).toContain('.SS "x\\-y thing send <name>"\nSend a thing.\n.TP\n.B "NAME"\nIts name.\n');
    expect(page).toContain('.TP\n.B "\\-\\-fast"\nDo it now.\n');
    expect(page).toContain('.TP\n.BI "\\-\\-kind " "a | b"\nIts kind [default: a].\n');
    expect(page).toContain('.RS 4\nx\\-y thing send one\n.RE\n');
    expect(page).toContain('Configuration keys are flags too.\n');
    expect(page).not.toContain('pana.port');
  });

  it('escapes what roff would interpret', () => {
    expect(page).toContain('\n\\&.first \\(dqquoted\\(dq \\e back\n');
  });
});

it('The manual page of a file has each key with its values', () => {
  const page = manualPage(SOURCE, '5');
  expect(page).toContain('.TH X\\-Y.YAML 5 ');
  expect(page).toContain('.BI "pana.prf: " "list: sha256, sha1"\n');
  for (const { name } of optionKeys(pacSchema)) expect(page).toContain(`.BI "${name.replaceAll('-', '\\-')}: "`);
});
