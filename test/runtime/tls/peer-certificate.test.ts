import type { TLSSocket } from 'node:tls';
import { beforeAll, describe, expect, it } from 'vitest';
import { DAY, type Issued, validFor } from '../../../src/pki/certificate-authority.js';
import { Trust } from '../../../src/runtime/tls/certificates/trust.js';
import { MAX_NAMES, PeerJudge, type PeerJudgeOptions } from '../../../src/runtime/tls/peer-certificate.js';
import { revocationOf } from '../eap/revocation-of.js';
import { Authority, certificateOf, derOf } from './certificates/authority.js';

const NOW = Date.now();
const LEAF = '08';
const UNREADABLE = Uint8Array.of(0x30, 2, 1, 2);

let root: Authority;
let issuing: Authority;
let client: Issued;

beforeAll(async () => {
  root = await Authority.root('root');
  issuing = await root.sub('issuing', { validity: validFor(5) });
  client = await issuing.issue({ subject: 'CN=mn1@home.example', serial: LEAF });
});

interface Ended {
  readonly raw?: Uint8Array | undefined;
  /** Certificates sent with the leaf. */
  readonly brought?: readonly Authority[];
  readonly error?: string;
  readonly resumed?: boolean;
}

/** What the TLS engine reports of a handshake. */
function ended({ raw, brought = [], error, resumed = false }: Ended): TLSSocket {
  const issuers = brought.map(({ certificatePem }) => ({ raw: derOf(certificatePem) }));
  const chain = [{ raw }, ...issuers].map((one): Record<string, unknown> => ({ ...one }));
  for (const [i, one] of chain.entries()) one['issuerCertificate'] = chain[i + 1];
  return {
    getSession: () => undefined,
    getPeerCertificate: () => chain[0],
    authorized: error === undefined,
    authorizationError: error,
    isSessionReused: () => resumed,
  } as unknown as TLSSocket;
}

const judgeOf = (known: readonly Authority[] = [root], more: Partial<PeerJudgeOptions> = {}) =>
  new PeerJudge({ trust: new Trust(known.map(({ certificate }) => certificate)), ...more });
const leaf = () => derOf(client.certificatePem);

describe('PeerJudge', () => {
  it('returns the peer with its path and the earliest end of validity', () => {
    const judgement = judgeOf().judge(ended({ raw: leaf(), brought: [issuing, root] }), NOW);
    const certificate = certificateOf(client.certificatePem);
    expect(judgement).toMatchObject({
      peer: {
        peerIds: ['mn1@home.example'],
        serial: '8',
        issuerId: issuing.certificate.issuerId,
        fingerprint256: certificate.fingerprint256,
        notAfter: issuing.certificate.notAfter,
      },
    });
    expect('peer' in judgement && judgement.peer.path).toHaveLength(3);
  });

  it('reads the certificate of a node once, in full and resumed handshakes', () => {
    const judge = judgeOf([root, issuing]);
    const leafOf = (end: Ended) => {
      const judgement = judge.judge(ended(end), NOW);
      return 'peer' in judgement ? judgement.peer.path[0] : undefined;
    };
    const first = leafOf({ raw: leaf() });
    expect(first?.serial).toBe('8');
    expect(leafOf({ raw: leaf() })).toBe(first);
    expect(leafOf({ raw: leaf(), resumed: true })).toBe(first);
  });

  it.each<[string, Ended, string]>([
    ['that is missing', {}, 'no-certificate'],
    ['that cannot be read', { raw: UNREADABLE }, 'other-ca'],
    ['found expired by the TLS engine', { raw: UNREADABLE, error: 'CERT_HAS_EXPIRED' }, 'expired'],
    ['found not yet valid by the TLS engine', { raw: UNREADABLE, error: 'CERT_NOT_YET_VALID' }, 'not-yet-valid'],
    ['found to have another purpose by the TLS engine', { raw: UNREADABLE, error: 'INVALID_PURPOSE' }, 'purpose'],
    ['not trusted by the TLS engine', { raw: UNREADABLE, error: 'SELF_SIGNED_CERT_IN_CHAIN' }, 'other-ca'],
  ])('refuses a certificate %s', (_what, end, reason) => {
    expect(judgeOf().judge(ended(end), NOW)).toMatchObject({ reason });
  });

  it("reports the engine's error with the subject if it can be read", () => {
    const detailOf = (raw: Uint8Array) => judgeOf().judge(ended({ raw, error: 'X' }), NOW);
    expect(detailOf(leaf())).toEqual({ reason: 'other-ca', detail: 'CN=mn1@home.example: X' });
    expect(detailOf(UNREADABLE)).toEqual({ reason: 'other-ca', detail: 'a certificate that cannot be read: X' });
  });

  it('ignores a sent certificate that cannot be read', () => {
    const odd = { certificatePem: Buffer.from(UNREADABLE).toString('base64') } as Authority;
    expect(judgeOf().judge(ended({ raw: leaf(), brought: [odd, issuing] }), NOW)).toMatchObject({ peer: {} });
  });

  it('needs the issuer among the first eight sent certificates', () => {
    const behind = (count: number) => [...new Array<Authority>(count).fill(root), issuing];
    expect(judgeOf().judge(ended({ raw: leaf() }), NOW)).toMatchObject({ reason: 'other-ca' });
    expect(judgeOf().judge(ended({ raw: leaf(), brought: behind(7) }), NOW)).toMatchObject({ peer: {} });
    expect(judgeOf().judge(ended({ raw: leaf(), brought: behind(8) }), NOW)).toMatchObject({ reason: 'other-ca' });
  });

  it('takes at most 64 names from a certificate', async () => {
    const names = Array.from({ length: 70 }, (_, i) => ({ type: 'dns', value: `h${i}.example` }) as const);
    const many = await root.issue({ subject: 'CN=x', names });
    const judgement = judgeOf().judge(ended({ raw: derOf(many.certificatePem) }), NOW);
    expect(MAX_NAMES).toBe(64);
    expect('peer' in judgement && judgement.peer.peerIds).toEqual(names.slice(0, 64).map(({ value }) => value));
  });
});

