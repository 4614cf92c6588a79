import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { commandOf } from '../../src/protocol/diameter/wire/commands.js';
import { decodePana, FLAG, MESSAGE_TYPE } from '../../src/protocol/pana/wire/codec.js';
import { AVPS } from '../../src/protocol/pana/wire/dictionary.js';
import { readCapture } from '../../src/tool/decode/capture.js';
import { Dissector } from '../../src/tool/decode/dissector.js';
import { run } from '../daemons/program.js';
import { eventually, within } from '../eventually.js';
import { AccessNetwork, announce, missing, ROUTER } from './access-network.js';

/** The lines of a ladder that are messages. */
const rungsOf = (ladder: string) => ladder.split('\n').filter((line) => /^ *[\d.]+ {2}[ |]/.test(line));

const possible = announce('sessions decoded by tshark', missing('tshark', 'dumpcap'));

describe.runIf(possible)('A complete PANA session on port 716', () => {
  it('is decoded by tshark without errors and with the same fields', { timeout: 120_000 }, async () => {
    const net = await AccessNetwork.make();
    const made = await net.lab({ hooks: false, paa: { pana: { listen: [ROUTER], port: 716 } } });
    const { place } = await made.startAaa();
    await made.startPaa(place, 'paa', { 'key-log': made.path('paa.keys') });
    await made.addSubscriber('mn1@home.example', 'mn1');
    const file = made.path('session.pcap');
    const capture = spawn(
      'ip',
      ['netns', 'exec', net.node, 'dumpcap', '-q', '-P', '-i', 'mn0', '-f', 'udp port 716', '-w', file],
      {
        stdio: ['ignore', 'ignore', 'pipe'],
      },
    );
    await within(once(capture.stderr, 'data'), 'capture.stderr prints something');
    const pac = await made.startPac('mn1', { pana: { interface: 'mn0' }, 'key-log': made.path('mn1.keys') });
    await pac.line('bootstrap completed');
    for (const command of ['ping', 'reauth']) {
      expect((await run('pac', [command, '--control.socket', made.socket('mn1')])).status).toBe(0);
    }
    await pac.line('bootstrap refreshed');
    await pac.stop();
    const captured = async () => {
      const dissector = new Dissector();
      return [...readCapture(await readFile(file))]
        .flatMap((frame) => dissector.read(frame))
        .flatMap((packet) => ('payload' in packet ? [decodePana(packet.payload)] : []));
    };
    // The capture is delayed; it is complete when it contains the PTA.
    const messages = await eventually(async () => {
      const all = await captured();
      expect(all.at(-1)?.type).toBe(MESSAGE_TYPE.TERMINATION);
      expect((all.at(-1)?.flags ?? 0) & FLAG.R).toBe(0);
      return all;
    });
    capture.kill('SIGINT');
    await within(once(capture, 'exit'), 'capture exits');
    const kinds = new Set(messages.map(({ type, flags }) => type * 2 + (flags & FLAG.R ? 1 : 0)));
    // PCI, PAR, PAN, PTR, PTA, PNR and PNA.
    expect([...kinds].sort((a, b) => a - b)).toEqual([2, 4, 5, 6, 7, 8, 9]);

    // Encryption-Algorithm and Encryption-Encap are among those that tshark decodes below.
    const codes = new Set(messages.flatMap(({ avps }) => avps.map(({ code }) => code)));
    for (const name of ['Encryption-Algorithm', 'Encryption-Encap'] as const) expect(codes).toContain(AVPS[name].code);

    // Both ends logged the same keys. With them every AUTH verifies.
    expect(await readFile(made.path('paa.keys'), 'utf8')).toBe(await readFile(made.path('mn1.keys'), 'utf8'));
    expect((await stat(made.path('paa.keys'))).mode & 0o777).toBe(0o600);
    const shown = await run('tool', ['decode', '--keys', made.path('paa.keys'), '--no-messages', file]);
    const rungs = rungsOf(shown.stdout);
    expect(rungs).toHaveLength(messages.length);
    expect(rungs.filter((rung) => rung.includes(' ✓ '))).toHaveLength(
      messages.filter(({ avps }) => avps.some(({ code }) => code === AVPS.AUTH.code)).length,
    );
    expect(shown.stdout).not.toContain('✗');
    const { stdout: opened } = await run('tool', ['decode', '--keys', made.path('paa.keys'), file]);
    expect(opened).toMatch(/Encryption-Encap +opened with PANA_PAA_ENCR_KEY 0x[0-9a-f]{8}\n/);
    expect(opened).toMatch(
      /Encryption-Encap +opened with PANA_PAC_ENCR_KEY 0x[0-9a-f]{8}\n +Termination-Cause +1 LOGOUT\n/,
    );
    expect(opened).toMatch(/ {8}MIP6-Home-Agent-Address +2001:db8:1::1\n/);

    const fields = [
      'pana.type',
      'pana.sid',
      'pana.seq',
      'pana.flags',
      'pana.avp.code',
      'pana.avp.data_length',
      '_ws.expert',
      '_ws.malformed',
    ];
    const { stdout } = await promisify(execFile)('tshark', [
      '-r',
      file,
      '-T',
      'fields',
      '-E',
      'separator=;',
      '-E',
      'occurrence=a',
      ...fields.flatMap((field) => ['-e', field]),
    ]);
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(messages.length);
    for (const [i, line] of lines.entries()) {
      const message = messages[i];
      const [type, sid, seq, , codes = '', lengths = '', expert, malformed] = line.split(';');
      expect([Number(type), Number(sid), Number(seq)]).toEqual([message?.type, message?.sessionId, message?.sequence]);
      const ours = (message?.avps ?? []).filter(({ vendorId }) => vendorId === undefined);
      const theirs = codes.split(',').map(Number);
      for (const { code } of ours) expect(theirs).toContain(code);
      // tshark misreads lengths after vendor AVPs.
      if (ours.length === message?.avps.length && ours.length > 0) {
        // tshark also calls the value of Result-Code a code.
        const codesOf = ours.flatMap(({ code, value }) =>
          code === AVPS['Result-Code'].code ? [code, value[3]] : [code],
        );
        expect(theirs).toEqual(codesOf);
        expect(lengths.split(',').map(Number)).toEqual(ours.map(({ value }) => value.length));
      }
      expect([expert, malformed]).toEqual(['', '']);
    }
  });
});

