import 'reflect-metadata';
import { randomBytes } from 'node:crypto';
import type { JsonGeneralNames } from '@peculiar/x509';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { DAY, type Issued, validFor } from '../../../src/pki/certificate-authority.js';
import type { Certificate } from '../../../src/protocol/x509/certificate.js';
import type { EapServer, EapServerOptions } from '../../../src/runtime/eap/server.js';
import type { TlsPeerCredentials } from '../../../src/runtime/eap/tls-peer.js';
import { createPeerCredentials, type PeerCredentialsOptions } from '../../../src/runtime/eap/tls-peer.js';
import { type Host, systemHost } from '../../../src/runtime/system/host.js';
import { Authority, certificateOf } from '../tls/certificates/authority.js';
import { makeServer, type Outcome, runEap, SUBSCRIBER, type TestPki } from './eap-run.js';
import { revocationOf } from './revocation-of.js';

const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const;
const SUB = '07';
const LEAF = '08';
const SERVER = '05';

/** The root issued the server's certificate and a CA, which issued the client's. */
let root: Authority;
let other: Authority;
let issuing: Authority;
let pki: TestPki;
/** The client's certificate alone, and with the certificate of its issuer. */
let client: Issued;
let chain: Issued;

beforeAll(async () => {
  root = await Authority.root('root');
  other = await Authority.root('other');
  issuing = await root.sub('issuing', { serial: SUB });
  const server = await root.issue({
    subject: 'CN=aaa',
    serial: SERVER,
    names: [{ type: 'dns', value: 'aaa.home.example' }],
  });
  client = await issuing.issue({ subject: `CN=${SUBSCRIBER}`, serial: LEAF });
  chain = { ...client, certificatePem: client.certificatePem + issuing.certificatePem };
  const ca = { certificatePem: root.certificatePem, keyPem: '' };
  pki = { ca, otherCa: { certificatePem: other.certificatePem, keyPem: '' }, server, client: chain };
});

let wall: number | undefined;
/** A wall clock that can be stepped. The TLS engine uses the real clock, so only our own checks see the step. */
const host: Host = { ...systemHost, wall: () => wall ?? systemHost.wall() };

afterEach(() => {
  wall = undefined;
});

function atTime(milliseconds: number): void {
  wall = milliseconds;
}

const crls = async (ofRoot: readonly string[], ofIssuing: readonly string[]) =>
  (await root.crl({ serials: ofRoot })) + (await issuing.crl({ serials: ofIssuing }));

function credentialsOf(version: (typeof VERSIONS)[number], more: Partial<PeerCredentialsOptions> = {}) {
  const { certificatePem, keyPem } = chain;
  return createPeerCredentials({ ...peerOptions(version), certificatePem, keyPem, ...more });
}

function peerOptions(version: (typeof VERSIONS)[number]): PeerCredentialsOptions {
  return {
    caPem: root.certificatePem,
    serverName: 'aaa.home.example',
    minVersion: version,
    maxVersion: version,
    host,
  };
}

const refused = (reason: string) => ({ type: 'failure', reason });
const success = (resumed: boolean) => ({ type: 'success', resumed });

describe.each(VERSIONS)('A client with an intermediate CA, %s', (version) => {
  const run = (ends: Parameters<typeof runEap>[1] = {}) => runEap(pki, { version, ...ends });
  const both = () => `${root.certificatePem}${issuing.certificatePem}`;

  it('is accepted with CRLs of both CAs, whether the issuer is configured or sent', async () => {
    const revocation = revocationOf(await crls([], []));
    expect((await run({ serverOptions: { revocation } })).answer).toMatchObject(success(false));
    const options = { revocation, caPem: both() };
    expect((await run({ client, serverOptions: options })).answer).toMatchObject(success(false));
    expect((await run({ client, serverOptions: { revocation } })).answer).toMatchObject(refused('other-ca'));
  });

  it('is refused if the CRL of the right issuer has its serial number', async () => {
    const outcome = async (lists: string) =>
      (await run({ serverOptions: { revocation: revocationOf(lists, { expired: 'ignore', missing: 'ignore' }) } }))
        .answer;
    expect(await outcome(await crls([], [LEAF]))).toMatchObject(refused('revoked'));
    expect(await outcome(await crls([SUB], []))).toMatchObject(refused('revoked'));
    expect(await outcome(await crls([LEAF], [SUB]))).toMatchObject(success(false));
  });

  it('triggers onLearned once, when its issuer allows a CRL to be verified', async () => {
    let changes = 0;
    const onLearned = () => {
      changes += 1;
    };
    const revocation = revocationOf(await crls([], []));
    const eapServer = makeServer(pki, { serverOptions: { revocation, onLearned } });
    for (let i = 0; i < 2; i += 1) await run({ eapServer });
    expect(changes).toBe(1);
    expect(eapServer.judge.revocation?.unverified).toEqual([]);
  });

  it('is identified by its certificate, and valid until the first certificate of its path expires', async () => {
    const paths: (readonly Certificate[])[] = [];
    const { answer } = await run({ serverOptions: { onLearned: (authorities) => paths.push(authorities) } });
    if (answer.type !== 'success') throw new Error(answer.type);
    const { issuerId, notAfter } = issuing.certificate;
    expect(answer.peer).toMatchObject({ serial: '8', issuerId, peerIds: [SUBSCRIBER] });
    expect(paths[0]?.map(({ subject }) => subject.text)).toEqual(['O=Test, CN=issuing', 'O=Test, CN=root']);
    expect(answer.peer.notAfter).toBeLessThanOrEqual(notAfter);
  });
});

