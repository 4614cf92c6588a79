import { expect, it } from 'vitest';
import { RadiusClientTally } from '../../src/aaa/radius-client-tally.js';
import { Secret } from '../../src/protocol/bytes/secret.js';

const client = (name: string, certificate?: string) => ({
  name,
  from: ['192.0.2.1', '2001:db8::/64'],
  secret: Secret.copyOf(Uint8Array.of(1)),
  certificate,
  isHomeAgent: false,
  dynamic: undefined,
});
const ACCEPT = { type: 'served', code: 2, client: 'nas1', sessionId: undefined, isRepeated: false } as const;
const DROP = { type: 'dropped', cause: 'wrong-authenticator', address: '192.0.2.1', report: 1 } as const;

it('counts what each RADIUS client got, without watchdogs and repetitions, and shows the problem until the next answer', () => {
  const tally = new RadiusClientTally([client('nas1', 'nas1.example'), client('nas2')]);
  const first = () => tally.views()[0];
  const none = { accepted: 0, rejected: 0, discarded: 0, lastAnswer: undefined, problem: undefined };
  expect(tally.views()).toEqual([
    { name: 'nas1', from: '192.0.2.1, 2001:db8::/64, certificate of nas1.example', ...none },
    { name: 'nas2', from: '192.0.2.1, 2001:db8::/64', ...none },
  ]);
  tally.served({ ...ACCEPT, isStatus: true }, 1_000);
  tally.served({ ...ACCEPT, isRepeated: true }, 2_000);
  expect(first()).toMatchObject({ accepted: 0, lastAnswer: '1970-01-01T00:00:02.000Z' });
  tally.served(ACCEPT, 3_000);
  tally.served({ ...ACCEPT, code: 3 }, 4_000);
  tally.served({ ...ACCEPT, code: 11 }, 4_000);
  tally.dropped({ ...DROP, detail: 'wrong secret, or forged', client: 'nas1' });
  tally.dropped({ ...DROP, detail: 'no client has this address', client: undefined });
  expect(first()).toMatchObject({ accepted: 1, rejected: 1, discarded: 1, problem: 'wrong secret, or forged' });
  tally.served({ ...ACCEPT, code: 11 }, 5_000);
  expect(first()?.problem).toBeUndefined();

  // The secret is not in what is shown, and a client that is gone has no counts when it comes again.
  expect(JSON.stringify(tally.views())).not.toContain('secret');
  tally.configure([client('nas2')]);
  tally.configure([client('nas1'), client('nas2')]);
  expect(first()?.accepted).toBe(0);
});
