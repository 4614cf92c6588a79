import { beforeEach, describe, expect, it } from 'vitest';
import type { Stored } from '../../../src/protocol/home/alphabet.js';
import { DUTY_INTERVAL, DUTY_RETRY, DUTY_TERM, type Duty, type HeldDuty } from '../../../src/protocol/home/duties.js';
import {
  EXPIRY_INTERVAL,
  IMPORT_LIFETIME,
  TICKET_RETRY,
  Upkeep,
  type UpkeepOperations,
  type UpkeepOutput,
} from '../../../src/protocol/home/upkeep.js';
import { leaseOf, sessionOf } from './home-rig.js';

const DAY = 86_400_000;

let machine: Upkeep;
let now: number;
/** All outputs with their times. */
let trace: [number, unknown][];
let waiting: Extract<UpkeepOutput, { type: 'store' }>[];

beforeEach(() => {
  machine = new Upkeep({ history: 180 * DAY, ticketKeyLifetime: DAY / 2 });
  now = 0;
  trace = [];
  waiting = [];
});

function take(outputs: readonly UpkeepOutput[]): void {
  for (const output of outputs) {
    trace.push([now, output.type === 'store' ? output.call.operation : output]);
    if (output.type === 'store') waiting.push(output);
  }
}

function reply(stored: Stored<UpkeepOperations>): void {
  const { token = 0 } = waiting.shift() ?? {};
  take(machine.handle({ type: 'stored', token, stored }, now));
}

const failed: Stored<UpkeepOperations> = { operation: 'failed', reason: 'lost', full: false };
const nothingToDo: Stored<UpkeepOperations> = { operation: 'duties', result: { lost: [], taken: [] } };

/** Starts the machine and answers its first question for duties. */
function start(): void {
  const [key, look] = machine.handle({ type: 'start' }, now);
  if (!key || look?.type !== 'store') throw new Error('no question for duties');
  take([key]);
  take(machine.handle({ type: 'stored', token: look.token, stored: nothingToDo }, now));
}

const key = (validFor: number): Stored<UpkeepOperations> => ({
  operation: 'ticketKey',
  result: { value: 'ab', validFor },
});

/** Advances virtual time with a tick at each deadline. The store answers at once; operations in `failing` fail. */
function advance(milliseconds: number, failing: ReadonlySet<string> = new Set(), validFor = DAY): void {
  const end = now + milliseconds;
  const settle = () => {
    while (waiting.length > 0) {
      const operation = waiting[0]?.call.operation ?? 'expire';
      if (failing.has(operation)) reply(failed);
      else if (operation === 'ticketKey') reply(key(validFor));
      else if (operation === 'duties') reply(nothingToDo);
      else if (operation === 'forgetHistory') reply({ operation, result: 0 });
      else reply({ operation, result: [] });
    }
  };
  settle();
  for (let due = machine.deadline; due !== undefined && due <= end; due = machine.deadline) {
    now = due;
    take(machine.handle({ type: 'tick' }, now));
    settle();
    if ((machine.deadline ?? Number.POSITIVE_INFINITY) <= now)
      throw new Error('the deadline is still due after its tick');
  }
  now = end;
}

const timesOf = (operation: string) => trace.filter(([, what]) => what === operation).map(([at]) => at);