describe.each(VERSIONS)('A TLS session ticket, %s', (version) => {
  let eapServer: EapServer<string>;
  let credentials: TlsPeerCredentials;
  const ticketKey = randomBytes(48);

  async function begin(options: Partial<EapServerOptions<string>> = {}, of: Issued = chain): Promise<void> {
    eapServer = makeServer(pki, { serverOptions: { host, ...options } });
    eapServer.setTicketKey(ticketKey);
    credentials = credentialsOf(version, of);
    expect((await again()).answer).toMatchObject(success(false));
  }

  const again = (): Promise<Outcome> => runEap(pki, { version, eapServer, credentials });
  const reload = (options: Partial<EapServerOptions<string>>) => eapServer.reload({ ...eapServer.options, ...options });
  /** Replaces the server by another with the same ticket key, as after a restart or in a cluster. */
  function elsewhere(options: Partial<EapServerOptions<string>> = {}): void {
    eapServer = makeServer(pki, { serverOptions: { host, ...options } });
    eapServer.setTicketKey(ticketKey);
  }

  it('remains valid after a reload with the same trust anchors', async () => {
    await begin({ caPem: `${root.certificatePem}${other.certificatePem}` });
    reload({ caPem: `${other.certificatePem}\n${root.certificatePem}` });
    expect((await again()).answer).toMatchObject(success(true));
    reload({ revocation: revocationOf(await crls([], [])) });
    expect((await again()).answer).toMatchObject(success(true));
  });

  it('is not accepted under other trust anchors, so a full handshake follows', async () => {
    await begin();
    reload({ caPem: `${root.certificatePem}${other.certificatePem}` });
    expect((await again()).answer).toMatchObject(success(false));
    expect((await again()).answer).toMatchObject(success(true));
    elsewhere();
    expect((await again()).answer).toMatchObject(success(false));
    reload({ caPem: other.certificatePem });
    expect((await again()).answer).toMatchObject(refused('other-ca'));
  });

  it('is not accepted under other trust anchors even if its chain would be valid', async () => {
    const caPem = `${root.certificatePem}${issuing.certificatePem}`;
    await begin({ caPem });
    reload({ caPem: `${caPem}${other.certificatePem}` });
    expect((await again()).answer).toMatchObject(success(false));
    elsewhere({ caPem });
    expect((await again()).answer).toMatchObject(success(false));
  });

  it('of a client with a certificate of a removed CA is refused after a restart', async () => {
    const mine = await other.issue({ subject: `CN=${SUBSCRIBER}` });
    await begin({ caPem: `${root.certificatePem}${other.certificatePem}` }, mine);
    elsewhere();
    expect((await again()).answer).toMatchObject(refused('other-ca'));
  });

  it('is accepted by another server that has the same trust anchors and the issuers', async () => {
    const caPem = `${root.certificatePem}${issuing.certificatePem}`;
    await begin({ caPem });
    elsewhere({ caPem });
    expect((await again()).answer).toMatchObject(success(true));
  });

  it('causes a full handshake at a server without the issuers, and is accepted after it', async () => {
    await begin();
    elsewhere();
    expect((await again()).answer).toMatchObject(success(false));
    expect((await again()).answer).toMatchObject(success(true));
  });

  it.each([
    ['its certificate', [[], [LEAF]]],
    ['its issuer', [[SUB], []]],
  ] as const)('is refused when %s is revoked, at once and after a restart', async (_what, [ofRoot, ofIssuing]) => {
    await begin({ revocation: revocationOf(await crls([], [])) });
    const revocation = revocationOf(await crls(ofRoot, ofIssuing), { expired: 'ignore', missing: 'ignore' });
    reload({ revocation });
    const { session } = credentials;
    if (!session) throw new Error('no ticket');
    const kept = { ...session, ticket: session.ticket.copy() };
    expect((await again()).answer).toMatchObject(refused('revoked'));
    credentials.session = kept;
    elsewhere({ revocation, caPem: root.certificatePem });
    expect((await again()).answer).toMatchObject(refused('revoked'));
  });

  it('is refused while a CRL is missing or expired', async () => {
    await begin();
    reload({ revocation: revocationOf(await root.crl()) });
    expect((await again()).answer).toMatchObject(refused('crl'));
    await begin({ revocation: revocationOf(await crls([], [])) });
    atTime(Date.now() + 1.5 * DAY);
    expect((await again()).answer).toMatchObject(refused('crl'));
  });

  it('is refused once its certificate has expired', async () => {
    const short = { notBefore: new Date(Date.now() - DAY), notAfter: new Date(Date.now() + DAY) };
    const expiring = await issuing.issue({ subject: `CN=${SUBSCRIBER}`, validity: short });
    const mine = { ...expiring, certificatePem: expiring.certificatePem + issuing.certificatePem };
    await begin({}, mine);
    const { notAfter } = certificateOf(expiring.certificatePem);
    atTime(notAfter - 1);
    expect((await again()).answer).toMatchObject(success(true));
    atTime(notAfter);
    expect((await again()).answer).toMatchObject(refused('expired'));
  });

  it('is refused once the certificate of an issuer has expired', async () => {
    const short = { notBefore: new Date(Date.now() - DAY), notAfter: new Date(Date.now() + DAY) };
    const brief = await root.sub('brief', { validity: short });
    const issued = await brief.issue({ subject: `CN=${SUBSCRIBER}`, validity: validFor(5) });
    await begin({}, { ...issued, certificatePem: issued.certificatePem + brief.certificatePem });
    atTime(brief.certificate.notAfter);
    expect((await again()).answer).toMatchObject(refused('expired'));
  });

  it('needs a new authorization, so it is refused after a change of the certificate binding', async () => {
    await begin();
    const asked: string[] = [];
    reload({
      authorize: ({ fingerprint256 }) => {
        asked.push(fingerprint256);
        return Promise.resolve({ ok: false, reason: 'other-certificate' });
      },
    });
    expect((await again()).answer).toMatchObject(refused('other-certificate'));
    expect(asked).toEqual([certificateOf(client.certificatePem).fingerprint256]);
  });

  it('under an unknown ticket key causes a full handshake', async () => {
    await begin();
    eapServer.setTicketKey(randomBytes(48));
    expect((await again()).answer).toMatchObject(success(false));
  });
});

