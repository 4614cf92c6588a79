import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FairQueue, RankedUsage } from '../../../src/protocol/fairness/fair-queue.js';
import { FairTable, type Seat } from '../../../src/protocol/fairness/fair-table.js';
import { addressPath } from '../../../src/protocol/fairness/party-path.js';
import { HALF_LIFE, Usage } from '../../../src/protocol/fairness/usage.js';

const seat = (peer: string, network: string, address: string, rank = 0): Seat => ({
  rank,
  path: [peer, network, address],
});

describe('addressPath', () => {
  it.each([
    ['2001:db8:1:2:3::4', '2001:db8:1:2::', '2001:db8:1:2:3::4'],
    ['2001:DB8:1:2:3:0:0:4', '2001:db8:1:2::', '2001:db8:1:2:3::4'],
    ['fe80::1%eth0', 'fe80::', 'fe80::1'],
    ['192.0.2.77', '192.0.2.0', '192.0.2.77'],
    ['::ffff:192.0.2.77', '192.0.2.0', '192.0.2.77'],
    ['02-00-5e-00-53-01', '02-00-5e-00-53-01', '02-00-5e-00-53-01'],
    ['', '', ''],
  ])('puts %s into its network', (text, network, address) => {
    expect(addressPath(text)).toEqual([network, address]);
  });

  it('returns a short key for any text', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 500, size: 'max' }), (text) => {
        for (const each of addressPath(text)) expect(each.length).toBeLessThanOrEqual(64);
      }),
    );
  });
});

/** A simple, slow table to compare with. */
class PlainTable {
  readonly items: { readonly item: number; readonly seat: Seat }[] = [];

  size(rank: number, path: readonly string[]): number {
    return this.items.filter(({ seat: own }) => own.rank === rank && path.every((key, i) => own.path[i] === key))
      .length;
  }

  remove(item: number): void {
    const at = this.items.findIndex((each) => each.item === item);
    if (at >= 0) this.items.splice(at, 1);
  }
}

const arbitrarySeat = fc.record({
  rank: fc.integer({ min: 0, max: 2 }),
  path: fc.tuple(fc.constantFrom('p', 'q'), fc.constantFrom('m', 'n', 'o'), fc.constantFrom('a', 'b', 'c')),
});

describe('FairTable', () => {
  it('evicts the oldest entry of the fullest party of the lowest rank above its reserve, and nothing else', () => {
    const operations = fc.array(
      fc.oneof(
        { arbitrary: fc.record({ add: arbitrarySeat }), weight: 4 },
        { arbitrary: fc.record({ remove: fc.nat(60) }), weight: 1 },
        { arbitrary: fc.record({ promote: fc.nat(60), to: arbitrarySeat }), weight: 1 },
      ),
      { maxLength: 120, size: 'max' },
    );
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 24 }), operations, (limit, list) => {
        const table = new FairTable<number>(limit);
        const plain = new PlainTable();
        let next = 0;
        for (const operation of list) {
          if ('remove' in operation) {
            table.remove(operation.remove);
            plain.remove(operation.remove);
          } else if ('promote' in operation) {
            if (table.has(operation.promote)) {
              plain.remove(operation.promote);
              plain.items.push({ item: operation.promote, seat: operation.to });
            }
            table.promote(operation.promote, operation.to);
          } else {
            const item = next;
            next += 1;
            plain.items.push({ item, seat: operation.add });
            const victim = table.add(item, operation.add);
            expect(victim !== undefined).toBe(plain.items.length > limit);
            if (victim !== undefined) {
              const left = plain.items.find((each) => each.item === victim)?.seat as Seat;
              const reserve = Math.floor(limit / 8);
              const rank = [0, 1, 2].find((each) => plain.size(each, []) > reserve) ?? 0;
              expect(left.rank).toBe(rank);
              // At each level no sibling party is fuller than that of the victim.
              for (let length = 1; length <= 3; length += 1) {
                const own = plain.size(rank, left.path.slice(0, length));
                for (const { seat: other } of plain.items) {
                  if (
                    other.rank !== rank ||
                    other.path.slice(0, length - 1).join() !== left.path.slice(0, length - 1).join()
                  )
                    continue;
                  expect(plain.size(rank, other.path.slice(0, length))).toBeLessThanOrEqual(own);
                }
              }
              // The victim is the oldest of its address.
              expect(
                plain.items.find((each) => each.seat.rank === rank && each.seat.path.join() === left.path.join())?.item,
              ).toBe(victim);
              plain.remove(victim);
            }
          }
          expect(table.size).toBe(plain.items.length);
          expect(table.size).toBeLessThanOrEqual(limit);
          for (let rank = 0; rank < 3; rank += 1) expect(table.sizeOf(rank)).toBe(plain.size(rank, []));
        }
      }),
    );
  });

  it('admits a newcomer in place of an entry of the fullest party, however many addresses that party has', () => {
    const table = new FairTable<string>(1000);
    for (let i = 0; i < 50_000; i += 1) table.add(`attacker ${i}`, seat('paa', '2001:db8:bad::', `address ${i}`));
    const honest = Array.from({ length: 20 }, (_, i) => seat('paa', `network ${i}`, 'address'));
    for (const [i, each] of honest.entries()) expect(table.add(`honest ${i}`, each)).toMatch(/^attacker/);
    for (let i = 0; i < 50_000; i += 1) table.add(`attacker again ${i}`, seat('paa', '2001:db8:bad::', `address ${i}`));
    for (const i of honest.keys()) expect(table.has(`honest ${i}`)).toBe(true);
  });

  it('reserves a share for each rank: sessions of one peer do not exclude unproven clients of another', () => {
    const table = new FairTable<string>(80);
    for (let i = 0; i < 500; i += 1) table.add(`session ${i}`, seat('greedy', 'n', `a${i}`, 2));
    for (let i = 0; i < 10; i += 1) expect(table.add(`stranger ${i}`, seat('paa', 'm', `a${i}`))).toMatch(/^session/);
    for (let i = 500; i < 1000; i += 1) table.add(`session ${i}`, seat('greedy', 'n', `a${i}`, 2));
    for (let i = 0; i < 10; i += 1) expect(table.has(`stranger ${i}`)).toBe(true);
    expect(table.add('one stranger more', seat('paa', 'k', 'a'))).toBe('stranger 0');
  });

  it('evicts no entry of a higher rank', () => {
    const table = new FairTable<string>(2);
    table.add('a', seat('paa', 'n', 'a', 2));
    table.add('b', seat('paa', 'n', 'b', 2));
    expect(table.add('c', seat('paa', 'm', 'c', 1))).toBe('c');
    expect(table.add('d', seat('paa', 'm', 'd', 2))).toBe('a');
  });

  it('adds 50,000 parties without a scan of all parties for each', () => {
    const table = new FairTable<number>(10_000);
    // With a scan of all parties for each entry this would exceed the timeout of the test.
    for (let i = 0; i < 50_000; i += 1) table.add(i, seat('paa', `network ${i}`, 'address'));
    expect(table.size).toBe(10_000);
  });
});

