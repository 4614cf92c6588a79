import 'reflect-metadata';
import { Extension, KeyUsageFlags } from '@peculiar/x509';
import { beforeAll, describe, expect, it } from 'vitest';
import { DAY, issueCertificate, makeCa, validFor } from '../../../../src/pki/certificate-authority.js';
import type { Certificate } from '../../../../src/protocol/x509/certificate.js';
import { MAX_LEARNED, MAX_PATH, MAX_TRIES, Trust } from '../../../../src/runtime/tls/certificates/trust.js';
import { Authority, type AuthorityParts, certificateOf } from './authority.js';

let root: Authority;
let issuing: Authority;
let leaf: Certificate;
const NOW = Date.now();

const leafOf = async (authority: Authority, parts: object = {}) =>
  certificateOf((await authority.issue({ subject: 'CN=mn1@home.example', ...parts })).certificatePem);

beforeAll(async () => {
  root = await Authority.root('root');
  issuing = await root.sub('issuing');
  leaf = await leafOf(issuing);
});

/** The common names of the issuers in each path, or why there is none. */
function ways(trust: Trust, of: Certificate, brought: readonly Certificate[] = [], engineChecked = true) {
  const paths = trust.paths(of, brought, NOW, engineChecked);
  if ('reason' in paths) return paths;
  return paths.map((path) => path.slice(1).map(({ subject }) => subject.commonNames[0]));
}