describe.each(VERSIONS)('A PaC, %s', (version) => {
  const run = (credentials: TlsPeerCredentials, eapServer = makeServer(pki)) =>
    runEap(pki, { version, credentials, eapServer });
  const failed = (reason: string, detail: RegExp) => ({
    type: 'failed',
    reason,
    detail: expect.stringMatching(detail),
  });

  it('refuses a server whose certificate is revoked or has no CRL', async () => {
    const revocation = revocationOf(await root.crl({ serials: [SERVER] }));
    const { events, answer } = await run(credentialsOf(version, { revocation }));
    expect(events.at(-1)).toMatchObject(failed('server-certificate', /^revoked: /));
    expect(answer.type).toBe('failure');
    expect(events.some(({ type }) => type === 'keys')).toBe(false);
    const good = await run(credentialsOf(version, { revocation: revocationOf(await root.crl()) }));
    expect(good.answer).toMatchObject(success(false));
    const missing = await run(credentialsOf(version, { revocation: revocationOf(await issuing.crl()) }));
    expect(missing.events.at(-1)).toMatchObject(failed('server-certificate', /^crl: /));
  });

  it('refuses a server whose certificate was revoked after it issued a ticket', async () => {
    const eapServer = makeServer(pki);
    const before = credentialsOf(version);
    await run(before, eapServer);
    const options = { ...peerOptions(version), ...chain };
    const revocation = revocationOf(await root.crl({ serials: [SERVER] }));
    const { events } = await run(createPeerCredentials({ ...options, revocation }, before), eapServer);
    expect(events.at(-1)).toMatchObject(failed('server-certificate', /^revoked: /));
  });

  it.each([
    ['that contains the text of a second name', 'x.example, DNS:aaa.home.example'],
    ['that ends like the right one', 'xaaa.home.example'],
    ['with a NUL character', 'aaa.home.example\0.evil.example'],
  ])('refuses a server certificate with a name %s', async (_what, value) => {
    const server = await root.issue({ subject: 'CN=aaa.home.example', names: [{ type: 'dns', value }] });
    const { events } = await run(credentialsOf(version), makeServer(pki, { server }));
    expect(events.at(-1)).toMatchObject(
      failed('server-name', /the certificate has .*, not aaa\.home\.example or a host below it/),
    );
  });
});

