import { pino } from 'pino';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { Attachments, type AttachmentTools } from '../../src/pac/attachments.js';
import type { AttemptEvent, AttemptOptions } from '../../src/pac/attempt-interface.js';
import { pacSchema } from '../../src/pac/options.js';
import { systemPacSurroundings } from '../../src/pac/surroundings.js';
import type { HostAddress } from '../../src/protocol/attachment/care-of-address.js';
import type { PacAuthorized } from '../../src/protocol/pana/session/pac-interface.js';
import { unguarded } from '../../src/runtime/service/barrier.js';
import { Metrics } from '../../src/runtime/service/metrics.js';
import { DEAF } from '../deaf-surroundings.js';
import { quiet } from '../quiet.js';
import { VirtualHost } from '../virtual-host.js';

/** A connection attempt whose session the test controls. */
interface Played {
  readonly options: AttemptOptions;
  readonly did: string[];
  readonly tell: (event: AttemptEvent) => void;
  careOfAddress: string;
  protected: boolean;
  authorized: { readonly event: PacAuthorized; readonly at: number } | undefined;
}

const computer = vi.hoisted(() => ({
  attempts: [] as unknown[],
  /** The address of this host; undefined: it has none. */
  route: '192.0.2.1' as string | undefined,
  /** Completes the pending moves and retirements. */
  waiting: [] as (() => void)[],
}));
const attempts = computer.attempts as Played[];

vi.mock('../../src/pac/attempt.js', () => ({
  Attempt: {
    open: (options: AttemptOptions, _tools: unknown, tell: (event: AttemptEvent) => void) => {
      const did: string[] = [];
      const pause = (name: string) =>
        new Promise<void>((resolve) => {
          did.push(name);
          computer.waiting.push(resolve);
        });
      const attempt = {
        id: options.id,
        paa: options.paa,
        options,
        did,
        tell,
        startedAt: 0,
        authorized: undefined,
        careOfAddress: computer.route,
        protected: true,
        sessionId: 1,
        begin: () => did.push('begin'),
        probe: () => did.push('probe'),
        feed: ({ type }: { readonly type: string }) => did.push(type),
        close: () => Promise.resolve(void did.push('close')),
        retire: () => pause('retire'),
        hurry: () => did.push('hurry'),
        async move() {
          const before = this.careOfAddress;
          await pause('move');
          this.careOfAddress = computer.route;
          did.push('moved');
          return before;
        },
      };
      computer.attempts.push(attempt);
      return Promise.resolve(attempt);
    },
  },
}));

beforeEach(() => {
  computer.attempts.length = 0;
  computer.waiting.length = 0;
  computer.route = '192.0.2.1';
});

const authorization = (more: Partial<PacAuthorized> = {}): PacAuthorized =>
  ({ type: 'authorized', sessionId: 1, reauthentication: false, lifetime: 60_000, ...more }) as PacAuthorized;

const onLink = (address: string): HostAddress => ({ address, interface: 'eth0', kind: 'link', unusable: undefined });

const closed = (cause: string): AttemptEvent => ({ type: 'closed', cause, heard: true });

/** The attachments of a node with these PAAs; `told` collects what they report to the mobile node. */
async function attached(pana: object = {}, paas = ['192.0.2.71', '192.0.2.72']) {
  const host = new VirtualHost();
  const told: unknown[][] = [];
  const tell = (name: string) => (value: unknown) => {
    told.push(typeof value === 'number' ? [name, value] : [name]);
  };
  const moved = (_attempt: unknown, settling: boolean) => told.push(['moved', ...(settling ? ['settling'] : [])]);
  const options = pacSchema.parse({
    pana: { 'local-port': 5_000, ...pana },
    eap: { identity: '@home.example' },
    tls: { ca: '/ca', certificate: '/c', key: '/k', 'server-name': 'aaa.home.example' },
  });
  const tools = {
    log: pino({ level: 'silent' }),
    metrics: new Metrics('pana_pac'),
    barrier: unguarded,
    surroundings: {
      ...systemPacSurroundings,
      ...DEAF,
      host,
      readAddresses: () => Promise.resolve(computer.route === undefined ? [] : [onLink(computer.route)]),
      discoverPaas: () => Promise.resolve(paas),
    },
    keyLog: undefined,
    node: {
      authorized: tell('authorized'),
      moved,
      settled: () => {
        if (told.at(-1)?.includes('settling')) told.push(['settled']);
      },
      keepUntil: tell('keepUntil'),
      withdraw: tell('withdraw'),
      heard: () => undefined,
      homeAddresses: new Set<string>(),
    },
    credentials: () => undefined,
    onFinished: () => undefined,
  } as unknown as AttachmentTools;
  const attachments = new Attachments(options, tools);
  attachments.start();
  await quiet();
  const authorize = (attempt: Played | undefined, more: Partial<PacAuthorized> = {}) => {
    if (!attempt) throw new Error('no attempt');
    const event = authorization(more);
    attempt.authorized = { event, at: host.monotonic() };
    attempt.tell(event);
  };
  return { attachments, host, told, authorize };
}