describe('Trust.paths', () => {
  it('matches issuers by name, not by key alone', async () => {
    const renamed = await root.sub('renamed', { key: issuing.key });
    const trust = new Trust([root.certificate]);
    expect(ways(trust, leaf, [renamed.certificate])).toMatchObject({ reason: 'other-ca' });
    expect(ways(trust, leaf, [renamed.certificate, issuing.certificate])).toEqual([['issuing', 'root']]);
  });

  it('uses configured, sent and learned issuers', () => {
    const whole = new Trust([root.certificate, issuing.certificate]);
    expect(ways(whole, leaf)).toEqual([['issuing', 'root']]);
    const trust = new Trust([root.certificate]);
    expect(ways(trust, leaf)).toMatchObject({ reason: 'other-ca' });
    expect(ways(trust, leaf, [issuing.certificate])).toEqual([['issuing', 'root']]);
    expect(trust.learn([leaf, issuing.certificate, root.certificate])).toHaveLength(1);
    expect(trust.learn([leaf, issuing.certificate, root.certificate])).toHaveLength(0);
    expect(ways(trust, leaf)).toEqual([['issuing', 'root']]);
    expect(ways(new Trust([root.certificate], [issuing.certificate]), leaf)).toEqual([['issuing', 'root']]);
  });

  it('ends only at a configured self-signed certificate', async () => {
    const other = await Authority.root('other');
    const client = await leafOf(other);
    for (const trust of [new Trust([root.certificate]), new Trust([root.certificate], [other.certificate])]) {
      expect(ways(trust, client, [other.certificate])).toMatchObject({ reason: 'other-ca' });
    }
    for (const one of [leaf, issuing.certificate]) {
      expect(ways(new Trust([issuing.certificate]), one)).toMatchObject({ reason: 'other-ca' });
    }
    expect(ways(new Trust([root.certificate, issuing.certificate]), issuing.certificate)).toEqual([['root']]);
    expect(new Trust([other.certificate]).paths(other.certificate, [], NOW, true)).toEqual([[other.certificate]]);
    expect(ways(new Trust([root.certificate]), other.certificate)).toMatchObject({ reason: 'other-ca' });
  });

  it('distinguishes issuers of the same name by their keys', async () => {
    const namesake = await Authority.root('root');
    const anonymous = await Authority.root('root', { anonymous: true });
    for (const others of [[namesake], [anonymous], [namesake, anonymous]]) {
      const certificates = others.map(({ certificate }) => certificate);
      expect(ways(new Trust(certificates), issuing.certificate)).toMatchObject({ reason: 'other-ca' });
      expect(ways(new Trust([...certificates, root.certificate]), leaf, [issuing.certificate])).toHaveLength(1);
    }
  });

  it.each<[string, AuthorityParts, RegExp]>([
    ['may not sign certificates', { usage: KeyUsageFlags.cRLSign }, /keyUsage/],
    ['has expired', { validity: { notBefore: new Date(NOW - 2 * DAY), notAfter: new Date(NOW - DAY) } }, /CN=bad/],
    ['is not valid yet', { validity: { notBefore: new Date(NOW + DAY), notAfter: new Date(NOW + 2 * DAY) } }, /CN=bad/],
  ])('excludes a CA that %s', async (_what, parts, detail) => {
    const bad = await root.sub('bad', parts);
    const found = ways(new Trust([root.certificate, bad.certificate]), await leafOf(bad));
    expect(found).toMatchObject({ reason: expect.any(String), detail: expect.stringMatching(detail) });
  });

  it('excludes a certificate that is no CA and a path longer than allowed', async () => {
    const narrow = await root.sub('narrow', { pathLength: 0 });
    const below = await narrow.sub('below');
    const trust = new Trust([root.certificate, narrow.certificate, below.certificate]);
    expect(ways(trust, await leafOf(narrow))).toEqual([['narrow', 'root']]);
    expect(ways(trust, await leafOf(below))).toMatchObject({ detail: expect.stringContaining('too long') });
    const ca = await makeCa('plain', 'p256', validFor(3));
    const server = await issueCertificate(ca, { kind: 'server', hosts: ['a.example'] }, validFor(3));
    const under = await issueCertificate(server, { kind: 'client', nai: 'mn1@home.example' }, validFor(3));
    const plain = new Trust([certificateOf(ca.certificatePem), certificateOf(server.certificatePem)]);
    expect(ways(plain, certificateOf(under.certificatePem))).toMatchObject({
      detail: expect.stringContaining('is not a CA'),
    });
  });

  it('finds all paths if there are several', async () => {
    const second = await Authority.root('second');
    const crossed = await second.sub('issuing', { key: issuing.key });
    const trust = new Trust([root.certificate, second.certificate, issuing.certificate]);
    expect(ways(trust, leaf, [crossed.certificate])).toEqual([
      ['issuing', 'root'],
      ['issuing', 'second'],
    ]);
  });

  it('accepts a path with name constraints only if it is the only one and the engine checked it', async () => {
    const constraints = new Extension('2.5.29.30', true, Uint8Array.of(0x30, 0).buffer);
    const bound = await root.sub('bound', { extensions: [constraints] });
    const client = await leafOf(bound);
    const trust = new Trust([root.certificate, bound.certificate]);
    expect(ways(trust, client, [], true)).toEqual([['bound', 'root']]);
    expect(ways(trust, client, [], false)).toMatchObject({ detail: expect.stringContaining('constraints') });
    const free = await root.sub('bound', { key: bound.key });
    expect(ways(trust, client, [free.certificate], true)).toEqual([['bound', 'root']]);
    const odd = await root.sub('odd', { extensions: [new Extension('1.2.3.4', true, Uint8Array.of(5, 0).buffer)] });
    expect(ways(new Trust([root.certificate, odd.certificate]), await leafOf(odd), [], false)).toMatchObject({
      reason: 'other-ca',
    });
  });

  it('limits the length of a path and the signatures tried', async () => {
    const chain = [root];
    for (let i = 0; i < MAX_PATH; i += 1) chain.push(await (chain.at(-1) ?? root).sub(`sub ${i}`));
    const certificates = chain.map(({ certificate }) => certificate);
    const deep = (depth: number) => leafOf(chain[depth] ?? root);
    expect(ways(new Trust(certificates), await deep(MAX_PATH - 2))).toHaveLength(1);
    expect(ways(new Trust(certificates), await deep(MAX_PATH - 1))).toMatchObject({ reason: 'other-ca' });
    const namesakes = await Promise.all(
      Array.from({ length: MAX_TRIES }, () =>
        Authority.root('issuing', { subject: 'O=Test, CN=issuing', anonymous: true }),
      ),
    );
    const brought = [...namesakes.map(({ certificate }) => certificate), issuing.certificate];
    expect(ways(new Trust([root.certificate]), leaf, brought)).toMatchObject({ reason: 'other-ca' });
    expect(ways(new Trust([root.certificate]), leaf, brought.slice(2))).toHaveLength(1);
  });

  it('terminates when certificates form a loop', async () => {
    const one = await Authority.root('one');
    const two = await Authority.root('two');
    const onTwo = await one.sub('two', { key: two.key });
    const onOne = await two.sub('one', { key: one.key });
    const trust = new Trust([root.certificate]);
    expect(ways(trust, await leafOf(two), [onTwo.certificate, onOne.certificate])).toMatchObject({
      reason: 'other-ca',
    });
  });
});

describe('Trust', () => {
  it('has an id that depends on the configured certificates only', () => {
    const id = (...certificates: Certificate[]) => new Trust(certificates).id;
    const [a, b] = [root.certificate, issuing.certificate];
    expect(id(a, b)).toBe(id(b, a, b));
    expect(id(a)).not.toBe(id(a, b));
    expect(new Trust([a], [b]).id).toBe(id(a));
  });

  it('remembers a limited number of intermediates', async () => {
    const trust = new Trust([root.certificate]);
    const many = await Promise.all(Array.from({ length: MAX_LEARNED + 1 }, (_, i) => root.sub(`sub ${i}`)));
    for (const { certificate } of many) trust.learn([leaf, certificate, root.certificate]);
    expect(trust.authorities).toHaveLength(MAX_LEARNED + 1);
    const [first, , last] = [many[0], many[1], many.at(-1)];
    expect(ways(trust, await leafOf(first ?? root))).toMatchObject({ reason: 'other-ca' });
    expect(ways(trust, await leafOf(last ?? root))).toHaveLength(1);
  });
});
