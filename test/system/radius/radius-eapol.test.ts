import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import type { DaemonProcess } from '../../../dist/lab/daemon-process.js';
import { Lab, type Place } from '../../../dist/lab/lab.js';
import { encodeUtf8, fromHex } from '../../../src/protocol/bytes/octets.js';
import { Secret } from '../../../src/protocol/bytes/secret.js';
import { attribute } from '../../../src/protocol/radius/wire/attributes.js';
import { encodeRandomRequest } from '../../../src/protocol/radius/wire/authenticators.js';
import { CODE } from '../../../src/protocol/radius/wire/codec.js';
import { numbersOf } from '../../daemons/numbers.js';
import { eventually, within } from '../../eventually.js';
import { announce, missing } from '../access-network.js';
import { eapol, runProgram, SECRET, startRadius, valuesOf } from './eapol.js';

const MN = 'mn1@home.example';
const isReady = announce('eapol_test and radclient at the AAA server', missing('eapol_test', 'radclient'));

describe.skipIf(!isReady).each(['p256', 'rsa'] as const)('eapol_test with %s certificates', (keys) => {
  let lab: Lab;
  let aaa: DaemonProcess;
  let place: Place;

  beforeAll(async () => {
    lab = await Lab.make({ keys, family: 'ipv4' });
    ({ daemon: aaa, place } = await startRadius(lab));
    await lab.addSubscriber(MN, 'mn1');
  });

  afterAll(() => lab.close());

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('authenticates with %s, and again by resumption', async (tls) => {
    const { status, output } = await eapol(lab, place, 'mn1', { tls, again: 1 });
    expect(output).toMatch(/MPPE keys OK: 2 {2}mismatch: 0/);
    expect(status).toBe(0);
    await aaa.line('authentication succeeded', (line) => line['tls'] === tls && line['resumed'] === false);
    await aaa.line('authentication succeeded', (line) => line['tls'] === tls && line['resumed'] === true);
  });

  it.each(['TLSv1.2', 'TLSv1.3'] as const)('authenticates with %s in fragments of 100 octets', async (tls) => {
    const { status, output } = await eapol(lab, place, 'mn1', { tls, fragment: 100, attributes: ['12:d:100'] });
    expect(status).toBe(0);
    // A certificate chain in so small pieces takes many of them.
    expect(output.match(/\(Access-Challenge\)/g)?.length).toBeGreaterThan(15);
    expect(output).toMatch(/SSL: Received packet\(len=\d{2}\) /);
  });
});