/** Completes pending moves and retirements one after another. */
async function finish(): Promise<void> {
  while (computer.waiting.length > 0) {
    computer.waiting.shift()?.();
    await quiet();
  }
}

describe('the binding after a lost session', () => {
  it('is kept until the lifetime has passed, counted from the authorization', async () => {
    const { host, told, authorize } = await attached();
    host.advance(1_000);
    authorize(attempts[0], { lifetime: 30_000 });
    host.advance(5_000);
    attempts[0]?.tell(closed('no-answer'));
    expect(told).toEqual([['authorized'], ['keepUntil', 31_000]]);
  });

  it('is kept without a limit if the session had none', async () => {
    const { told, authorize } = await attached();
    authorize(attempts[0], { lifetime: undefined });
    attempts[0]?.tell(closed('no-answer'));
    expect(told).toEqual([['authorized']]);
  });

  it.each(['terminated-by-paa', 'lifetime-expired', 'authentication-rejected'])(
    'is withdrawn after %s',
    async (cause) => {
      const { told, authorize } = await attached();
      authorize(attempts[0]);
      attempts[0]?.tell(closed(cause));
      expect(told).toEqual([['authorized'], ['withdraw']]);
    },
  );

  it('stays unchanged when a session that was never authorized is lost', async () => {
    const { told } = await attached();
    attempts[0]?.tell(closed('no-answer'));
    expect(told).toEqual([]);
  });
});

