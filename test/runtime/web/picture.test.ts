import { describe, expect, it } from 'vitest';
// @ts-expect-error: a module of the page, in JavaScript
import { PageState } from '../../../scripts/web/state.js';
import { Drbg } from '../../../src/protocol/bytes/drbg.js';
import { MAX_ROWS, Picture } from '../../../src/runtime/web/picture.js';
import { event } from './fed-event.js';

const row = (value: number) => ({ value });

describe('Picture', () => {
  it('collects changes: many events of one row are one change', () => {
    const picture = new Picture('pana-paa');
    picture.replace('facts', [
      ['a', row(1)],
      ['b', row(2)],
    ]);
    expect(picture.take(1)).toMatchObject({
      set: {
        facts: [
          ['a', row(1)],
          ['b', row(2)],
        ],
      },
      gone: { facts: [] },
    });
    expect(picture.take(2)).toBeUndefined();
    for (let i = 0; i < 100; i += 1)
      picture.replace('facts', [
        ['a', row(i)],
        ['c', row(3)],
      ]);
    expect(picture.take(3)).toMatchObject({
      set: {
        facts: [
          ['a', row(99)],
          ['c', row(3)],
        ],
      },
      gone: { facts: ['b'] },
    });
    picture.replace('facts', [
      ['c', row(3)],
      ['a', row(99)],
    ]);
    expect(picture.take(4)).toBeUndefined();
  });

  it('keeps the last events, and cuts their values', () => {
    const picture = new Picture('pana-aaa');
    for (let i = 0; i < 10_000; i += 1) picture.handle(event(i, 'message dropped', { reason: 'x'.repeat(5_000) }));
    picture.handle(event(10_000, 'message dropped', {}, 20));
    const { log } = picture.snapshot(1);
    expect([log.length, log[0]?.at, log.at(-1)?.at]).toEqual([300, 9_700, 9_999]);
    expect(JSON.stringify(log).length).toBeLessThan(200_000);
    expect(picture.take(1)?.log.length).toBe(300);
    expect(picture.take(1)).toBeUndefined();
  });

  it('holds a bounded state while no page reads it', () => {
    const picture = new Picture('pana-paa');
    for (let i = 0; i < 20_000; i += 1) {
      const session = i.toString(16).padStart(8, '0');
      picture.handle(event(i, 'session refused', { session, identity: 'x@y', reason: 'no-answer' }));
    }
    const change = picture.take(1);
    expect([change?.ladders.length, change?.ladderGone.length, change?.log.length]).toEqual([40, 0, 300]);
  });

  it('and the page have the same after any changes', () => {
    const drbg = new Drbg(new Uint8Array(32).fill(7));
    const pick = (count: number) => (drbg.bytes(1)[0] ?? 0) % count;
    const picture = new Picture('pana-paa');
    const page = new PageState();
    page.reset(picture.snapshot(0), 0);
    for (let i = 0; i < 3_000; i += 1) {
      const session = `0000000${pick(60)}`.slice(-8);
      const step = pick(5);
      if (step === 0)
        picture.replace(
          't',
          Array.from({ length: pick(9) }, (_, key) => [String(key), row(pick(3))]),
        );
      else if (step === 1) picture.handle(event(i, 'session authorized', { session, nai: `${session}@home.example` }));
      else if (step === 2) picture.handle(event(i, 'message sent', { message: 'PAR', session }, 10));
      else if (step === 3) picture.handle(event(i, 'message received', { message: 'PNR[A]', session }, 10));
      else {
        const change = picture.take(i);
        if (change) page.change(JSON.parse(JSON.stringify(change)));
        const { ladders, log, tables } = JSON.parse(JSON.stringify(picture.snapshot(i)));
        expect([...page.ladders.values()].sort((a, b) => a.head.id - b.head.id)).toEqual(ladders);
        expect(page.log).toEqual(log);
        expect(Object.fromEntries(page.table('t'))).toEqual(Object.fromEntries(tables.t ?? []));
      }
    }
  });

  it('sends ten thousand rows in small messages, and the page has the same in the end whatever changes meanwhile', () => {
    const drbg = new Drbg(new Uint8Array(32).fill(9));
    const pick = (count: number) => ((drbg.bytes(1)[0] ?? 0) * 256 + (drbg.bytes(1)[0] ?? 0)) % count;
    const picture = new Picture('pana-paa');
    // Names as long as they may be, of characters that JSON writes with two.
    const long = (value: number) => ({ value, nai: '"'.repeat(253), address: 'x'.repeat(45), state: 'OPEN', until: 1 });
    const rows = new Map(Array.from({ length: 10_000 }, (_, i) => [String(i), long(i)]));
    picture.replace('facts', [['a', row(1)]]);
    picture.replace('sessions', rows);
    const page = new PageState();
    const sizes: number[] = [];
    const send = (message: object) => {
      const text = JSON.stringify(message);
      sizes.push(text.length);
      const got = JSON.parse(text);
      if (got.daemon) page.reset(got, 0);
      else page.change(got);
    };
    let at = 0;
    for (const message of picture.messages(() => at)) {
      send(message);
      expect(page.table('sessions').size).toBeLessThanOrEqual(sizes.length * MAX_ROWS + 100);
      for (let i = 0; i < 50; i += 1) {
        const key = String(pick(11_000));
        if (pick(3) === 0) rows.delete(key);
        else rows.set(key, long(pick(60_000)));
      }
      at += 1;
      picture.replace('sessions', rows);
      const change = picture.take(at);
      if (change) send(change);
    }
    for (let change = picture.take(at); change; change = picture.take(at)) send(change);
    expect(sizes.length).toBeGreaterThan(10_000 / MAX_ROWS);
    expect(Math.max(...sizes)).toBeLessThan(400_000);
    expect(Object.fromEntries(page.table('sessions'))).toEqual(Object.fromEntries(rows));
    expect(page.value('facts', 'a')).toBe(1);
  });

  it('reads a table in steps, keeps its rows meanwhile, and drops those that are gone at the end', () => {
    const picture = new Picture('pana-paa');
    picture.replace('sessions', [
      ['a', row(1)],
      ['b', row(2)],
    ]);
    picture.take(1);
    const table = picture.replacement('sessions');
    table.set('b', row(3));
    expect(picture.take(2)).toMatchObject({ set: { sessions: [['b', row(3)]] }, gone: { sessions: [] } });
    table.end();
    expect(picture.take(3)).toMatchObject({ set: { sessions: [] }, gone: { sessions: ['a'] } });
    picture.clear();
    expect(picture.snapshot(4).tables).toEqual({});
    expect(picture.take(4)).toBeUndefined();
  });
});
