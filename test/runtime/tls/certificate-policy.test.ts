import { createSecureContext } from 'node:tls';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Issued, issueCertificate, makeCa, validFor } from '../../../src/pki/certificate-authority.js';
import {
  createPeerCredentials,
  type PeerCredentialsOptions,
  TlsPeerCredentials,
} from '../../../src/runtime/eap/tls-peer.js';
import { certificatesOfPem } from '../../../src/runtime/tls/certificates/pem.js';
import { type CertificatePolicy, DEFAULT_POLICY, violation } from '../../../src/runtime/tls/certificates/policy.js';
import { engineSettings, type TlsSettings } from '../../../src/runtime/tls/settings.js';
import { makePki, makeServer, runEap, SUBSCRIBER, type TestPki } from '../eap/eap-run.js';
import { issueOdd } from '../eap/odd-certificates.js';

/** SSL_OP_NO_EXTENDED_MASTER_SECRET of OpenSSL 3, which Node does not export. */
const NO_EXTENDED_MASTER_SECRET = 1;

const SETTINGS: TlsSettings = {
  'min-version': '1.2',
  'max-version': '1.3',
  'min-rsa-bits': 2048,
  'sha1-signatures': 'refuse',
  'extended-key-usage': 'required',
};

let pki: TestPki;
let ca: Issued;

beforeAll(async () => {
  pki = await makePki('rsa');
  ca = pki.ca;
});

const pathOf = (...issued: readonly Issued[]) => issued.flatMap((one) => certificatesOfPem(one.certificatePem));
const loose = (more: Partial<CertificatePolicy>) => ({ ...DEFAULT_POLICY, ...more });

describe('CertificatePolicy for a path', () => {
  it("accepts paths of this project's PKI for their purpose", async () => {
    for (const kind of ['p256', 'rsa'] as const) {
      const root = await makeCa('CA', kind, validFor(2));
      const client = await issueCertificate(root, { kind: 'client', nai: SUBSCRIBER }, validFor(1));
      const server = await issueCertificate(root, { kind: 'server', hosts: ['a.example'] }, validFor(1));
      expect(violation(pathOf(client, root), 'client', DEFAULT_POLICY)).toBeUndefined();
      expect(violation(pathOf(server, root), 'server', DEFAULT_POLICY)).toBeUndefined();
      // A Diameter node connects as a client too.
      expect(violation(pathOf(server, root), 'client', DEFAULT_POLICY)).toBeUndefined();
      expect(violation(pathOf(client, root), 'server', DEFAULT_POLICY)).toMatchObject({ reason: 'purpose' });
    }
  });

  it('refuses a small RSA key anywhere in the path unless it is allowed', () => {
    const small = issueOdd({ name: 'small', bits: 1024, usage: ['clientAuth'], issuer: ca });
    expect(violation(pathOf(small, ca), 'client', DEFAULT_POLICY)).toEqual({
      reason: 'weak-certificate',
      detail: 'CN=small: an RSA key of 1024 bits, less than 2048',
    });
    expect(violation(pathOf(small, ca), 'client', loose({ minRsaBits: 1024 }))).toBeUndefined();
    const smallCa = issueOdd({ name: 'small CA', bits: 1024, ca: true });
    const leaf = issueOdd({ name: 'leaf', usage: ['clientAuth'], issuer: smallCa });
    expect(violation(pathOf(leaf, smallCa), 'client', DEFAULT_POLICY)?.detail).toContain('CN=small CA');
    expect(violation(pathOf(leaf, ca), 'client', loose({ minRsaBits: 3072 }))?.detail).toContain('2048 bits');
  });

  it('refuses a SHA-1 signature unless it is allowed or on the trust anchor', () => {
    const old = issueOdd({ name: 'old', hash: 'sha1', usage: ['clientAuth'], issuer: ca });
    expect(violation(pathOf(old, ca), 'client', DEFAULT_POLICY)).toEqual({
      reason: 'weak-certificate',
      detail: 'CN=old: a signature over SHA-1',
    });
    expect(violation(pathOf(old, ca), 'client', loose({ sha1Signatures: 'allow' }))).toBeUndefined();
    const anchor = issueOdd({ name: 'anchor', hash: 'sha1', ca: true });
    const leaf = issueOdd({ name: 'leaf', usage: ['clientAuth'], issuer: anchor });
    expect(violation(pathOf(leaf, anchor), 'client', DEFAULT_POLICY)).toBeUndefined();
  });

  it.each<[string, boolean]>([
    ['P-192', false],
    ['secp160r1', false],
    ['P-224', true],
    ['P-384', true],
    ['P-521', true],
    ['secp256k1', true],
    ['brainpoolP256r1', true],
  ])('refuses elliptic curves below P-224: %s', (namedCurve, isGood) => {
    const oids: Readonly<Record<string, string>> = {
      'P-192': '1.2.840.10045.3.1.1',
      secp160r1: '1.3.132.0.8',
      'P-224': '1.3.132.0.33',
      'P-384': '1.3.132.0.34',
      'P-521': '1.3.132.0.35',
      secp256k1: '1.3.132.0.10',
      brainpoolP256r1: '1.3.36.3.3.2.8.1.1.7',
    };
    const keyKind = { type: 'other' as const, algorithm: '1.2.840.10045.2.1', curve: oids[namedCurve] };
    const path = pathOf(pki.client, ca).map((one, i) => (i === 0 ? { ...one, keyKind } : one));
    expect(violation(path, 'client', DEFAULT_POLICY) === undefined).toBe(isGood);
  });

  it('accepts a missing extendedKeyUsage if it is allowed, but no other purpose', () => {
    const plain = issueOdd({ name: 'plain', issuer: ca });
    expect(violation(pathOf(plain, ca), 'client', DEFAULT_POLICY)).toMatchObject({ reason: 'purpose' });
    for (const role of ['client', 'server'] as const) {
      expect(violation(pathOf(plain, ca), role, loose({ extendedKeyUsage: 'if-present' }))).toBeUndefined();
    }
    const signer = issueOdd({ name: 'signer', usage: ['codeSigning'], issuer: ca });
    expect(violation(pathOf(signer, ca), 'client', loose({ extendedKeyUsage: 'if-present' }))).toEqual({
      reason: 'purpose',
      detail: 'CN=signer: its extendedKeyUsage lacks clientAuth',
    });
  });

  it('refuses a path through a CA that is limited to other purposes', () => {
    const limited = issueOdd({ name: 'clients only', ca: true, usage: ['clientAuth'], issuer: ca });
    const leaf = issueOdd({ name: 'leaf', usage: ['clientAuth', 'serverAuth'], issuer: limited });
    expect(violation(pathOf(leaf, limited, ca), 'client', DEFAULT_POLICY)).toBeUndefined();
    expect(violation(pathOf(leaf, limited, ca), 'server', DEFAULT_POLICY)?.detail).toContain('CN=clients only');
  });
});