/** Expert severity "error" of Wireshark. */
const ERROR = 0x0080_0000;

describe.runIf(possible)('The Diameter messages of a complete session', () => {
  it('are decoded by tshark without errors and as the same commands', { timeout: 120_000 }, async () => {
    const net = await AccessNetwork.make();
    const made = await net.lab({ hooks: false, localHomeAgent: true });
    const file = made.path('diameter.pcap');
    const capture = spawn(
      'ip',
      ['netns', 'exec', net.router, 'dumpcap', '-q', '-P', '-i', 'lo', '-f', 'tcp', '-w', file],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    await within(once(capture.stderr, 'data'), 'capture.stderr prints something');
    const { daemon: aaa, place } = await made.startAaa();
    // The AAA server's watchdog is longer, or its DWRs could make those of the PAA needless (RFC 3539).
    const { daemon: paa } = await made.startPaa(place, 'paa', { diameter: { watchdog: '6s' } });
    await made.addSubscriber('mn1@home.example', 'mn1');
    const pac = await made.startPac('mn1', { mobility: { 'home-agent': 'any' } });
    await pac.line('bootstrap completed');
    const command = (...parameters: string[]) =>
      run('aaa', ['session', ...parameters, '--control.socket', made.socket('aaa'), '--store', made.path('aaa.db')]);
    expect((await command('reauth', 'mn1@home.example')).status).toBe(0);
    await pac.line('bootstrap refreshed');
    await paa.line('message sent', ({ message }) => message === 'DWR');
    expect((await command('disconnect', 'mn1@home.example')).status).toBe(0);
    await aaa.line('session ended');
    await paa.stop();
    const wanted = ['CER', 'CEA', 'DER', 'DEA', 'RAR', 'RAA', 'DWR', 'DWA', 'ASR', 'ASA', 'STR', 'STA', 'DPR', 'DPA'];
    const shown = await eventually(async () => {
      const ladder = await run('tool', ['decode', '--no-messages', file]);
      for (const name of wanted) expect(ladder.stdout).toContain(` ${name} `);
      return ladder.stdout;
    });
    capture.kill('SIGINT');
    await within(once(capture, 'exit'), 'capture exits');
    const { stdout } = await promisify(execFile)('tshark', [
      '-r',
      file,
      '-d',
      `tcp.port==${place.port},diameter`,
      '-Y',
      'diameter',
      '-T',
      'fields',
      '-E',
      'separator=;',
      '-E',
      'occurrence=a',
      ...[
        'diameter.cmd.code',
        'diameter.flags.request',
        '_ws.expert.severity',
        '_ws.expert.message',
        '_ws.malformed',
      ].flatMap((field) => ['-e', field]),
    ]);
    const names = new Set<string>();
    let messages = 0;
    for (const line of stdout.trimEnd().split('\n')) {
      const [codes = '', requests = '', severities = '', texts = '', malformed] = line.split(';');
      expect(malformed).toBe('');
      const errors = severities.split(',').filter((severity) => (Number(severity) & ERROR) !== 0);
      expect(errors, texts).toEqual([]);
      const flags = requests.split(',');
      for (const [i, code] of codes.split(',').entries()) {
        messages += 1;
        names.add(commandOf(Number(code), flags[i] === '1' || flags[i] === 'True')?.name ?? code);
      }
    }
    expect([...names].sort()).toEqual([...wanted].sort());
    expect(rungsOf(shown)).toHaveLength(messages);
  });
});