describe('PeerJudge with a resumed session', () => {
  const resumed = (judge: PeerJudge, now = NOW) => judge.judge(ended({ raw: leaf(), resumed: true }), now);

  it('uses the path of the full handshake, or one of known certificates', () => {
    const judge = judgeOf();
    expect(resumed(judge)).toMatchObject({ reason: 'resumption' });
    expect(judge.canResume(leaf(), NOW)).toBe(false);
    judge.judge(ended({ raw: leaf(), brought: [issuing] }), NOW);
    expect(resumed(judge)).toMatchObject({ peer: { serial: '8' } });
    expect(judge.canResume(leaf(), NOW)).toBe(true);
    const whole = judgeOf([root, issuing]);
    expect(resumed(whole)).toMatchObject({ peer: { serial: '8' } });
    expect(whole.canResume(leaf(), NOW)).toBe(true);
  });

  it('cannot resume with an unreadable certificate or one of another CA', async () => {
    const other = await (await Authority.root('other')).issue({ subject: 'CN=x' });
    expect(judgeOf().canResume(UNREADABLE, NOW)).toBe(false);
    expect(judgeOf().canResume(derOf(other.certificatePem), NOW)).toBe(false);
  });

  it('cannot resume after the earliest end of validity in the path', () => {
    const judge = judgeOf([root, issuing]);
    judge.judge(ended({ raw: leaf() }), NOW);
    const { notAfter } = issuing.certificate;
    expect(judge.canResume(leaf(), notAfter - 1)).toBe(true);
    expect(judge.canResume(leaf(), notAfter)).toBe(false);
    expect(resumed(judge, notAfter)).toMatchObject({ reason: 'resumption' });
    expect(resumed(judge, NOW + 11 * DAY)).toMatchObject({ reason: 'expired' });
  });

  it('applies the current CRLs and policy', async () => {
    const crls = (serials: readonly string[]) =>
      Promise.all([root.crl(), issuing.crl({ serials })]).then((pems) => revocationOf(pems.join('')));
    const judge = judgeOf([root, issuing], { revocation: await crls([]) });
    judge.judge(ended({ raw: leaf() }), NOW);
    expect(judge.canResume(leaf(), NOW)).toBe(true);
    judge.reload({ trust: judge.trust, revocation: await crls([LEAF]) });
    expect(judge.canResume(leaf(), NOW)).toBe(false);
    expect(resumed(judge)).toMatchObject({ reason: 'revoked' });
    const purpose = { reason: 'purpose', detail: 'x' } as const;
    judge.reload({ trust: judge.trust, policy: () => purpose });
    expect(judge.canResume(leaf(), NOW)).toBe(false);
    expect(resumed(judge)).toEqual(purpose);
    judge.reload({ trust: judge.trust });
    expect(judge.canResume(leaf(), NOW)).toBe(true);
  });
});
