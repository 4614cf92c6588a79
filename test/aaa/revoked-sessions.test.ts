import { beforeEach, expect, it } from 'vitest';
import { RevokedSessions } from '../../src/aaa/revoked-sessions.js';
import { Trust } from '../../src/runtime/tls/certificates/trust.js';
import { PeerJudge } from '../../src/runtime/tls/peer-certificate.js';
import { revocationOf } from '../runtime/eap/revocation-of.js';
import { Authority } from '../runtime/tls/certificates/authority.js';

let root: Authority;
let issuing: Authority;
let below: Authority;
let judge: PeerJudge;
let sessions: RevokedSessions;

beforeEach(async () => {
  root = await Authority.root('root');
  issuing = await root.sub('issuing', { serial: '07' });
  below = await issuing.sub('below', { serial: '09' });
  judge = new PeerJudge({ trust: new Trust([root, issuing, below].map(({ certificate }) => certificate)) });
  sessions = new RevokedSessions();
});

const idOf = ({ certificate }: Authority) => certificate.issuerId;

/** Loads these CRLs; resolves to the newly revoked certificates. */
async function take(...crls: (readonly [Authority, ...string[]])[]) {
  const pems = await Promise.all(crls.map(([authority, ...serials]) => authority.crl({ serials })));
  judge.reload({ trust: judge.trust, revocation: revocationOf(pems.join('')) });
  const { certificates, issuers } = sessions.look(judge, Date.now());
  return { certificates: [...certificates].sort(), issuers: [...issuers].sort() };
}

it('RevokedSessions reports each revoked certificate once, and again after it left the CRL', async () => {
  const good = [below] as const;
  expect(await take([root, '01'], [issuing, '01', '02'], good)).toEqual({
    certificates: [`${idOf(root)}:1`, `${idOf(issuing)}:1`, `${idOf(issuing)}:2`].sort(),
    issuers: [],
  });
  expect(await take([root, '01'], [issuing, '01', '02'], good)).toEqual({ certificates: [], issuers: [] });
  expect(await take([root, '01', '02'], [issuing, '02'], good)).toMatchObject({ certificates: [`${idOf(root)}:2`] });
  // A certificate that was taken off the CRL is reported again.
  expect(await take([root], [issuing, '01'], good)).toMatchObject({ certificates: [`${idOf(issuing)}:1`] });
});

it('RevokedSessions reports a revoked CA together with the CAs below it', async () => {
  await take([root], [issuing], [below]);
  expect(await take([root, '07'], [issuing], [below])).toEqual({
    certificates: [`${idOf(root)}:7`],
    issuers: [idOf(issuing), idOf(below)].sort(),
  });
  expect((await take([root, '07'], [issuing], [below])).issuers).toEqual([]);
});

it('RevokedSessions reports a CA only when all of its certificates are revoked', async () => {
  const again = await root.sub('issuing', { key: issuing.key, serial: '08' });
  judge = new PeerJudge({ trust: new Trust([root.certificate, issuing.certificate, again.certificate]) });
  expect((await take([root, '07'], [issuing])).issuers).toEqual([]);
  expect((await take([root, '07', '08'], [issuing])).issuers).toEqual([idOf(issuing)]);
});