describe.skipIf(!isReady)('The RADIUS server', () => {
  let lab: Lab;
  let aaa: DaemonProcess;
  let place: Place;

  beforeAll(async () => {
    lab = await Lab.make({ family: 'ipv4' });
    ({ daemon: aaa, place } = await startRadius(lab));
    await lab.addSubscriber(MN, 'mn1');
    await lab.issueClient('stranger', 'stranger@home.example');
  });

  afterAll(() => lab.close());

  it('assigns a home agent and a home address to a NAS that asks for them', async () => {
    const { status, output } = await eapol(lab, place, 'mn1', { attributes: ['124:x:0000000000000001'] });
    expect(status).toBe(0);
    const [lease] = await lab.leases();
    expect(lease?.homeAddress).toMatch(/^2001:db8:1:/);
    expect(lease?.sessionId).toMatch(/^radius;nas1;/);
    const [, , , address = ''] = valuesOf(output, 26).filter((value) => value.startsWith('00007ed9'));
    expect(Buffer.from(address.slice(12), 'hex').toString()).toBe('ha1.home.example');
    expect(valuesOf(output, 1)).toEqual([`'${MN}'`]);
    expect(valuesOf(output, 29)).toEqual(['1']);
  });

  it('refuses a certificate without a subscriber', async () => {
    const { status, output } = await eapol(lab, place, 'stranger');
    expect(status).not.toBe(0);
    expect(output).toContain('code=3 (Access-Reject)');
  });

  it('does not answer a client with another secret, counts its packets, and names it once a minute', async () => {
    const number = await numbersOf(lab, 'aaa');
    const before = number('pana_aaa_radius_dropped_total{cause="wrong-authenticator"}');
    const wrong = 'another secret of enough octets';
    const { status, output } = await eapol(lab, place, 'mn1', { secret: wrong, timeout: 1 });
    expect(status).not.toBe(0);
    expect(output).not.toContain('Received RADIUS message');
    const socket = createSocket('udp4');
    try {
      socket.bind(0, '127.0.0.2');
      await within(once(socket, 'listening'), 'a socket of the other client');
      const secret = Secret.copyOf(encodeUtf8(wrong));
      const request = { code: CODE['Access-Request'], identifier: 1, attributes: [] };
      socket.send(encodeRandomRequest(request, new Uint8Array(16), secret), place.port, place.address);
      // The line about the other client may be one about another cause.
      const line = await aaa.line('RADIUS packet discarded', ({ peer }) => peer === 'nas2');
      expect(line).toMatchObject({ reason: 'wrong-authenticator', address: '127.0.0.2' });
    } finally {
      socket.close();
    }
    const after = (await numbersOf(lab, 'aaa'))('pana_aaa_radius_dropped_total{cause="wrong-authenticator"}');
    expect(after).toBeGreaterThan(before);
  });

  it('answers Status-Server of radclient', async () => {
    const status = ['-r', '1', '-t', '10', `${place.address}:${place.port}`, 'status', SECRET];
    const { output } = await runProgram('radclient', ['-x', ...status], 'Message-Authenticator = 0x00\n');
    expect(output).toContain('Received Access-Accept');
  });

  it('demands a Message-Authenticator, and refuses other methods than EAP', async () => {
    const ask = (attributes: string, tries: string, wait: string) =>
      runProgram(
        'radclient',
        ['-x', '-r', tries, '-t', wait, `${place.address}:${place.port}`, 'auth', SECRET],
        `User-Name = "bob", User-Password = "hello"${attributes}\n`,
      );
    expect((await ask('', '1', '0.3')).output).not.toContain('Received');
    expect((await ask(', Message-Authenticator = 0x00', '1', '10')).output).toContain('Received Access-Reject');
  });

  it('answers a repeated request with the same octets', async () => {
    const socket = createSocket('udp4');
    try {
      const secret = Secret.copyOf(encodeUtf8(SECRET));
      const attributes = attribute('EAP-Message', fromHex('020100060140'));
      const request = encodeRandomRequest(
        { code: CODE['Access-Request'], identifier: 7, attributes },
        new Uint8Array(16).fill(3),
        secret,
      );
      const ask = async () => {
        const answer = once(socket, 'message');
        socket.send(request, place.port, place.address);
        const [octets] = (await within(answer, 'an answer')) as [Uint8Array];
        return Buffer.from(octets).toString('hex');
      };
      const first = await ask();
      expect(first.slice(0, 4)).toBe('0b07');
      expect(await ask()).toBe(first);
    } finally {
      socket.close();
    }
  });

  it('takes other clients and secrets by SIGHUP', async () => {
    const second = await Lab.make({ family: 'ipv4' });
    try {
      const { daemon, place: at } = await startRadius(second, { clients: [] });
      const ask = () =>
        runProgram(
          'radclient',
          ['-r', '1', '-t', '0.5', `${at.address}:${at.port}`, 'status', SECRET],
          'Message-Authenticator = 0x00\n',
        );
      expect((await ask()).status).not.toBe(0);
      const tree = parse(await readFile(second.path('aaa.yaml'), 'utf8'));
      tree.radius.clients = [{ name: 'nas1', from: ['127.0.0.1'], 'secret-file': second.path('nas.secret') }];
      await writeFile(second.path('aaa.yaml'), stringify(tree));
      daemon.signal('SIGHUP');
      await daemon.line('configuration reloaded');
      await eventually(async () => expect((await ask()).status).toBe(0));
    } finally {
      await second.close();
    }
  });
});
