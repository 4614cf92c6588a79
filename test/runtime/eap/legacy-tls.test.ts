import forge from 'node-forge';
import { beforeAll, describe, expect, it } from 'vitest';
import type { EapServerAnswer } from '../../../src/protocol/eap/authenticator.js';
import { decodeEap, EAP_CODE, EAP_TYPE, encodeEap } from '../../../src/protocol/eap/codec.js';
import { ACKNOWLEDGEMENT, decodeEapTls, encodeEapTls } from '../../../src/protocol/eap/eap-tls.js';
import { createPeerCredentials } from '../../../src/runtime/eap/tls-peer.js';
import { engineSettings, type TlsSettings, weakSettings } from '../../../src/runtime/tls/settings.js';
import { makePki, makeServer, runEap, type TestPki } from './eap-run.js';
import { issueOdd } from './odd-certificates.js';

let pki: TestPki;
beforeAll(async () => {
  pki = await makePki('rsa');
});

const settings = (more: Partial<TlsSettings> = {}): TlsSettings => ({
  'min-version': '1.0',
  'max-version': '1.3',
  legacy: true,
  'min-rsa-bits': 2048,
  'sha1-signatures': 'refuse',
  'extended-key-usage': 'required',
  ...more,
});

/** The part of a connection that node-forge keeps but does not declare. */
interface ForgeSession {
  readonly session: {
    readonly sp: { readonly master_secret: string; readonly client_random: string; readonly server_random: string };
  };
}
const { prf_tls1: prf } = forge.tls as unknown as {
  prf_tls1: (secret: string, label: string, seed: string, length: number) => { readonly data: string };
};

/** Runs a TLS 1.0 or 1.1 client of another implementation; resolves to the outcome and its keys by RFC 5216. */
async function foreignClient(options: Partial<ReturnType<typeof engineSettings>>, client = pki.client) {
  const server = makeServer(pki, { serverOptions: options });
  const conversation = server.conversation({ mtu: 16_000 });
  let out = '';
  let connected = false;
  let failed: string | undefined;
  const tls = forge.tls.createConnection({
    server: false,
    caStore: forge.pki.createCaStore([pki.ca.certificatePem]),
    virtualHost: 'aaa.home.example',
    verify: (_connection, verified) => verified,
    getCertificate: () => client.certificatePem,
    getPrivateKey: () => client.keyPem,
    connected: () => {
      connected = true;
    },
    tlsDataReady: (connection) => {
      out += connection.tlsData.getBytes();
    },
    dataReady: () => undefined,
    closed: () => undefined,
    error: (_connection, error) => {
      failed = error.message;
    },
  } as Parameters<typeof forge.tls.createConnection>[0]);
  let answer: EapServerAnswer<string> = await conversation.handle(new Uint8Array(0));
  while (answer.type === 'request' && failed === undefined) {
    const { identifier, type = 0, data } = decodeEap(answer.packet);
    const reply = (octets: Uint8Array) =>
      conversation.handle(encodeEap({ code: EAP_CODE.RESPONSE, identifier, type, data: octets }));
    if (type === EAP_TYPE.IDENTITY) {
      answer = await reply(Buffer.from('@home.example'));
      continue;
    }
    const request = decodeEapTls(data);
    out = '';
    if (request.start) tls.handshake();
    else tls.process(Buffer.from(request.fragment).toString('binary'));
    answer = await reply(encodeEapTls({ ...ACKNOWLEDGEMENT, fragment: Buffer.from(out, 'binary') }));
  }
  const { sp } = (tls as unknown as ForgeSession).session;
  const keys = (label: string) =>
    connected ? prf(sp.master_secret, label, sp.client_random + sp.server_random, 128).data : '';
  return { answer, connected, failed, keys };
}