describe('Upkeep', () => {
  it('gets a ticket key first, then reports ready', () => {
    expect(machine.deadline).toBeUndefined();
    start();
    expect(waiting[0]?.call).toEqual({ operation: 'ticketKey', given: { every: DAY / 2 } });
    reply(key(DAY));
    expect(trace.slice(1)).toEqual([
      [0, { type: 'ticketKey', value: 'ab' }],
      [0, { type: 'ready' }],
    ]);
  });

  it('gets the next ticket key when the previous one has expired', () => {
    start();
    advance(3_000_000, new Set(), 1_000_000);
    expect(timesOf('ticketKey')).toEqual([0, 1_000_001, 2_000_002]);
    expect(trace.filter(([, what]) => (what as UpkeepOutput).type === 'ready')).toHaveLength(1);
  });

  it('applies a new configuration at the next key and the next round', () => {
    start();
    reply(key(1_000));
    take(machine.handle({ type: 'configure', config: { history: DAY, ticketKeyLifetime: 60_000 } }, now));
    now = 1_001;
    take(machine.handle({ type: 'tick' }, now));
    expect(waiting[0]?.call).toEqual({ operation: 'ticketKey', given: { every: 60_000 } });
    reply(key(DAY));
    now = EXPIRY_INTERVAL;
    take(machine.handle({ type: 'tick' }, now));
    reply({ operation: 'expire', result: [] });
    expect(waiting[0]?.call).toEqual({ operation: 'forgetHistory', given: { age: DAY, limit: 1_000 } });
  });

  it('retries a failed ticket key after TICKET_RETRY, and reports ready without it', () => {
    start();
    advance(2 * TICKET_RETRY, new Set(['ticketKey']));
    expect(timesOf('ticketKey')).toEqual([0, TICKET_RETRY, 2 * TICKET_RETRY]);
    expect(trace.slice(1, 3)).toEqual([
      [0, { type: 'failed', reason: 'lost' }],
      [0, { type: 'ready' }],
    ]);
  });

  it('expires leases, then forgets history, every EXPIRY_INTERVAL, and abandons imports every IMPORT_LIFETIME', () => {
    start();
    advance(IMPORT_LIFETIME + 2 * EXPIRY_INTERVAL);
    const rounds = Array.from({ length: IMPORT_LIFETIME / EXPIRY_INTERVAL + 2 }, (_, i) => (i + 1) * EXPIRY_INTERVAL);
    expect(timesOf('expire')).toEqual(rounds);
    expect(timesOf('forgetHistory')).toEqual(rounds);
    expect(timesOf('abandonImport')).toEqual([EXPIRY_INTERVAL, EXPIRY_INTERVAL + IMPORT_LIFETIME]);
  });

  it('reports the leases that have expired', () => {
    start();
    reply(key(DAY));
    now = EXPIRY_INTERVAL;
    take(machine.handle({ type: 'tick' }, now));
    expect(waiting[0]?.call).toEqual({ operation: 'expire', given: { limit: 256 } });
    const lease = leaseOf('s');
    reply({ operation: 'expire', result: [lease] });
    expect(trace.slice(-2)).toEqual([
      [now, { type: 'expired', lease }],
      [now, 'forgetHistory'],
    ]);
    expect(waiting[0]?.call).toEqual({ operation: 'forgetHistory', given: { age: 180 * DAY, limit: 1_000 } });
  });

  it.each([
    ['expire', 256],
    ['forgetHistory', 1_000],
  ] as const)('starts the next round at once after a full batch of %s, so that it catches up', (operation, batch) => {
    for (const full of [false, true]) {
      machine = new Upkeep({ history: 180 * DAY, ticketKeyLifetime: DAY / 2 });
      waiting = [];
      now = 0;
      start();
      reply(key(DAY));
      now = EXPIRY_INTERVAL;
      take(machine.handle({ type: 'tick' }, now));
      const many = full ? batch : batch - 1;
      reply({ operation: 'expire', result: Array(operation === 'expire' ? many : 0).fill(leaseOf('s')) });
      reply({ operation: 'forgetHistory', result: operation === 'forgetHistory' ? many : 0 });
      reply({ operation: 'abandonImport', result: undefined });
      expect(machine.deadline).toBe(full ? now : 2 * EXPIRY_INTERVAL);
    }
  });

  it.each([
    ['expire', 0, 0],
    ['forgetHistory', 2, 0],
    ['abandonImport', 2, 2],
  ])(
    'skips the rest of a round in which %s fails, and starts the next one on time',
    (operation, histories, imports) => {
      start();
      advance(2 * EXPIRY_INTERVAL, new Set([operation]));
      expect(timesOf('expire')).toEqual([EXPIRY_INTERVAL, 2 * EXPIRY_INTERVAL]);
      expect(timesOf('forgetHistory')).toHaveLength(histories);
      expect(timesOf('abandonImport')).toHaveLength(imports);
      expect(trace.filter(([, what]) => (what as UpkeepOutput).type === 'failed')).toHaveLength(2);
    },
  );

  it('never runs two rounds at once, and starts the next one at once after a slow one', () => {
    start();
    reply(key(DAY));
    now = EXPIRY_INTERVAL;
    take(machine.handle({ type: 'tick' }, now));
    now = 4 * EXPIRY_INTERVAL;
    expect(machine.handle({ type: 'tick' }, now)).toEqual([]);
    reply(failed);
    expect(machine.deadline).toBe(4 * EXPIRY_INTERVAL);
  });
});

