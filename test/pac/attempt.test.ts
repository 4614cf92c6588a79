import { pino } from 'pino';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { Attempt } from '../../src/pac/attempt.js';
import type { AttemptEvent } from '../../src/pac/attempt-interface.js';
import { pacSchema } from '../../src/pac/options.js';
import { sessionConfig } from '../../src/pac/session-config.js';
import { PacSession } from '../../src/protocol/pana/session/pac.js';
import { INTEGRITY, PRF } from '../../src/protocol/pana/wire/algorithms.js';
import { encodePana, FLAG, MESSAGE_TYPE } from '../../src/protocol/pana/wire/codec.js';
import { makeAvp } from '../../src/protocol/pana/wire/dictionary.js';
import { unguarded } from '../../src/runtime/service/barrier.js';
import { Metrics } from '../../src/runtime/service/metrics.js';
import { DEAF } from '../deaf-surroundings.js';
import { quiet } from '../quiet.js';
import { VirtualHost } from '../virtual-host.js';

const PAA = '192.0.2.71';

/** An attempt on a link that the test controls. The link keeps what is sent, and can be made to fail. */
async function openAttempt() {
  const host = new VirtualHost();
  const sent: Uint8Array[] = [];
  const faults: unknown[][] = [];
  const events: AttemptEvent[] = [];
  const lines: Record<string, unknown>[] = [];
  const link = { fails: false, receive: (_octets: Uint8Array): void => undefined };
  const socket = {
    ...(await DEAF.udp.connect()),
    send: (octets: Uint8Array) => {
      if (link.fails) throw new Error('no link');
      return sent.push(octets) > 0;
    },
  };
  const udp = {
    ...DEAF.udp,
    connect: (_to: unknown, _from: unknown, receive: (octets: Uint8Array) => void) => {
      link.receive = receive;
      return Promise.resolve(socket);
    },
  };
  const options = pacSchema.parse({
    pana: { paa: [PAA] },
    eap: { identity: '@home.example' },
    tls: { ca: '/ca', certificate: '/c', key: '/k', 'server-name': 'aaa.home.example' },
  });
  const write = (text: string) => void lines.push(JSON.parse(text) as Record<string, unknown>);
  const metrics = new Metrics('pana_pac');
  const attempt = await Attempt.open(
    {
      id: 1,
      paa: PAA,
      port: 716,
      localPort: undefined,
      initiate: true,
      findSource: () => Promise.resolve(undefined),
      pana: sessionConfig(options, 'none', false),
      eap: () => {
        throw new Error('no EAP in this test');
      },
    },
    {
      metrics,
      keyLog: undefined,
      failure: { last: undefined },
      surroundings: { host, udp },
      log: pino({ level: 'debug', base: {}, timestamp: false }, { write }),
      guard: { ...unguarded, fault: (where, error) => void faults.push([where, (error as Error).message]) },
    },
    (event) => events.push(event),
  );
  return { attempt, host, sent, faults, events, lines, link, metrics };
}

/** PAR[S] with these PRF algorithms. */
function offer(prfs: readonly number[]): Uint8Array {
  return encodePana({
    type: MESSAGE_TYPE.AUTH,
    flags: FLAG.R | FLAG.S,
    sessionId: 7,
    sequence: 1,
    avps: [
      ...prfs.map((prf) => makeAvp('PRF-Algorithm', prf)),
      makeAvp('Integrity-Algorithm', INTEGRITY.HMAC_SHA2_256_128),
    ],
  });
}

describe('Attempt', () => {
  it('logs and counts the datagrams that it sends and receives', async () => {
    const { attempt, host, sent, lines, link, metrics } = await openAttempt();
    attempt.begin();
    host.advance(2_000);
    link.receive(Uint8Array.of(1));
    expect(lines).toMatchObject([
      ...sent.map(({ length }) => ({ message: 'PCI', octets: length, msg: 'message sent' })),
      { message: 'not PANA', octets: 1, msg: 'message received' },
      { reason: 'truncated', msg: 'message dropped' },
    ]);
    expect(sent.length).toBeGreaterThan(1);
    expect(await metrics.counters()).toEqual({
      'datagrams{direction=out}': sent.length,
      'datagrams{direction=in}': 1,
      'dropped{code=truncated}': 1,
    });
    await attempt.close();
  });

  const warnings = (lines: readonly Record<string, unknown>[]) => lines.filter(({ level }) => Number(level) >= 30);

  it('reports that no PAA answers, more and more rarely, and that one answers then', async () => {
    const { attempt, host, lines, link } = await openAttempt();
    attempt.begin();
    host.advance(2_000);
    expect(warnings(lines)).toEqual([]);
    host.advance(300_000);
    expect(warnings(lines)).toMatchObject([
      { msg: 'PAA not responding', address: PAA, port: 716, count: 3 },
      { msg: 'PAA not responding', address: PAA, port: 716 },
    ]);
    link.receive(offer([PRF.HMAC_SHA2_256]));
    expect(warnings(lines).at(-1)).toMatchObject({ msg: 'PAA responding again', address: PAA });
    link.receive(offer([PRF.HMAC_SHA2_256]));
    expect(warnings(lines)).toHaveLength(3);
    await attempt.close();
  });

  it('reports once that a PAA offers no usable algorithm, and not that it does not answer', async () => {
    const { attempt, host, lines, link } = await openAttempt();
    attempt.begin();
    link.receive(offer([99]));
    link.receive(offer([98]));
    host.advance(300_000);
    const reason = 'the PAA offers prf 99; integrity sha256';
    expect(warnings(lines)).toMatchObject([{ msg: 'PAA offers no usable algorithm', address: PAA, reason }]);
    await attempt.close();
  });

  it.each(['datagram', 'timer'] as const)('ends after a fault at a %s, which it reports', async (place) => {
    const { attempt, host, faults, events, link } = await openAttempt();
    link.fails = place === 'datagram';
    attempt.begin();
    link.fails = true;
    host.advance(60_000);
    expect(faults).toEqual([[place, 'no link']]);
    expect(events).toEqual([{ type: 'closed', cause: 'fault', heard: false }]);
    expect(host.timers).toBe(0);
    await attempt.close();
  });

  describe('whose session was replaced', () => {
    /** An attempt whose PAA answers no PTR. */
    async function retired() {
      const { attempt, host } = await openAttempt();
      const handle = vi.spyOn(PacSession.prototype, 'handle').mockReturnValue([]);
      onTestFinished(() => handle.mockRestore());
      const end = { seen: false };
      const ending = attempt.retire().then(() => {
        end.seen = true;
      });
      const endsIn = async (milliseconds: number) => {
        host.advance(milliseconds);
        await quiet();
        return end.seen;
      };
      expect(handle).toHaveBeenCalledWith({ type: 'terminate' }, host.monotonic());
      return { attempt, host, ending, endsIn };
    }

    it('waits half a minute for the PTA, since an enforcement point may open late', async () => {
      const { host, ending, endsIn } = await retired();
      expect(await endsIn(29_999)).toBe(false);
      expect(await endsIn(1)).toBe(true);
      await ending;
      expect(host.timers).toBe(0);
    });

    it('waits two seconds more when it is to hurry, however often it is told', async () => {
      const { attempt, host, ending, endsIn } = await retired();
      expect(await endsIn(5_000)).toBe(false);
      attempt.hurry();
      expect(await endsIn(1_999)).toBe(false);
      attempt.hurry();
      expect(await endsIn(1)).toBe(true);
      await ending;
      attempt.hurry();
      expect(host.timers).toBe(0);
    });
  });
});
