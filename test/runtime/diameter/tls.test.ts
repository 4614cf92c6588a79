import { once } from 'node:events';
import { connect, Socket } from 'node:net';
import { createSecureContext, connect as tlsConnect } from 'node:tls';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  type Issued,
  issueCertificate,
  makeCa,
  makeCrl,
  serialOf,
  validFor,
} from '../../../src/pki/certificate-authority.js';
import { decodeDiameter, encodeDiameter } from '../../../src/protocol/diameter/wire/codec.js';
import { MAX_NEW_CONNECTIONS } from '../../../src/protocol/fairness/connection-slots.js';
import { type DiameterTlsOptions, TlsTransport } from '../../../src/runtime/diameter/tls.js';
import { tcpTransport } from '../../../src/runtime/diameter/transport.js';
import { unguarded } from '../../../src/runtime/service/barrier.js';
import { systemHost } from '../../../src/runtime/system/host.js';
import { eventually, within } from '../../eventually.js';
import { cerOf, der, grammarian } from '../../protocol/diameter/messages.js';
import { VirtualHost } from '../../virtual-host.js';
import { issueOdd, type Oddity } from '../eap/odd-certificates.js';
import { revocationOf } from '../eap/revocation-of.js';
import { Authority } from '../tls/certificates/authority.js';
import { makeNode, makeServer, stopNodes } from './rig.js';

afterEach(stopNodes);

const SERVER = 'server.example';
const CLIENT = 'client.example';
let ca: Issued;
const issued = new Map<string, Issued>();

beforeAll(async () => {
  ca = await makeCa('Diameter CA', 'p256', validFor(2));
  const other = await makeCa('another CA', 'p256', validFor(2));
  for (const host of [SERVER, CLIENT]) {
    issued.set(host, await issueCertificate(ca, { kind: 'server', hosts: [host] }, validFor(1)));
  }
  issued.set('stranger', await issueCertificate(ca, { kind: 'server', hosts: ['stranger.example'] }, validFor(1)));
  issued.set('wildcard', await issueCertificate(ca, { kind: 'server', hosts: ['*.example'] }, validFor(1)));
  issued.set('foreign', await issueCertificate(other, { kind: 'server', hosts: [SERVER, CLIENT] }, validFor(1)));
  issued.set('expired', await issueCertificate(ca, { kind: 'server', hosts: [SERVER, CLIENT] }, validFor(-1)));
});

type Version = DiameterTlsOptions['minVersion'];

function optionsOf(name: string, version?: Version, more: Partial<DiameterTlsOptions> = {}): DiameterTlsOptions {
  const { certificatePem, keyPem } = issued.get(name) ?? ca;
  return {
    caPem: ca.certificatePem,
    certificatePem,
    keyPem,
    revocation: undefined,
    minVersion: version ?? 'TLSv1.2',
    maxVersion: version ?? 'TLSv1.3',
    ciphers: undefined,
    ...more,
  };
}

/** Connects two nodes over TLS with these options, and collects the refusals of both transports. */
async function pair(server: DiameterTlsOptions, client: DiameterTlsOptions) {
  const refused = { server: [] as string[], client: [] as string[] };
  const there = new TlsTransport(server, systemHost, (reason) => refused.server.push(reason));
  const rig = makeServer(SERVER, [], 2001, {
    listen: [{ address: '127.0.0.1', port: 0, transport: there }],
    peers: [{ host: CLIENT, secure: true }],
  });
  await rig.node.start();
  const here = new TlsTransport(client, systemHost, (reason) => refused.client.push(reason));
  const { port } = rig.node.addresses[0] ?? {};
  const peer = makeNode(CLIENT, {
    peers: [{ host: SERVER, address: '127.0.0.1', port, transport: here, secure: true }],
    reconnect: 1_000,
  });
  await peer.node.start();
  return { server: rig, client: peer, refused, there, here };
}

const namesOf = ({ events }: { readonly events: readonly { readonly type: string }[] }) =>
  events.map(({ type }) => type);
const isOpen = ({ events }: { readonly events: readonly { readonly type: string }[] }) =>
  events.some(({ type }) => type === 'peerOpen');

