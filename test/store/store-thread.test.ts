import { EventEmitter } from 'node:events';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { MAX_WAITING, Store } from '../../src/store/store.js';
import type { StoreCall, StoreFailure } from '../../src/store/worker.js';

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

  answer(failure: Partial<StoreFailure> = {}): void {
    const all = { kind: 'database', code: 'ERR_STORE_DOWN', message: '', ...failure };
    this.emit(
      'message',
      this.calls.splice(0).map(({ id }) => ({ id, failure: all })),
    );
  }

  succeed(): void {
    this.emit(
      'message',
      this.calls.splice(0).map(({ id }) => ({ id, value: undefined })),
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

describe('its state', () => {
  const CALLS = {
    read: () => store.run('statistics', {}),
    write: () => store.run('expire', { limit: 1 }),
    failed: () => store.run('endSession', { sessionId: 's' }),
  };
  let news: string[];

  beforeEach(() => {
    news = [];
    store.onState = (works, reason) => news.push(works ? 'works' : reason);
  });

  /** Asks, and has the thread fail, or not. */
  async function call(what: keyof typeof CALLS, failure?: Partial<StoreFailure>): Promise<void> {
    const called = CALLS[what]().catch(() => undefined);
    await Promise.resolve();
    if (failure) Thread.last.answer(failure);
    else Thread.last.succeed();
    await called;
  }

  it('changes with the database only, not with a no or with a fault of ours', async () => {
    const faults: string[] = [];
    store.onFault = (operation) => faults.push(operation);
    await call('write', { kind: 'store', code: 'ERR_STORE_NOT_FOUND' });
    await call('write', { kind: 'fault', code: 'ERR_STORE_FAULT', message: 'x is not a function' });
    expect({ news, faults }).toEqual({ news: [], faults: ['expire'] });
    await call('write', { message: 'gone' });
    await call('write', { message: 'gone' });
    await call('read');
    expect(news).toEqual(['gone', 'works']);
  });

  it('is good again after a full disk when what failed works, not when something is read or little is written', async () => {
    await call('failed', { code: 'ERR_STORE_FULL', message: 'full' });
    await call('read');
    await call('write');
    await call('failed', { code: 'ERR_STORE_FULL', message: 'full' });
    expect(news).toEqual(['full']);
    await call('failed');
    expect(news).toEqual(['full', 'works']);
  });

  it('does not change when a call is refused before it is made', async () => {
    for (const given of [
      {},
      { nai: 7 },
      { nai: 'a\0b' },
      { nai: '\ud800' },
      { nai: 'a', more: 1 },
      undefined,
      null,
      [],
    ]) {
      await expect(store.run('showSubscriber', given as never)).rejects.toMatchObject({ code: 'ERR_STORE_VALUE' });
    }
    expect({ news, calls: Thread.last.calls }).toEqual({ news: [], calls: [] });
  });
});