describe('A client limited to TLS 1.0 and 1.1', () => {
  it.each([
    ['1.0', 'TLSv1'],
    ['1.1', 'TLSv1.1'],
  ] as const)('is accepted if the server allows it, with the keys of RFC 5216: TLS %s', async (max, name) => {
    const engine = engineSettings(settings({ 'max-version': max }));
    const { answer, keys } = await foreignClient(engine);
    expect(answer).toMatchObject({ type: 'success', tlsVersion: name });
    if (answer.type !== 'success') return;
    const block = Buffer.concat([answer.msk.octets(), answer.emsk.octets()]).toString('hex');
    expect(block).toBe(Buffer.from(keys('client EAP encryption'), 'binary').toString('hex'));
    expect(block).not.toBe(Buffer.from(keys('another label'), 'binary').toString('hex'));
  });

  it('gets TLS 1.1 from a server that gives newer clients TLS 1.2 and 1.3', async () => {
    const engine = engineSettings(settings());
    expect((await foreignClient(engine)).answer).toMatchObject({ type: 'success', tlsVersion: 'TLSv1.1' });
    const eapServer = makeServer(pki, { serverOptions: engine });
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      expect((await runEap(pki, { eapServer, version })).answer).toMatchObject({
        type: 'success',
        tlsVersion: version,
      });
    }
  });

  it('is refused by default', async () => {
    const { answer, connected } = await foreignClient({});
    expect(answer.type === 'success' || connected).toBe(false);
  });

  it('is subject to the same certificate policy', async () => {
    const engine = engineSettings(settings());
    const odd = { name: 'x', issuer: pki.ca, email: 'mn@home.example' } as const;
    const small = await foreignClient(engine, issueOdd({ ...odd, bits: 1024, usage: ['clientAuth'] }));
    expect(small.answer).toMatchObject({ type: 'failure', reason: 'weak-certificate' });
    const server = await foreignClient(engine, issueOdd({ ...odd, usage: ['serverAuth'] }));
    expect(server.answer).toMatchObject({ type: 'failure', reason: 'purpose' });
    const sha1 = await foreignClient(engine, issueOdd({ ...odd, hash: 'sha1', usage: ['clientAuth'] }));
    expect(sha1.answer).toMatchObject({ type: 'failure', reason: 'weak-certificate' });
  });
});

describe('A PaC limited to TLS 1.0 or 1.1', () => {
  it('derives the same keys as the server', async () => {
    const { certificatePem, keyPem } = pki.client;
    for (const version of ['1.0', '1.1'] as const) {
      const low = engineSettings(settings({ 'max-version': version }));
      const credentials = createPeerCredentials({
        ...low,
        caPem: pki.ca.certificatePem,
        certificatePem,
        keyPem,
        serverName: 'aaa.home.example',
      });
      const { answer, events } = await runEap(pki, { credentials, serverOptions: engineSettings(settings()) });
      const keys = events.find((event) => event.type === 'keys');
      expect(answer.type).toBe('success');
      if (answer.type !== 'success' || keys?.type !== 'keys') throw new Error('no keys');
      expect(Buffer.from(keys.msk.octets()).equals(Buffer.from(answer.msk.octets()))).toBe(true);
      expect(Buffer.from(keys.sessionId).equals(Buffer.from(answer.sessionId))).toBe(true);
    }
  });
});

it('weakSettings lists every setting that is weaker than the default', () => {
  expect(weakSettings(settings({ 'min-version': '1.2' }), 'tls')).toEqual([]);
  expect(weakSettings(settings(), 'tls')).toEqual(['tls.min-version: TLS 1.0 is obsolete and weak (RFC 8996)']);
  const all = weakSettings(
    settings({
      'min-rsa-bits': 1024,
      'sha1-signatures': 'allow',
      'extended-key-usage': 'if-present',
      'extended-master-secret': 'wanted',
    }),
    'tls',
  );
  expect(all.map((line) => line.split(':')[0])).toEqual([
    'tls.min-version',
    'tls.sha1-signatures',
    'tls.min-rsa-bits',
    'tls.extended-key-usage',
    'tls.extended-master-secret',
  ]);
});