describe('CertificatePolicy in EAP-TLS', () => {
  const odd = (more: Partial<Parameters<typeof issueOdd>[0]>) =>
    issueOdd({ name: 'x', issuer: ca, email: SUBSCRIBER, host: 'aaa.home.example', ...more });

  /** A client that does not check its own certificate. */
  const careless = (
    { certificatePem, keyPem }: Issued,
    version: 'TLSv1.2' | 'TLSv1.3' = 'TLSv1.3',
    more: Partial<PeerCredentialsOptions> = {},
  ) =>
    createPeerCredentials({
      caPem: ca.certificatePem,
      certificatePem,
      keyPem,
      serverName: 'aaa.home.example',
      ciphers: 'DEFAULT@SECLEVEL=0',
      minVersion: version,
      maxVersion: version,
      ...more,
    });

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'refuses a client certificate that is weak or has another purpose: %s',
    async (version) => {
      const cases = [
        [odd({ usage: ['serverAuth'] }), 'purpose'],
        [odd({}), 'purpose'],
        [odd({ usage: ['clientAuth'], bits: 1024 }), 'weak-certificate'],
      ] as const;
      for (const [client, reason] of cases) {
        const { answer } = await runEap(pki, { client, version });
        expect(answer).toMatchObject({ type: 'failure', reason });
      }
      const { answer } = await runEap(pki, { client: odd({ usage: ['clientAuth'] }), version });
      expect(answer.type).toBe('success');
      // With a SHA-1 signature the TLS engine may refuse first.
      const old = odd({ usage: ['clientAuth'], hash: 'sha1' });
      expect((await runEap(pki, { credentials: careless(old, version) })).answer).toMatchObject({ type: 'failure' });
      // With an engine that accepts SHA-1, our policy refuses it.
      const serverOptions = { ciphers: 'DEFAULT@SECLEVEL=0' };
      const lax = await runEap(pki, { credentials: careless(old, version), serverOptions });
      expect(lax.answer).toMatchObject({ type: 'failure', reason: 'weak-certificate' });
    },
  );

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'refuses a server with a client certificate or a weak one: %s',
    async (version) => {
      // Issued by the same CA, even with the right name: a client must not act as a server.
      for (const server of [odd({ usage: ['clientAuth'] }), odd({}), odd({ usage: ['serverAuth'], bits: 1024 })]) {
        const { events, answer } = await runEap(pki, { server, version });
        expect(events.at(-1)).toMatchObject({ type: 'failed', reason: 'server-certificate' });
        expect(answer.type).not.toBe('success');
      }
      const good = await runEap(pki, { server: odd({ usage: ['serverAuth'] }), version });
      expect(good.answer.type).toBe('success');
    },
  );

  it('accepts what the configuration allows', async () => {
    const settings = engineSettings({
      ...SETTINGS,
      'min-rsa-bits': 1024,
      'sha1-signatures': 'allow',
      'extended-key-usage': 'if-present',
    });
    for (const client of [odd({}), odd({ bits: 1024 }), odd({ hash: 'sha1' })]) {
      const { answer } = await runEap(pki, { credentials: careless(client), serverOptions: settings });
      expect(answer).toMatchObject({ type: 'success' });
    }
    const other = await runEap(pki, { client: odd({ usage: ['serverAuth'] }), serverOptions: settings });
    expect(other.answer).toMatchObject({ type: 'failure', reason: 'purpose' });
  });

  it('applies the current policy to a resumed session', async () => {
    const eapServer = makeServer(pki, {
      serverOptions: { certificatePolicy: loose({ extendedKeyUsage: 'if-present' }) },
    });
    const client = odd({});
    const first = await runEap(pki, { eapServer, client });
    expect(first.answer).toMatchObject({ type: 'success', resumed: false });
    const second = await runEap(pki, { eapServer, credentials: first.credentials });
    expect(second.answer).toMatchObject({ type: 'success', resumed: true });
    eapServer.reload({ ...eapServer.options, certificatePolicy: DEFAULT_POLICY });
    const third = await runEap(pki, { eapServer, credentials: second.credentials });
    expect(third.answer).toMatchObject({ type: 'failure', reason: 'purpose' });
  });
});

