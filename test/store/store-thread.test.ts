import { EventEmitter } from 'node:events';
import { beforeEach, expect, it, vi } from 'vitest';
import type { FromThread, ThreadCall, ThreadFailure, ToThread } from '../../src/store/messages.js';
import { type OperationName, operationClasses, operations } from '../../src/store/operations.js';
import { MAX_WAITING, type Store } from '../../src/store/store.js';
import { openStore } from './open-store.js';

/** A thread that answers on demand. */
class Thread extends EventEmitter {
  static last: Thread;
  readonly calls: ThreadCall[] = [];
  posts = 0;

  constructor() {
    super();
    Thread.last = this;
    queueMicrotask(() => this.say({ type: 'opened', classes: operationClasses }));
  }

  say(message: FromThread): void {
    this.emit('message', message);
  }

  postMessage(message: ToThread): void {
    // Throws for arguments nested too deeply, as a real thread does.
    structuredClone(message);
    this.posts += 1;
    if (message === 'close') this.emit('exit', 0);
    else this.calls.push(...message);
  }

  unref(): void {
    // Does nothing: no thread exists.
  }

  terminate(): Promise<number> {
    return Promise.resolve(0);
  }

  fail(failure: Partial<ThreadFailure> = {}): void {
    const all = { kind: 'database', code: 'ERR_STORE_DOWN', message: '', ...failure } as const;
    this.say({ type: 'replies', replies: this.calls.splice(0).map(({ id }) => ({ id, failure: all })) });
  }

  succeed(value: unknown): void {
    this.say({ type: 'replies', replies: this.calls.splice(0).map(({ id }) => ({ id, value })) });
  }
}

// A constructor may return another object.
vi.mock('node:worker_threads', () => ({
  Worker: function Worker() {
    return new Thread();
  },
}));

let store: Store;
let events: unknown[];

const open = () =>
  openStore('store.db', {
    events: {
      state: (...what) => void events.push(['state', ...what]),
      ended: (reason) => void events.push(['ended', reason]),
      clockStep: (milliseconds) => void events.push(['clockStep', milliseconds]),
      fault: (where, { name, code, message }) => void events.push(['fault', where, name, code, message]),
      warning: (text) => void events.push(['warning', text]),
    },
  });

beforeEach(async () => {
  events = [];
  store = await open();
});

it('Store knows the class of each operation from its thread', () => {
  for (const [name, { measuredAs }] of Object.entries(operations)) {
    expect(store.classOf(name as OperationName), name).toBe(measuredAs);
  }
  expect(new Set(Object.values(operationClasses)).size).toBe(5);
});

it('Store.answers is true when its thread replies, even with a database failure', async () => {
  const answers = store.answers();
  await Promise.resolve();
  expect(Thread.last.calls).toMatchObject([{ operation: 'listHomeAgents' }]);
  Thread.last.fail();
  expect(await answers).toBe(true);
});

it('Store.answers is true without asking while the thread is busy, even if it became busy after the call', async () => {
  const before = store.answers();
  await Promise.resolve();
  expect(Thread.last.calls.splice(0)).toHaveLength(1);
  Thread.last.say({ type: 'busy', busy: true });
  expect(await before).toBe(true);
  expect(await store.answers()).toBe(true);
  expect(Thread.last.calls).toEqual([]);
  Thread.last.say({ type: 'busy', busy: false });
  void store.answers();
  await Promise.resolve();
  expect(Thread.last.calls).toHaveLength(1);
});

it('Store.answers is true without asking while the queue is full, and further calls are rejected', async () => {
  const many = Array.from({ length: MAX_WAITING }, () => store.run('listSubscribers', {}).catch(() => undefined));
  expect(await store.answers()).toBe(true);
  await expect(store.run('statistics', {})).rejects.toMatchObject({ code: 'ERR_STORE_BUSY' });
  expect(Thread.last.calls.map(({ operation }) => operation)).not.toContain('listHomeAgents');
  Thread.last.fail();
  await Promise.all(many);
});

