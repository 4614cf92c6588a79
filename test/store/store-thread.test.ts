import { EventEmitter } from 'node:events';
import { beforeEach, expect, it, vi } from 'vitest';
import type { FromThread, StoreCall, StoreFailure, ToThread } from '../../src/store/messages.js';
import { MAX_WAITING, type Store } from '../../src/store/store.js';
import { openStore } from './open-store.js';

/** A thread that answers when it is told to. */
class Thread extends EventEmitter {
  static last: Thread;
  readonly calls: StoreCall[] = [];
  posts = 0;

  constructor() {
    super();
    Thread.last = this;
    queueMicrotask(() => this.say({ type: 'opened' }));
  }

  say(message: FromThread): void {
    this.emit('message', message);
  }

  postMessage(message: ToThread): void {
    this.posts += 1;
    if (message === 'close') this.emit('exit', 0);
    else this.calls.push(...message);
  }

  unref(): void {
    // It holds up nothing.
  }

  terminate(): Promise<number> {
    return Promise.resolve(0);
  }

  fail(failure: Partial<StoreFailure> = {}): void {
    const all = { kind: 'database', code: 'ERR_STORE_DOWN', message: '', ...failure } as const;
    this.say({ type: 'replies', replies: this.calls.splice(0).map(({ id }) => ({ id, failure: all })) });
  }

  succeed(value: unknown): void {
    this.say({ type: 'replies', replies: this.calls.splice(0).map(({ id }) => ({ id, value })) });
  }
}

// A mock of a class: whatever is made with "new" may be another object.
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

it('answers when its thread does, whatever the database says', async () => {
  const answers = store.answers();
  await Promise.resolve();
  expect(Thread.last.calls).toMatchObject([{ operation: 'listHomeAgents' }]);
  Thread.last.fail();
  expect(await answers).toBe(true);
});

it('answers without being asked while its thread is busy, also when that begins after the question', async () => {
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

it('answers without being asked when too many calls wait, and refuses more', async () => {
  const many = Array.from({ length: MAX_WAITING }, () => store.run('listSubscribers', {}).catch(() => undefined));
  expect(await store.answers()).toBe(true);
  await expect(store.run('statistics', {})).rejects.toMatchObject({ code: 'ERR_STORE_BUSY' });
  expect(Thread.last.calls.map(({ operation }) => operation)).not.toContain('listHomeAgents');
  Thread.last.fail();
  await Promise.all(many);
});

it('sends the calls of one turn in one message, each with the time when it was made', async () => {
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
] as const)('makes a %s of the failure that its thread sends', async (name, failure) => {
  const called = store.run('statistics', {});
  await Promise.resolve();
  Thread.last.fail(failure);
  const { code, message } = failure;
  await expect(called).rejects.toMatchObject({ name, code, message });
});

it('passes on what its thread reports', () => {
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

it('reports once that its thread has ended, and rejects what waited', async () => {
  const called = store.run('statistics', {});
  Thread.last.emit('error', new Error('out of memory'));
  Thread.last.emit('exit', 1);
  await expect(called).rejects.toThrow('out of memory');
  expect(events).toEqual([['ended', 'out of memory']]);
  expect(await store.answers()).toBe(false);
});

it('does not report an end that it was told to come to', async () => {
  await store.close();
  expect(events).toEqual([]);
  await expect(store.run('statistics', {})).rejects.toThrow('the store is closed');
});

it('is not opened when its thread refuses, and reports nothing', async () => {
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