describe('Usage', () => {
  it('counts for a party and for those that contain it, and is halved after HALF_LIFE', () => {
    const usage = new Usage();
    usage.add(['p', 'n', 'a'], 8, 0);
    usage.add(['p', 'n', 'b'], 4, 0);
    expect(usage.of(['p', 'n', 'a'], 0)).toBe(8);
    expect(usage.of(['p', 'n'], 0)).toBe(12);
    expect(usage.of(['p'], HALF_LIFE)).toBe(6);
    expect(usage.of(['q'], 0)).toBe(0);
  });
});

/** Runs a queue in virtual time with jobs of given durations, and records when each is done. */
class Workshop {
  readonly #limits: { readonly parallel: number; readonly patience: number };
  readonly #usage = new RankedUsage();
  readonly #queue: FairQueue<string>;
  readonly #jobs = new Map<string, { readonly takes: number; readonly at: number; readonly whose: Seat }>();
  readonly done = new Map<string, number>();
  readonly shed: string[] = [];
  #running: { readonly job: string; readonly ends: number }[] = [];
  #now = 0;

  constructor(limits: { readonly parallel: number; readonly waiting: number; readonly patience: number }) {
    this.#limits = limits;
    this.#queue = new FairQueue(limits.waiting, this.#usage);
  }

  add(job: string, takes: number, whose: Seat, at = this.#now): void {
    this.until(at);
    this.#jobs.set(job, { takes, at, whose });
    const pushedOut = this.#queue.add(job, whose, at);
    if (pushedOut !== undefined) this.shed.push(pushedOut);
    this.#step();
  }

  until(time: number): void {
    for (;;) {
      const [first] = this.#running.sort((a, b) => a.ends - b.ends);
      if (!first || first.ends > time) break;
      this.#running.shift();
      this.#now = first.ends;
      this.done.set(first.job, first.ends);
      const { takes = 0, whose } = this.#jobs.get(first.job) ?? {};
      if (whose) this.#usage.of(whose.rank).add(whose.path, takes, first.ends);
      this.#step();
    }
    this.#now = time;
  }