describe('The extended master secret of TLS 1.2', () => {
  /** A peer whose TLS does not support RFC 7627. */
  function older(policy: 'required' | 'wanted'): TlsPeerCredentials {
    const { certificatePem, keyPem } = pki.client;
    const options = {
      caPem: ca.certificatePem,
      certificatePem,
      keyPem,
      serverName: 'aaa.home.example',
      minVersion: 'TLSv1.2' as const,
      maxVersion: 'TLSv1.2' as const,
      extendedMasterSecret: policy,
    };
    const { minVersion, maxVersion } = options;
    const secureOptions = NO_EXTENDED_MASTER_SECRET;
    const context = createSecureContext({
      ca: options.caPem,
      cert: certificatePem,
      key: keyPem,
      minVersion,
      maxVersion,
      secureOptions,
    });
    return new TlsPeerCredentials({ ...createPeerCredentials(options), context });
  }

  it('is required by server and client', async () => {
    const both = await runEap(pki, { version: 'TLSv1.2' });
    expect(both.answer.type).toBe('success');
    const client = await runEap(pki, { credentials: older('wanted') });
    expect(client.answer).toMatchObject({ type: 'failure', reason: 'extended-master-secret' });
    const serverOptions = { extendedMasterSecret: 'wanted' as const };
    const server = await runEap(pki, { credentials: older('required'), serverOptions });
    expect(server.events.at(-1)).toMatchObject({ type: 'failed', reason: 'extended-master-secret' });
    expect(server.answer.type).not.toBe('success');
  });

  it('may be missing in one conversation only', async () => {
    const eapServer = makeServer(pki);
    const allowed = { eapServer, credentials: older('wanted'), extendedMasterSecret: 'wanted' } as const;
    expect((await runEap(pki, allowed)).answer.type).toBe('success');
    const other = await runEap(pki, { eapServer, credentials: older('wanted') });
    expect(other.answer).toMatchObject({ type: 'failure', reason: 'extended-master-secret' });
  });

  it('may be missing if the configuration allows it, and is checked in resumptions too', async () => {
    const eapServer = makeServer(pki, { serverOptions: { extendedMasterSecret: 'wanted' } });
    const first = await runEap(pki, { eapServer, credentials: older('wanted') });
    expect(first.answer).toMatchObject({ type: 'success', resumed: false });
    const second = await runEap(pki, { eapServer, credentials: first.credentials });
    expect(second.answer).toMatchObject({ type: 'success', resumed: true });
    eapServer.reload({ ...eapServer.options, extendedMasterSecret: 'required' });
    const third = await runEap(pki, { eapServer, credentials: second.credentials });
    expect(third.answer).toMatchObject({ type: 'failure', reason: 'extended-master-secret' });
    const own = makeServer(pki);
    const good = await runEap(pki, { eapServer: own, version: 'TLSv1.2' });
    const resumed = await runEap(pki, { eapServer: own, credentials: good.credentials });
    expect(resumed.answer).toMatchObject({ type: 'success', resumed: true });
  });
});