describe.each(VERSIONS)('A ticket at the PaC, %s', (version) => {
  async function reloaded(more: Partial<PeerCredentialsOptions>): Promise<boolean> {
    const eapServer = makeServer(pki);
    const before = credentialsOf(version);
    await runEap(pki, { version, credentials: before, eapServer });
    const credentials = createPeerCredentials({ ...peerOptions(version), ...chain, ...more }, before);
    const { answer } = await runEap(pki, { version, credentials, eapServer });
    if (answer.type !== 'success') throw new Error(JSON.stringify(answer));
    return answer.resumed;
  }

  it('is used after a reload with the same trust anchors, certificate and server name', async () => {
    expect(await reloaded({})).toBe(true);
    expect(await reloaded({ revocation: revocationOf(await root.crl()) })).toBe(true);
  });

  it("is not used once the server's certificate or the CRL has expired", async () => {
    const day = { notBefore: new Date(Date.now() - DAY), notAfter: new Date(Date.now() + DAY) };
    const names: JsonGeneralNames = [{ type: 'dns', value: 'aaa.home.example' }];
    const server = await root.issue({ subject: 'CN=aaa', names, validity: day });
    const { notAfter } = certificateOf(server.certificatePem);
    const again = async (at: number, more: Partial<PeerCredentialsOptions> = {}) => {
      wall = undefined;
      const eapServer = makeServer(pki, { server });
      const credentials = credentialsOf(version, more);
      await runEap(pki, { version, credentials, eapServer });
      const { session } = credentials;
      expect(session?.ticket.isWiped).toBe(false);
      atTime(at);
      const { answer, events } = await runEap(pki, { version, credentials, eapServer });
      expect(session?.ticket.isWiped).toBe(true);
      return answer.type === 'success' ? answer.resumed : events.at(-1);
    };
    expect(await again(notAfter - 1)).toBe(true);
    expect(await again(notAfter)).toMatchObject({
      reason: 'server-certificate',
      detail: expect.stringMatching(/^expired/),
    });
    const revocation = revocationOf(await root.crl({ nextUpdate: Date.now() + DAY / 2 }));
    expect(await again(Date.now() + DAY / 4, { revocation })).toBe(true);
    const outOfDate = { reason: 'server-certificate', detail: expect.stringMatching(/^crl: .* has expired/) };
    expect(await again(Date.now() + 0.75 * DAY, { revocation })).toMatchObject(outOfDate);
  });

  it('is not used after a reload that changes CAs, server name or certificate', async () => {
    expect(await reloaded({ caPem: `${root.certificatePem}${other.certificatePem}` })).toBe(false);
    expect(await reloaded({ serverName: 'home.example' })).toBe(false);
    const mine = await issuing.issue({ subject: `CN=${SUBSCRIBER}` });
    const certificatePem = mine.certificatePem + issuing.certificatePem;
    expect(await reloaded({ certificatePem, keyPem: mine.keyPem })).toBe(false);
  });
});

describe('The CRL of a CA', () => {
  const credentials = () => credentialsOf('TLSv1.3');

  it('is verified at reload with an issuer learned from a client, not with a CA of the same name', async () => {
    const eapServer = makeServer(pki, { serverOptions: { revocation: revocationOf(await crls([], [])) } });
    const run = () => runEap(pki, { eapServer, credentials: credentials() });
    expect((await run()).answer).toMatchObject(success(false));
    const namesake = await root.sub('issuing');
    const forged = await namesake.crl({ withoutKeyId: true, serials: [LEAF] });
    eapServer.reload({ ...eapServer.options, revocation: revocationOf((await root.crl()) + forged) });
    expect(eapServer.judge.revocation?.unverified).toHaveLength(1);
    expect((await run()).answer).toMatchObject(refused('crl'));
    eapServer.reload({ ...eapServer.options, revocation: revocationOf(await crls([], [LEAF])) });
    expect(eapServer.judge.revocation?.unverified).toEqual([]);
    expect((await run()).answer).toMatchObject(refused('revoked'));
  });

  it('that is configured must be signed by that CA', async () => {
    const eapServer = makeServer(pki);
    const forged = revocationOf(await (await Authority.root('root', { anonymous: true })).crl({ withoutKeyId: true }));
    expect(() => eapServer.reload({ ...eapServer.options, revocation: forged })).toThrow('its signature is wrong');
    expect(() => makeServer(pki, { serverOptions: { revocation: forged } })).toThrow('its signature is wrong');
    expect(eapServer.judge.revocation).toBeUndefined();
    expect((await runEap(pki, { eapServer, credentials: credentials() })).answer).toMatchObject(success(false));
  });
});
