import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { connect, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { DaemonProcess } from '../../../dist/lab/daemon-process.js';
import { Lab, type Place } from '../../../dist/lab/lab.js';
import { validFor } from '../../../src/pki/certificate-authority.js';
import { encodeUtf8, fromHex } from '../../../src/protocol/bytes/octets.js';
import { Secret } from '../../../src/protocol/bytes/secret.js';
import { attribute } from '../../../src/protocol/radius/wire/attributes.js';
import { checkResponse, encodeRandomRequest } from '../../../src/protocol/radius/wire/authenticators.js';
import { CODE, decodeRadius } from '../../../src/protocol/radius/wire/codec.js';
import { RadiusFramer } from '../../../src/protocol/radius/wire/framer.js';
import { numbersOf } from '../../daemons/numbers.js';
import { run } from '../../daemons/program.js';
import { eventually, within } from '../../eventually.js';

const RADSEC = Secret.copyOf(encodeUtf8('radsec'));

describe('RadSec at the AAA server', () => {
  let lab: Lab;
  let aaa: DaemonProcess;
  let place: Place;
  const open: TLSSocket[] = [];

  beforeAll(async () => {
    lab = await Lab.make({ family: 'ipv4' });
    await lab.issueServer('radsec', ['aaa.home.example']);
    await lab.issueServer('ap1', ['ap1.access.example']);
    await lab.issueServer('ap9', ['ap9.access.example']);
    const pki = (name: string) => lab.path('pki', name);
    const tls = {
      ca: pki('ca.pem'),
      certificate: pki('radsec.pem'),
      key: pki('radsec-key.pem'),
      crl: pki('crl.pem'),
      port: 0,
    };
    const { daemon } = await lab.startAaa('aaa', {
      radius: {
        listen: ['127.0.0.1'],
        port: 0,
        'accounting-port': 0,
        tls,
        clients: [{ name: 'ap1', certificate: 'AP1.access.example' }],
      },
    });
    aaa = daemon;
    const listening = (await daemon.line('ready'))['listening'] as Place[];
    place = listening.at(-1) as Place;
  });

  afterAll(async () => {
    for (const socket of open) socket.destroy();
    await lab.close();
  });

  /** Connects with a certificate, and returns a function that sends a packet and resolves with the answer. */
  async function enter(name: string) {
    const file = (ending: string) => readFile(lab.path('pki', `${name}${ending}.pem`));
    const socket = connect({
      port: place.port,
      host: place.address,
      ca: await readFile(lab.path('pki', 'ca.pem')),
      cert: await file(''),
      key: await file('-key'),
      servername: 'aaa.home.example',
    });
    open.push(socket);
    socket.on('error', () => undefined);
    await within(once(socket, 'secureConnect'), 'a TLS connection');
    const framer = new RadiusFramer();
    const answers: Uint8Array[] = [];
    socket.on('data', (chunk) => answers.push(...framer.push(chunk)));
    const ask = async (request: Uint8Array) => {
      const before = answers.length;
      // In two pieces: the stream has no packets of its own.
      socket.write(request.subarray(0, 7));
      socket.write(request.subarray(7));
      return eventually(() => {
        const answer = answers[before];
        if (!answer) throw new Error('no answer');
        return answer;
      });
    };
    return { socket, ask };
  }

  const packet = (code: number, attributes = attribute('EAP-Message', fromHex('020100060140'))) =>
    encodeRandomRequest({ code, identifier: 9, attributes }, new Uint8Array(16).fill(code), RADSEC);

  it('answers a client by its certificate, with the secret of RadSec', async () => {
    const { ask } = await enter('ap1');
    for (const [request, code] of [
      [packet(CODE['Status-Server'], []), CODE['Access-Accept']],
      [packet(CODE['Access-Request']), CODE['Access-Challenge']],
    ] as const) {
      const answer = await ask(request);
      expect(decodeRadius(answer).code).toBe(code);
      expect(checkResponse(answer, decodeRadius(request).authenticator, RADSEC)).toBe('authentic');
    }
  });

  it('does not answer a certificate that belongs to no client', async () => {
    const { socket } = await enter('ap9');
    socket.write(packet(CODE['Status-Server'], []));
    expect(await aaa.line('RADIUS packet discarded')).toMatchObject({
      reason: 'unknown-client',
      detail: 'no client has this certificate',
    });
  });

  it('closes a connection whose framing is lost', async () => {
    const { socket } = await enter('ap1');
    const closed = once(socket, 'close');
    socket.write(Uint8Array.of(1, 1, 0, 3));
    await within(closed, 'the connection closes');
  });

  it('uses a renewed certificate, and shows its end', async () => {
    const before = (await enter('ap1')).socket.getPeerCertificate().serialNumber;
    await lab.pki.renew('radsec', validFor(20));
    expect(await aaa.line('certificates reloaded')).toMatchObject({ file: lab.path('pki', 'radsec.pem') });
    expect((await enter('ap1')).socket.getPeerCertificate().serialNumber).not.toBe(before);
    const number = await numbersOf(lab, 'aaa');
    expect(number('pana_aaa_expiry_timestamp_seconds{key="radius.tls.certificate"}')).toBeGreaterThan(0);
  });

  it('has its certificate checked by doctor', async () => {
    const tree = parse(await readFile(lab.path('aaa.yaml'), 'utf8')) as { radius: { tls: object } };
    const tls = { ...tree.radius.tls, certificate: lab.path('pki', 'none.pem') };
    const config = await lab.configure('doctor', { ...tree, radius: { ...tree.radius, tls } });
    const { stdout, status } = await run('aaa', ['doctor', '-c', config]);
    expect(stdout).toContain('radius.tls.certificate');
    expect(stdout).toContain(lab.path('pki', 'none.pem'));
    expect(status).toBe(2);
  });

  it('refuses a client certificate of another CA', async () => {
    const other = await Lab.make({ family: 'ipv4' });
    try {
      await other.issueServer('ap1', ['ap1.access.example']);
      for (const ending of ['', '-key']) {
        const text = await readFile(other.path('pki', `ap1${ending}.pem`));
        await writeFile(lab.path('pki', `foreign${ending}.pem`), text, { mode: 0o600 });
      }
      // With TLS 1.3 the client learns of the refusal after its handshake.
      const { socket } = await enter('foreign');
      if (!socket.closed) await within(once(socket, 'close'), 'the connection closes');
      await aaa.line('TLS connection failed');
    } finally {
      await other.close();
    }
  });
});
