import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { DaemonProcess } from '../../dist/lab/daemon-process.js';
import { Lab } from '../../dist/lab/lab.js';
import { details, list, show } from '../../src/aaa/commands/output.js';
import { encodeUtf8 } from '../../src/protocol/bytes/octets.js';
import { encodeDiameter } from '../../src/protocol/diameter/wire/codec.js';
import { APPLICATION, CER, DER } from '../../src/protocol/diameter/wire/commands.js';
import { type AvpName, AVPS as DIAMETER_AVPS, Dictionary } from '../../src/protocol/diameter/wire/dictionary.js';
import { encodePana } from '../../src/protocol/pana/wire/codec.js';
import { makeAvp } from '../../src/protocol/pana/wire/dictionary.js';
import { print, table } from '../../src/runtime/cli/cli.js';
import { readable } from '../../src/runtime/cli/readable.js';
import { HostProcesses } from '../../src/runtime/hooks/process.js';
import { systemHost } from '../../src/runtime/system/host.js';
import { visible, visibleColours, visibleLines } from '../../src/runtime/system/terminal.js';
import { Decoder } from '../../src/tool/decode/decoder.js';
import { eventually } from '../eventually.js';
import { run } from './program.js';
import { grammarian, RawPeer } from './raw-peer.js';

/** C0 except NUL, DEL, C1, bidirectional controls, separators, zero-width characters, a tag, a lone surrogate. */
const HOSTILE = [
  ...Array.from({ length: 31 }, (_, i) => String.fromCharCode(i + 1)),
  ...Array.from({ length: 33 }, (_, i) => String.fromCharCode(i + 0x7f)),
  '\x1b]0;owned\x07\x1b[2J\x9b31m\x1b[31m\u061c\u200e\u200f\u202a\u202e\u2066\u2069\u200b\u2028\u2029\ufeff\u00ad\u{e0041}',
  '\nFAKE  ::1  716  OPEN\n',
].join('');

/** Colour sequences as pino-pretty writes them. */
const COLOUR = new RegExp(`${String.fromCharCode(0x1b)}\\[\\d+m`, 'g');

/** Well-formed UTF-8, short enough for any name. */
const NAME = `${HOSTILE}root@home.example`;

/**
 * Asserts that the text is complete, has no control or invisible characters except line ends and tabs, and that no value begins a
 * line of its own.
 */
