import { EventEmitter } from 'node:events';
import { beforeEach, expect, it, vi } from 'vitest';
import { MAX_WAITING, Store } from '../../../src/runtime/store/store.js';
import type { StoreCall } from '../../../src/runtime/store/worker.js';

/** A thread that answers when it is told to. */
class Thread extends EventEmitter {
  static last: Thread;
  readonly calls: StoreCall[] = [];

  constructor() {
    super();
    Thread.last = this;
    queueMicrotask(() => this.emit('message', [{ id: 0, value: 'open' }]));
  }

  postMessage(message: readonly StoreCall[] | 'close'): void {
    if (message === 'close') this.emit('exit', 0);
    else this.calls.push(...message);
  }

  unref(): void {
    // It holds up nothing.
  }

  terminate(): Promise<number> {
    return Promise.resolve(0);
  }

  answer(): void {
    this.emit(
      'message',
      this.calls
        .splice(0)
        .map(({ id }) => ({ id, failure: { kind: 'database', code: 'ERR_STORE_DOWN', message: '' } })),
    );
  }
}

// Whatever is made with "new" may be another object.
vi.mock('node:worker_threads', () => ({
  Worker: function Worker() {
    return new Thread();
  },
}));

let store: Store;
let ended: string[];

beforeEach(async () => {
  store = await Store.open('store.db');
  ended = [];
  store.onEnd = (reason) => ended.push(reason);
});

it('answers when its thread does, whatever the database says', async () => {
  const answers = store.answers();
  await Promise.resolve();
  expect(Thread.last.calls).toMatchObject([{ operation: 'listHomeAgents' }]);
  Thread.last.answer();
  expect(await answers).toBe(true);
});

it('is not asked while it does what takes long, or has too much to do', async () => {
  const long = store.run('finishImport', { importId: 'a', update: false }).catch(() => undefined);
  expect(await store.answers()).toBe(true);
  Thread.last.answer();
  await long;
  const many = Array.from({ length: MAX_WAITING }, () => store.run('listSubscribers', {}).catch(() => undefined));
  expect(await store.answers()).toBe(true);
  expect(Thread.last.calls.map(({ operation }) => operation)).not.toContain('listHomeAgents');
  Thread.last.answer();
  await Promise.all(many);
});

it('says once that its thread has ended, and not when it was told to', async () => {
  Thread.last.emit('error', new Error('out of memory'));
  Thread.last.emit('exit', 1);
  expect(ended).toEqual(['out of memory']);
  expect(await store.answers()).toBe(false);

  const other = await Store.open('other.db');
  other.onEnd = (reason) => ended.push(reason);
  await other.close();
  expect(ended).toHaveLength(1);
});