describe('a change of addresses', () => {
  it('moves the session only if the care-of address has changed', async () => {
    const { attachments, told, authorize } = await attached();
    authorize(attempts[0]);
    attachments.networkChanged({ type: 'changed', reasons: [] });
    await quiet();
    expect(attempts[0]?.did).toEqual(['begin']);
    computer.route = '198.51.100.1';
    attachments.networkChanged({ type: 'changed', reasons: [] });
    await quiet();
    await finish();
    expect(attempts[0]?.did).toEqual(['begin', 'move', 'moved']);
    expect(told).toEqual([['authorized'], ['moved', 'settling']]);
    attempts[0]?.tell({ type: 'heard' });
    expect(told.at(-1)).toEqual(['settled']);
    attachments.networkChanged({ type: 'changed', reasons: [] });
    await quiet();
    expect(attempts[0]?.did).toEqual(['begin', 'move', 'moved']);
  });

  it('starts a new session in place of an unprotected one, without a move', async () => {
    const { attachments, told, authorize, host } = await attached();
    authorize(attempts[0]);
    for (const attempt of attempts) attempt.protected = false;
    computer.route = '198.51.100.1';
    attachments.networkChanged({ type: 'changed', reasons: [] });
    await quiet();
    expect(attempts[0]?.did).toEqual(['begin', 'close']);
    expect(told).toEqual([['authorized'], ['keepUntil', 60_000]]);
    host.advance(3_000);
    await quiet();
    expect(attempts.map(({ did }) => did)).toEqual([['begin', 'close'], ['begin']]);
  });

  it('is handled at the next change if there is no address yet', async () => {
    const { attachments, authorize } = await attached();
    authorize(attempts[0]);
    computer.route = undefined;
    attachments.networkChanged({ type: 'changed', reasons: [] });
    await quiet();
    expect(attempts[0]?.did).toEqual(['begin']);
    computer.route = '198.51.100.1';
    attachments.networkChanged({ type: 'changed', reasons: [] });
    await quiet();
    await finish();
    expect(attempts[0]?.did).toEqual(['begin', 'move', 'moved']);
  });

  it('starts a session with a PAA of the new network beside the old one, from another port', async () => {
    const paas = ['192.0.2.71'];
    const { attachments, authorize } = await attached({ initiate: false }, paas);
    authorize(attempts[0]);
    paas[0] = '192.0.2.72';
    attachments.networkChanged({ type: 'changed', reasons: [] });
    await quiet();
    expect(attempts.map(({ options: { paa, localPort, initiate } }) => [paa, localPort, initiate])).toEqual([
      ['192.0.2.71', 5_000, false],
      ['192.0.2.72', undefined, true],
    ]);
    expect(attachments.standby).toBe(attempts[1]);
    authorize(attempts[1]);
    expect(attachments.current).toBe(attempts[1]);
    expect(attempts[0]?.did).toEqual(['begin', 'retire']);
    // The node stops only when the replaced session has ended.
    let stopped = false;
    const stopping = attachments.stop().then(() => {
      stopped = true;
    });
    attempts[1]?.tell(closed('terminated'));
    await quiet();
    expect([stopped, attempts[1]?.did]).toEqual([false, ['begin', 'terminate', 'close']]);
    expect(attempts[0]?.did).toEqual(['begin', 'retire', 'hurry']);
    await finish();
    await stopping;
  });

  it('hurries the oldest of more than four sessions that are being terminated', async () => {
    const paas = ['192.0.2.71'];
    const { attachments, authorize } = await attached({}, paas);
    authorize(attempts[0]);
    for (let n = 1; n <= 5; n += 1) {
      paas[0] = `192.0.2.${71 + n}`;
      attachments.networkChanged({ type: 'changed', reasons: [] });
      await quiet();
      authorize(attempts[n]);
    }
    expect(attempts.map(({ did }) => did.includes('hurry'))).toEqual([true, false, false, false, false, false]);
    await finish();
  });

  it('prefers the PAA of the link that it has come to, although the former PAA answers from there', async () => {
    const { attachments, authorize } = await attached({}, ['192.0.2.71', '198.51.100.71']);
    authorize(attempts[0]);
    computer.route = '198.51.100.1';
    attachments.networkChanged({ type: 'changed', reasons: ['link-up'] });
    await quiet();
    await finish();
    attempts[0]?.tell({ type: 'heard' });
    await quiet();
    expect(attempts.map(({ options: { paa } }) => paa)).toEqual(['192.0.2.71', '198.51.100.71']);
    authorize(attempts[1]);
    expect(attachments.current).toBe(attempts[1]);
    await finish();
  });

  it('tries PAAs of its link first, and keeps a session with another one if its link has none', async () => {
    const { attachments, authorize } = await attached({}, ['198.51.100.71', '192.0.2.71']);
    expect(attempts.map(({ options: { paa } }) => paa)).toEqual(['192.0.2.71']);
    authorize(attempts[0]);
    computer.route = '203.0.113.1';
    attachments.networkChanged({ type: 'changed', reasons: ['link-up'] });
    await quiet();
    await finish();
    attempts[0]?.tell({ type: 'heard' });
    await quiet();
    expect(attempts).toHaveLength(1);
  });
});

describe('a requested move', () => {
  it('is refused without a session', async () => {
    const { attachments } = await attached({}, []);
    await expect(attachments.move()).rejects.toThrow('there is no session to move');
  });

  it('waits for the previous move', async () => {
    const { attachments, authorize } = await attached();
    authorize(attempts[0]);
    computer.route = '198.51.100.1';
    const moves = [attachments.move(), attachments.move()];
    await quiet();
    expect(attempts[0]?.did).toEqual(['begin', 'move']);
    await finish();
    expect(attempts[0]?.did).toEqual(['begin', 'move', 'moved', 'move', 'moved']);
    expect(await Promise.all(moves)).toEqual([{ moved: '198.51.100.1' }, { moved: '198.51.100.1' }]);
  });
});