function expectVisible(text: string): void {
  expect(text).toContain('FAKE');
  expect(text.match(/(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu)).toBeNull();
  expect(text).not.toMatch(/^\s*FAKE/m);
}

/** Captures standard output and standard error. */
async function written(act: () => unknown): Promise<string> {
  let text = '';
  const take = (chunk: unknown, ...rest: unknown[]) => {
    text += String(chunk);
    for (const done of rest) if (typeof done === 'function') done();
    return true;
  };
  const spies = [process.stdout, process.stderr].map((stream) => vi.spyOn(stream, 'write').mockImplementation(take));
  try {
    await act();
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
  return text;
}

describe('Hostile text', () => {
  it('is escaped completely, and JSON keeps its value', () => {
    expectVisible(visible(HOSTILE));
    expect(visible('\x1b\x9b\u202e\u{e0041}\ud800é✓')).toBe('\\u001b\\u009b\\u202e\\udb40\\udc41\\ud800é✓');
    const anything = fc.string({ unit: 'binary', maxLength: 40, size: 'max' });
    fc.assert(
      fc.property(anything, (text) => {
        expect(visible(text)).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
        expect(visibleLines(text)).not.toMatch(/(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u);
        expect(JSON.parse(visibleLines(JSON.stringify({ [text]: text })))).toEqual({ [text]: text });
      }),
    );
    // Our own colour sequences stay, and no other sequence.
    expect(visibleColours('\x1b[33mWARN\x1b[39m \x1b[2J \x9b31m')).toBe('\x1b[33mWARN\x1b[39m \\u001b[2J \\u009b31m');
  });

  it.each([
    ['a table', () => table(['USER', 'STATE'], [[HOSTILE, 'OPEN']])],
    ['details', () => details([['Name', HOSTILE]])],
    ['a status', () => readable({ user: HOSTILE, [HOSTILE]: [HOSTILE, HOSTILE], peers: [{ productName: HOSTILE }] })],
    ['one value', () => readable(HOSTILE)],
  ])('is escaped in %s', (_, output) => expectVisible(output()));

  it('is escaped in the output of commands, also as JSON', async () => {
    expectVisible(await written(() => print(HOSTILE.replaceAll('\n', ' '))));
    expectVisible(await written(() => show({ json: true } as never, { text: HOSTILE }, () => '')));
    const page = () => Promise.resolve({ items: [HOSTILE], next: HOSTILE });
    const listing = { header: ['USER'], row: (item: string) => [item], none: '', filters: [], page };
    for (const json of [true, false]) {
      expectVisible(await written(() => list({ limit: 1, json } as never, listing as never)));
    }
  });

  it('is escaped in decoded messages', () => {
    const decoder = new Decoder(32473);
    const text = encodeUtf8(HOSTILE);
    const names = Object.entries(DIAMETER_AVPS).flatMap(([name, { type }]) =>
      ['UTF8String', 'DiameterIdentity', 'DiameterURI', 'OctetString'].includes(type) ? [name as AvpName] : [],
    );
    const dictionary = new Dictionary(32473);
    const avps = names.map((name) => ({
      code: DIAMETER_AVPS[name].code,
      flags: 0,
      vendorId: dictionary.vendorOf(name),
      data: text,
    }));
    const identity = Uint8Array.of(2, 1, (5 + text.length) >> 8, (5 + text.length) & 0xff, 1, ...text);
    const eap = { code: DIAMETER_AVPS['EAP-Payload'].code, flags: 0, vendorId: undefined, data: identity };
    const header = { flags: 0x80, commandCode: DER.code, applicationId: APPLICATION.EAP, hopByHop: 1, endToEnd: 1 };
    const diameter = decoder.message(encodeDiameter({ ...header, avps: [...avps, eap] }));
    expect(diameter.ok).toBe(true);
    expectVisible(diameter.text);
    const values = [makeAvp('EAP-Payload', identity), makeAvp('MIP6-Home-Agent-Host', HOSTILE, 32473)];
    const pana = decoder.message(encodePana({ type: 2, flags: 0, sessionId: 1, sequence: 1, avps: values }));
    expect(pana.ok).toBe(true);
    expectVisible(pana.text);
    for (const broken of decoder.decode(encodeUtf8(HOSTILE))) expect(visible(broken.text)).toBe(broken.text);
  });

  it('is escaped in the output of a hook', async () => {
    const lines: string[] = [];
    const environment = { PATH: process.env['PATH'] ?? '', TEXT: HOSTILE.replaceAll(/[\n\r]/g, ' ') };
    const program = fileURLToPath(new URL('print-text.sh', import.meta.url));
    const call = { program, event: 'up', environment, stateDir: '/', input: undefined, psk: undefined } as const;
    const line = (text: string) => lines.push(text);
    await new Promise((ended) => new HostProcesses(systemHost).start(call, { line, ended, fault: ended }));
    await eventually(() => expect(lines).toHaveLength(1));
    expectVisible(lines.join('\n'));
  });

  it.each(['json', 'plain', 'journal', 'pretty', 'pretty with colours'])('is escaped in a log: %s', async (kind) => {
    const log = fileURLToPath(new URL('../../dist/runtime/log/log.js', import.meta.url));
    const [format = ''] = kind.split(' ');
    const script = `
      import { openLog } from ${JSON.stringify(log)};
      const text = process.env.TEXT;
      const log = await openLog('test', { level: 'info', format: ${JSON.stringify(format)} });
      log.info({ identity: text, list: [text], tree: { [text]: text } }, 'refused');
      log.error(new Error(text));
      log.error({ err: new Error(text), reason: text }, text);
    `;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
      env: { ...process.env, TEXT: HOSTILE, ...(kind.endsWith('colours') ? { FORCE_COLOR: '1' } : { NO_COLOR: '1' }) },
    });
    if (kind.endsWith('colours')) expect(stdout).toMatch(COLOUR);
    // Only colour sequences of the library remain.
    expectVisible(kind.endsWith('colours') ? stdout.replaceAll(COLOUR, '') : stdout);
  });
});

describe('Hostile text in commands of running daemons', () => {
  let lab: Lab;
  let aaa: DaemonProcess;

  beforeAll(async () => {
    lab = await Lab.make({ hooks: false });
    const { daemon, place } = await lab.startAaa();
    aaa = daemon;
    await lab.startPaa(place);
    const raw = await RawPeer.connect(place);
    const answer = await raw.ask(
      encodeDiameter(
        grammarian.message(CER, APPLICATION.COMMON, {
          'Origin-Host': 'paa2.access.example',
          'Origin-Realm': 'access.example',
          'Host-IP-Address': [new Uint8Array(16).fill(1)],
          'Vendor-Id': 0,
          'Product-Name': HOSTILE,
          'Auth-Application-Id': [APPLICATION.EAP],
        }),
      ),
    );
    expect(grammarian.find(answer.avps, 'Result-Code')).toBe(2001);
    await lab.addSubscriber('mn1@home.example', 'mn1');
  });

  afterAll(() => lab.close());

  it.each([
    { what: 'the product name of a peer', program: 'aaa', command: ['status'] },
    { what: 'an argument in an error', program: 'paa', command: ['session', 'end', NAME] },
  ] as const)('is escaped in $what', async ({ program, command }) => {
    const outputs = await Promise.all(
      [[], ...(command[0] === 'status' ? [['--json']] : [])].map((more) =>
        run(program, [...command, ...more, '--control.socket', lab.socket(program)]),
      ),
    );
    for (const { stdout, stderr } of outputs) expectVisible(stdout + stderr);
  });

  it('is escaped in the identity of an unauthenticated client', async () => {
    // The PAA gets no answer for a while.
    aaa.signal('SIGSTOP');
    onTestFinished(() => aaa.signal('SIGCONT'));
    await lab.startPac('mn1', { eap: { identity: NAME } });
    const listed = (...more: readonly string[]) =>
      run('paa', ['session', 'list', ...more, '--control.socket', lab.socket('paa')]);
    await eventually(async () => expectVisible((await listed()).stdout), { interval: 100 });
    expectVisible((await listed('--json')).stdout);
  });
});