const HELD = { subject: 'lease a b c', mark: '01' };
const ended = (over: boolean) => ({ ...HELD, over, notified: undefined });
const begin = (held: HeldDuty) => take(machine.handle({ type: 'dutyBegun', duty: held }, now));
const end = (held: HeldDuty, over: boolean) =>
  take(machine.handle({ type: 'dutyEnded', duty: { ...held, over, notified: undefined } }, now));
const duty: Duty = { event: 'up', session: sessionOf('s') };

/** Advances to the next round. Returns the arguments of its operation on duties, or undefined if it has none. */
function nextLook() {
  now = machine.deadline ?? now;
  take(machine.handle({ type: 'tick' }, now));
  reply({ operation: 'expire', result: [] });
  const [look] = waiting;
  return look?.call.operation === 'duties' ? look.call.given : undefined;
}

function endRound(): void {
  reply({ operation: 'forgetHistory', result: 0 });
  if (waiting.length > 0) reply({ operation: 'abandonImport', result: 0 });
}

describe('Upkeep of duties', () => {
  it('asks the store for duties at the start, together with the ticket key', () => {
    take(machine.handle({ type: 'start' }, now));
    expect(waiting.map(({ call }) => call.operation)).toEqual(['ticketKey', 'duties']);
    expect(waiting[1]?.call.given).toEqual({ held: [], ended: [], term: DUTY_TERM, retry: DUTY_RETRY, limit: 100 });
    reply(key(DAY));
    reply({ operation: 'duties', result: { lost: [], taken: [duty] } });
    expect(trace.at(-1)).toEqual([0, { type: 'duty', duty }]);
    // The first round starts at its usual time.
    expect(machine.deadline).toBe(EXPIRY_INTERVAL);
  });

  it('asks for duties again after DUTY_RETRY if one of them sends a request to a NAS', () => {
    take(machine.handle({ type: 'start' }, now));
    reply(key(DAY));
    reply({ operation: 'duties', result: { lost: [], taken: [duty] } });
    advance(DUTY_INTERVAL);
    expect(timesOf('duties')).toEqual([0, DUTY_RETRY]);
  });

  it('asks for duties in the first round if the store failed at the start', () => {
    take(machine.handle({ type: 'start' }, now));
    reply(key(DAY));
    reply(failed);
    expect(trace.at(-1)).toEqual([0, { type: 'failed', reason: 'lost' }]);
    expect(machine.deadline).toBe(EXPIRY_INTERVAL);
    expect(nextLook()).toBeDefined();
  });

  it('asks for duties every DUTY_INTERVAL while this server has none', () => {
    start();
    advance(2 * DUTY_INTERVAL + EXPIRY_INTERVAL);
    expect(timesOf('duties')).toEqual([DUTY_INTERVAL, 2 * DUTY_INTERVAL]);
  });

  it('renews the duties of this server in each round, and reports those that have ended', () => {
    start();
    reply(key(DAY));
    begin(HELD);
    expect(nextLook()).toMatchObject({ held: [HELD], ended: [] });
    // The duty ends while the store processes the round.
    end(HELD, true);
    reply(nothingToDo);
    endRound();
    expect(nextLook()).toMatchObject({ held: [], ended: [ended(true)] });
    reply(nothingToDo);
    endRound();
    expect(nextLook()).toBeUndefined();
  });

  it('reports ended duties again if the store had failed', () => {
    start();
    reply(key(DAY));
    begin(HELD);
    end(HELD, true);
    expect(nextLook()).toMatchObject({ ended: [ended(true)] });
    reply(failed);
    expect(nextLook()).toMatchObject({ ended: [ended(true)] });
  });

  it('asks for duties again in the next round if there may be more', () => {
    start();
    reply(key(DAY));
    begin(HELD);
    expect(nextLook()).toBeDefined();
    end(HELD, false);
    reply({ operation: 'duties', result: { lost: [], taken: Array(100).fill(duty) } });
    expect(trace.filter(([, what]) => (what as UpkeepOutput).type === 'duty')).toHaveLength(100);
    endRound();
    expect(nextLook()).toBeDefined();
  });
});