it('Store sends the calls of one turn in one message, each with its own time', async () => {
  const both = [store.run('statistics', {}), store.administer('listAudit', { of: 'a' }, 'root')];
  await Promise.resolve();
  expect(Thread.last.posts).toBe(1);
  const [first, second] = Thread.last.calls;
  expect(first).toMatchObject({ operation: 'statistics', who: undefined, outside: false });
  expect(second).toMatchObject({ operation: 'listAudit', arguments: { of: 'a' }, who: 'root', outside: true });
  expect(first?.asked).toBeLessThanOrEqual(second?.asked ?? 0);
  Thread.last.succeed('done');
  expect(await Promise.all(both)).toEqual(['done', 'done']);
});

it.each([
  ['StoreError', { kind: 'store', code: 'ERR_STORE_NOT_FOUND', message: 'no lease' }],
  ['DatabaseError', { kind: 'database', code: 'ERR_STORE_FULL', message: 'full' }],
  ['StoreFault', { kind: 'fault', code: 'ERR_STORE_FAULT', message: 'x is not a function' }],
] as const)('Store rejects with a %s for a failure that its thread sends', async (name, failure) => {
  const called = store.run('statistics', {});
  await Promise.resolve();
  Thread.last.fail(failure);
  const { code, message } = failure;
  await expect(called).rejects.toMatchObject({ name, code, message });
});

it('Store forwards the reports of its thread', () => {
  Thread.last.say({ type: 'state', works: false, reason: 'gone' });
  Thread.last.say({ type: 'clockStep', milliseconds: 7 });
  Thread.last.say({ type: 'warning', text: 'old' });
  const failure = { kind: 'fault', code: 'ERR_STORE_FAULT', message: 'bad', stack: 'bad at x.js' } as const;
  Thread.last.say({ type: 'fault', where: 'expire', failure });
  expect(events).toEqual([
    ['state', false, 'gone'],
    ['clockStep', 7],
    ['warning', 'old'],
    ['fault', 'expire', 'StoreFault', 'ERR_STORE_FAULT', 'bad'],
  ]);
});

it('Store reports once that its thread has ended, and rejects pending calls', async () => {
  const called = store.run('statistics', {});
  Thread.last.emit('error', new Error('out of memory'));
  Thread.last.emit('exit', 1);
  await expect(called).rejects.toThrow('out of memory');
  expect(events).toEqual([['ended', 'out of memory']]);
  expect(await store.answers()).toBe(false);
});

it('Store does not report the end of its thread after close', async () => {
  await store.close();
  expect(events).toEqual([]);
  await expect(store.run('statistics', {})).rejects.toThrow('the store is closed');
});

it('Store.open rejects if the thread refuses or ends, and reports nothing', async () => {
  const opening = open();
  Thread.last.removeAllListeners('message');
  const other = Thread.last;
  const refused = open();
  Thread.last.say({ type: 'refused', failure: { kind: 'database', code: 'ERR_STORE_NEWER', message: 'newer' } });
  await expect(refused).rejects.toMatchObject({ name: 'DatabaseError', code: 'ERR_STORE_NEWER' });
  other.emit('exit', 1);
  await expect(opening).rejects.toMatchObject({ code: 'ERR_STORE_OPEN' });
  expect(events).toEqual([]);
});

it('Store refuses a call whose arguments cannot be copied to its thread, and no other', async () => {
  let deep: unknown = 1;
  for (let i = 0; i < 100_000; i += 1) deep = [deep];
  const refused = store.administer('showLease', deep, 'op').catch((error: Error) => error);
  const other = store.run('listHomeAgents', {});
  await Promise.resolve();
  expect(await refused).toMatchObject({
    code: 'ERR_STORE_VALUE',
    message: expect.stringMatching(/^showLease: the arguments cannot/),
  });
  Thread.last.succeed([]);
  expect(await other).toEqual([]);
});