  wait(job: string): number {
    return (this.done.get(job) ?? Number.POSITIVE_INFINITY) - (this.#jobs.get(job)?.at ?? 0);
  }

  #step(): void {
    this.shed.push(...this.#queue.expire(this.#limits.patience, Number.POSITIVE_INFINITY, this.#now));
    while (this.#running.length < this.#limits.parallel) {
      const job = this.#queue.next(this.#now);
      if (job === undefined) return;
      this.#running.push({ job, ends: this.#now + (this.#jobs.get(job)?.takes ?? 0) });
    }
  }
}

const LIMITS = { parallel: 1, waiting: 1000, patience: 5_000 };

describe('FairQueue', () => {
  it('runs every job when there is room, and loses none', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ whose: arbitrarySeat, takes: fc.nat(20), pause: fc.nat(30) }), {
          maxLength: 60,
          size: 'max',
        }),
        fc.integer({ min: 1, max: 4 }),
        (jobs, parallel) => {
          const shop = new Workshop({ parallel, waiting: 100, patience: 1e9 });
          let at = 0;
          for (const [i, { whose, takes, pause }] of jobs.entries()) {
            at += pause;
            shop.add(String(i), takes, whose, at);
          }
          shop.until(1e9);
          expect(shop.done.size).toBe(jobs.length);
          expect(shop.shed).toEqual([]);
        },
      ),
    );
  });

  it('makes a session wait for at most one unproven client, however many are queued', () => {
    const shop = new Workshop({ ...LIMITS, waiting: 10_000 });
    for (let i = 0; i < 5_000; i += 1) shop.add(`stranger ${i}`, 70, seat('paa', `network ${i}`, 'a'));
    for (let i = 0; i < 20; i += 1) shop.add(`session ${i}`, 2, seat('paa', 'home', 'a', 2), 1000 + 500 * i);
    shop.until(20_000);
    for (let i = 0; i < 20; i += 1) expect(shop.wait(`session ${i}`)).toBeLessThanOrEqual(72 + 70);
  });

  it('serves an unproven client within a limited time while many sessions wait', () => {
    const shop = new Workshop(LIMITS);
    for (let i = 0; i < 500; i += 1) shop.add(`session ${i}`, 10, seat('paa', 'home', `a${i}`, 2), 0);
    shop.add('stranger', 2, seat('paa', 'away', 'a'), 0);
    shop.until(20_000);
    expect(shop.wait('stranger')).toBeLessThanOrEqual(60);
  });

  it('prefers, at each level, the party that has used less time', () => {
    const shop = new Workshop(LIMITS);
    // One network with any number of addresses starts a handshake of 70 ms every millisecond.
    for (let i = 0; i < 3_000; i += 1) shop.add(`attacker ${i}`, 70, seat('paa', 'bad', `a${i}`), i);
    shop.add('same network, same address', 2, seat('paa', 'bad', 'a2999'), 3_000);
    shop.add('other network', 2, seat('paa', 'good', 'a'), 3_000);
    shop.add('other paa', 2, seat('paa2', 'bad', 'a1'), 3_000);
    shop.until(3_600);
    expect(shop.wait('other paa')).toBeLessThanOrEqual(150);
    expect(shop.wait('other network')).toBeLessThanOrEqual(220);
    expect(shop.wait('same network, same address')).toBe(Number.POSITIVE_INFINITY);
  });

  it('sheds jobs of the fullest party, and jobs that have waited too long', () => {
    const shop = new Workshop({ parallel: 1, waiting: 10, patience: 1_000 });
    shop.add('first', 5_000, seat('paa', 'bad', 'a'), 0);
    shop.add('honest', 1, seat('paa', 'good', 'a'), 0);
    for (let i = 0; i < 50; i += 1) shop.add(`attacker ${i}`, 1, seat('paa', 'bad', `a${i}`), 1);
    expect(shop.shed).toHaveLength(41);
    expect(shop.shed).not.toContain('honest');
    shop.until(6_000);
    expect(shop.shed).toContain('honest');
    expect(shop.shed).toHaveLength(51);
    expect(shop.done.size).toBe(1);
  });

  it('serves the newest of equal parties if asked to', () => {
    const queue = new FairQueue<string>(10, new RankedUsage());
    for (const address of ['a', 'b', 'c']) queue.add(address, seat('paa', 'n', address), 0);
    queue.add('c again', seat('paa', 'n', 'c'), 0);
    expect([queue.next(0, true), queue.next(0), queue.next(0, true)]).toEqual(['c again', 'a', 'c']);
  });

  it('knows whether a client would be served first', () => {
    const usage = new RankedUsage();
    const queue = new FairQueue<string>(10, usage);
    expect(queue.isFirst(seat('paa', 'n', 'a'), 0)).toBe(true);
    queue.add('a', seat('paa', 'n', 'a'), 0);
    expect(queue.isFirst(seat('paa', 'n', 'b'), 0)).toBe(false);
    usage.of(0).add(['paa', 'n', 'a'], 1, 0);
    expect(queue.isFirst(seat('paa', 'n', 'a'), 0)).toBe(false);
    expect(queue.isFirst(seat('paa', 'n', 'b'), 0)).toBe(true);
    usage.of(0).add(['paa', 'm', 'a'], 2, 0);
    expect(queue.isFirst(seat('paa', 'm', 'b'), 0)).toBe(false);
    expect(queue.isFirst(seat('paa2', 'm', 'b'), 0)).toBe(true);
    expect(queue.isFirst(seat('paa', 'm', 'b', 1), 0)).toBe(true);
  });
});