describe('a duty that another server has taken over', () => {
  it('is reported lost, unless it has ended or a newer duty has replaced it since the report', () => {
    start();
    reply(key(DAY));
    for (const subject of ['same', 'ended', 'replaced']) begin({ subject, mark: `1 ${subject}` });
    nextLook();
    end({ subject: 'ended', mark: '1 ended' }, true);
    begin({ subject: 'replaced', mark: '2 replaced' });
    trace = [];
    reply({ operation: 'duties', result: { lost: ['same', 'ended', 'replaced', 'unknown'], taken: [] } });
    expect(trace).toEqual([
      [now, { type: 'lost', mark: '1 same' }],
      [now, 'forgetHistory'],
    ]);
  });
});

describe('Upkeep at the end', () => {
  it('reports the duties that ended after the stop, and leaves the remaining ones to other servers', () => {
    start();
    reply(key(DAY));
    begin(HELD);
    const other = { subject: 'lease d e f', mark: '02' };
    begin(other);
    take(machine.handle({ type: 'stop' }, now));
    end(HELD, true);
    take(machine.handle({ type: 'leave' }, now));
    expect(waiting[0]?.call.given).toMatchObject({ held: [other], ended: [ended(true)], leaving: true });
    reply(nothingToDo);
    expect(trace.at(-1)).toEqual([now, { type: 'left' }]);
  });

  it.each([
    ['the ticket key', () => reply(key(DAY))],
    ['a round', () => reply({ operation: 'expire', result: [leaseOf('s')] })],
    ['duties', () => reply({ operation: 'duties', result: { lost: [], taken: [duty] } })],
  ])('starts nothing more, even if the store answers about %s only after the stop', (_of, answer) => {
    take(machine.handle({ type: 'start' }, now));
    if (_of !== 'the ticket key') reply(key(DAY));
    if (_of === 'a round') {
      reply(nothingToDo);
      now = EXPIRY_INTERVAL;
      take(machine.handle({ type: 'tick' }, now));
    }
    trace = [];
    take(machine.handle({ type: 'stop' }, now));
    answer();
    take(machine.handle({ type: 'tick' }, now + DAY));
    expect([trace, machine.deadline]).toEqual([[], undefined]);
  });

  it('reports duties again if the store has not answered their report before the stop', () => {
    start();
    reply(key(DAY));
    begin(HELD);
    end(HELD, true);
    expect(nextLook()).toMatchObject({ ended: [ended(true)] });
    take(machine.handle({ type: 'stop' }, now));
    take(machine.handle({ type: 'leave' }, now));
    expect(waiting.at(-1)?.call.given).toMatchObject({ ended: [ended(true)], leaving: true });
  });

  it('does not wait for a failing store, and does not ask it if this server never had a duty', () => {
    start();
    expect(machine.handle({ type: 'leave' }, now)).toEqual([{ type: 'left' }]);
    begin(HELD);
    waiting = [];
    take(machine.handle({ type: 'leave' }, now));
    reply(failed);
    expect(trace.at(-1)).toEqual([now, { type: 'left' }]);
  });
});