describe('Diameter over TLS', () => {
  it.each<Version>(['TLSv1.2', 'TLSv1.3'])('carries requests: %s', async (version) => {
    const { client, server } = await pair(optionsOf(SERVER, version), optionsOf(CLIENT, version));
    await eventually(() => expect(namesOf(client)).toContain('peerOpen'));
    const answer = await client.node.request(der(CLIENT), SERVER, 60_000);
    expect(grammarian.find(answer.avps, 'Result-Code')).toBe(2001);
    expect(server.node.status()).toMatchObject([{ host: CLIENT, state: 'R-Open' }]);
  });

  it.each([
    ['with TLS', () => new TlsTransport(optionsOf(SERVER), systemHost, () => undefined)],
    ['without TLS', () => tcpTransport],
  ] as const)('listens on :: for IPv6 only: %s', async (_, make) => {
    const transport = make();
    const nobody = () => {
      throw new Error('unexpected connection');
    };
    const six = await transport.listen({ address: '::', port: 0 }, nobody, unguarded);
    const four = await transport.listen({ address: '0.0.0.0', port: six.port }, nobody, unguarded);
    expect(four.port).toBe(six.port);
    await Promise.all([six.close(), four.close()]);
  });

  it('writes each message separately, since Node would keep a copy of a combined write', async () => {
    const { client } = await pair(optionsOf(SERVER), optionsOf(CLIENT));
    await eventually(() => expect(namesOf(client)).toContain('peerOpen'));
    const several = vi.spyOn(Socket.prototype as unknown as { _writev: () => void }, '_writev');
    const requests = Array.from({ length: 20 }, () => client.node.request(der(CLIENT), SERVER, 60_000));
    const answers = await Promise.all(requests);
    expect(several).not.toHaveBeenCalled();
    several.mockRestore();
    expect(answers.map(({ avps }) => grammarian.find(avps, 'Result-Code'))).toEqual(Array(20).fill(2001));
  });

  it.each<[string, string, Version]>([
    ['of another name', 'stranger', 'TLSv1.2'],
    ['of another name', 'stranger', 'TLSv1.3'],
    ['with a wildcard', 'wildcard', 'TLSv1.3'],
    ['of another CA', 'foreign', 'TLSv1.2'],
    ['of another CA', 'foreign', 'TLSv1.3'],
    ['that has expired', 'expired', 'TLSv1.2'],
    ['that has expired', 'expired', 'TLSv1.3'],
  ])('refuses a client certificate %s (%s, %s)', async (_what, name, version) => {
    const { client, server, refused } = await pair(optionsOf(SERVER, version), optionsOf(name, version));
    const turnedAway = () =>
      refused.server.length > 0 ||
      server.events.some((event) => event.type === 'peerRefused' && event.code === 'peer-not-authenticated');
    await eventually(() => expect(turnedAway()).toBe(true));
    expect(isOpen(server)).toBe(false);
    expect(isOpen(client)).toBe(false);
  });

  it.each<[string, string, Version]>([
    ['of another name', 'stranger', 'TLSv1.2'],
    ['of another name', 'stranger', 'TLSv1.3'],
    ['of another CA', 'foreign', 'TLSv1.3'],
    ['that has expired', 'expired', 'TLSv1.3'],
  ])('refuses a server certificate %s (%s, %s)', async (_what, name, version) => {
    const { client, server, refused } = await pair(optionsOf(name, version), optionsOf(CLIENT, version));
    await eventually(() => expect(refused.client.length).toBeGreaterThan(0));
    expect(isOpen(server)).toBe(false);
    expect(isOpen(client)).toBe(false);
  });

  it.each<Version>(['TLSv1.2', 'TLSv1.3'])('refuses a revoked certificate: %s', async (version) => {
    const serial = serialOf(issued.get(CLIENT)?.certificatePem ?? '');
    const day = 86_400_000;
    const crlPem = await makeCrl(ca, [serial], new Date(Date.now() - day), new Date(Date.now() + day));
    const { server, refused } = await pair(
      optionsOf(SERVER, version, { revocation: revocationOf(crlPem) }),
      optionsOf(CLIENT, version),
    );
    await eventually(() => expect(refused.server).toContainEqual(expect.stringMatching(/^revoked/)));
    expect(isOpen(server)).toBe(false);
  });

  it.each(['server', 'client'] as const)(
    'closes a connection when the certificate of the other end is revoked: %s',
    async (end) => {
      const { server, there, here, refused } = await pair(optionsOf(SERVER), optionsOf(CLIENT));
      await eventually(() => expect(namesOf(server)).toContain('peerOpen'));
      const crlOf = async (...revoked: string[]) => {
        const serials = revoked.map((name) => serialOf(issued.get(name)?.certificatePem ?? ''));
        const day = 86_400_000;
        return revocationOf(await makeCrl(ca, serials, new Date(Date.now() - day), new Date(Date.now() + day)));
      };
      const [transport, own, others] = end === 'server' ? [there, SERVER, CLIENT] : ([here, CLIENT, SERVER] as const);
      transport.reload(optionsOf(own, undefined, { revocation: await crlOf(own) }));
      expect(refused[end]).toEqual([]);
      transport.reload(optionsOf(own, undefined, { revocation: await crlOf(others) }));
      expect(refused[end]).toMatchObject([expect.stringMatching(/^revoked: /)]);
      await eventually(() => expect(server.node.status()).toMatchObject([{ state: 'Closed' }]));
    },
  );

  it('refuses a dNSName that contains the text of a second name', async () => {
    const authority = await Authority.root('Diameter');
    const names = [{ type: 'dns' as const, value: `x.example, DNS:${CLIENT}` }];
    const sly = await authority.issue({ subject: `CN=${CLIENT}`, names });
    const caPem = `${ca.certificatePem}${authority.certificatePem}`;
    const { server, client, refused } = await pair(optionsOf(SERVER, undefined, { caPem }), {
      ...optionsOf(CLIENT),
      ...sly,
    });
    const notIt = { type: 'peerRefused', peer: CLIENT, code: 'peer-not-authenticated' };
    await eventually(() => expect(server.events).toContainEqual(expect.objectContaining(notIt)));
    expect(refused.server).toEqual([]);
    expect(isOpen(server)).toBe(false);
    expect(isOpen(client)).toBe(false);
  });

  it('refuses a server with a client certificate and a client without a purpose', async () => {
    const root = await makeCa('RSA CA', 'rsa', validFor(1));
    const options = (oddity: Omit<Oddity, 'issuer'>): DiameterTlsOptions => ({
      ...optionsOf(SERVER),
      ...issueOdd({ ...oddity, issuer: root }),
      caPem: root.certificatePem,
    });
    const client = options({ name: 'x', host: CLIENT, usage: ['clientAuth'] });
    const wrong = await pair(options({ name: 'x', host: SERVER, usage: ['clientAuth'] }), client);
    await eventually(() => expect(wrong.refused.client.length).toBeGreaterThan(0));
    expect(isOpen(wrong.server) || isOpen(wrong.client)).toBe(false);
    const server = options({ name: 'x', host: SERVER, usage: ['serverAuth'] });
    const unsaid = await pair(server, options({ name: 'x', host: CLIENT }));
    await eventually(() => expect(unsaid.refused.server).toContainEqual(expect.stringMatching(/^purpose:/)));
    expect(isOpen(unsaid.server)).toBe(false);
    const good = await pair(server, client);
    await eventually(() => expect(namesOf(good.client)).toContain('peerOpen'));
  });

  it('uses new certificates after a reload', async () => {
    const { client, there, refused } = await pair(optionsOf('foreign'), optionsOf(CLIENT));
    await eventually(() => expect(refused.client.length).toBeGreaterThan(0));
    there.reload(optionsOf(SERVER));
    await eventually(() => expect(namesOf(client)).toContain('peerOpen'));
  });

  it('is required of a peer configured with it: without TLS its CER gets 3010', async () => {
    const rig = makeServer(SERVER, [], 2001, {
      listen: [{ address: '127.0.0.1', port: 0 }],
      peers: [{ host: CLIENT, secure: true }],
    });
    await rig.node.start();
    const socket = connect(rig.node.addresses[0]?.port ?? 0, '127.0.0.1');
    socket.write(encodeDiameter(cerOf(CLIENT)));
    const [octets] = (await within(once(socket, 'data'), 'the event data')) as [Uint8Array];
    expect(grammarian.find(decodeDiameter(octets).avps, 'Result-Code')).toBe(3010);
    await within(once(socket, 'close'), 'the event close');
    expect(isOpen(rig)).toBe(false);
  });

  it('closes a connection whose handshake takes longer than CER_TIMEOUT', async () => {
    const host = new VirtualHost(undefined, Date.now());
    const refused: string[] = [];
    const transport = new TlsTransport(optionsOf(SERVER), host, (reason) => refused.push(reason));
    const rig = makeServer(SERVER, [CLIENT], 2001, {
      listen: [{ address: '127.0.0.1', port: 0, transport }],
      host,
    });
    await rig.node.start();
    const timers = host.timers;
    const socket = connect(rig.node.addresses[0]?.port ?? 0, '127.0.0.1');
    socket.on('error', () => undefined).resume();
    const closed = once(socket, 'close');
    await eventually(() => expect(host.timers).toBe(timers + 1));
    host.advance(4_999);
    expect(refused).toEqual([]);
    host.advance(1);
    await within(closed, 'the connection is closed');
    expect(refused).toEqual(['the TLS handshake took too long']);
    expect(host.timers).toBe(timers);
  });

  it('limits pending handshakes, but not those from the address of a peer', async () => {
    // Time does not advance: a connection is closed by the limit of connections, not by its timeout.
    const host = new VirtualHost(undefined, Date.now());
    const rig = makeServer(SERVER, [CLIENT], 2001, {
      listen: [{ address: '127.0.0.1', port: 0, transport: new TlsTransport(optionsOf(SERVER), host) }],
      peers: [{ host: CLIENT, secure: true, from: ['127.0.0.1'] }],
      host,
    });
    await rig.node.start();
    const [{ port = 0 } = {}] = rig.node.addresses;
    const closed = new Set<Socket>();
    const open = async (localAddress: string) => {
      const socket = connect({ port, host: '127.0.0.1', localAddress });
      socket.on('error', () => undefined);
      socket.on('close', () => closed.add(socket));
      await Promise.race([once(socket, 'connect'), once(socket, 'close')]).catch(() => undefined);
      return socket;
    };
    // The peer connected first, over a slow path.
    const slow = await open('127.0.0.1');
    const strangers = await Promise.all(
      Array.from({ length: MAX_NEW_CONNECTIONS + 100 }, (_, i) => open(`127.0.${1 + (i % 100)}.${1 + (i % 7)}`)),
    );
    await eventually(() => expect(closed.size).toBeGreaterThanOrEqual(100));
    expect(closed.has(slow)).toBe(false);
    const { caPem, certificatePem, keyPem } = optionsOf(CLIENT);
    const secureContext = createSecureContext({ ca: caPem, cert: certificatePem, key: keyPem });
    const secured = tlsConnect({
      socket: slow,
      secureContext,
      servername: SERVER,
      checkServerIdentity: () => undefined,
    });
    secured.on('error', () => undefined);
    await within(once(secured, 'secureConnect'), 'the event secureConnect');
    secured.write(encodeDiameter(cerOf(CLIENT)));
    const [octets] = (await within(once(secured, 'data'), 'the event data')) as [Uint8Array];
    expect(grammarian.find(decodeDiameter(octets).avps, 'Result-Code')).toBe(2001);
    for (const socket of [slow, ...strangers]) socket.destroy();
  });

  it('closes a connection that does not start with TLS', async () => {
    const refused: string[] = [];
    const rig = makeServer(SERVER, [CLIENT], 2001, {
      listen: [
        {
          address: '127.0.0.1',
          port: 0,
          transport: new TlsTransport(optionsOf(SERVER), systemHost, (why) => refused.push(why)),
        },
      ],
    });
    await rig.node.start();
    const socket = connect(rig.node.addresses[0]?.port ?? 0, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.resume();
    socket.write(encodeDiameter(cerOf(CLIENT)));
    await within(once(socket, 'close'), 'the event close');
    expect(refused).toHaveLength(1);
  });
});
