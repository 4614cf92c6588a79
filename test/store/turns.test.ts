import { describe, expect, it } from 'vitest';
import { Turns } from '../../src/store/turns.js';
import { quiet } from '../quiet.js';
import { VirtualHost } from '../virtual-host.js';

describe('Turns', () => {
  it('run as many calls as permitted, in the order of their arrival, also after failures', async () => {
    const turns = new Turns(2, 1_000, new VirtualHost());
    const begun: number[] = [];
    const ends: (() => void)[] = [];
    const calls = Array.from({ length: 5 }, (_, n) =>
      turns
        .run(async () => {
          begun.push(n);
          await new Promise<void>((resolve) => ends.push(resolve));
          if (n === 1) throw new Error('broken');
          return n;
        })
        .catch((error: Error) => error.message),
    );
    await quiet();
    expect(begun).toEqual([0, 1]);
    ends[1]?.();
    await quiet();
    expect(begun).toEqual([0, 1, 2]);
    ends[0]?.();
    await quiet();
    ends[2]?.();
    await quiet();
    expect(begun).toEqual([0, 1, 2, 3, 4]);
    ends[3]?.();
    ends[4]?.();
    expect(await Promise.all(calls)).toEqual([0, 'broken', 2, 3, 4]);
  });

  it('refuse calls that have waited too long, and run the later ones', async () => {
    const host = new VirtualHost();
    const turns = new Turns(1, 1_000, host);
    let end: () => void = () => undefined;
    const first = turns.run(
      () =>
        new Promise<void>((resolve) => {
          end = resolve;
        }),
    );
    const late = [turns.run(async () => 'late'), turns.run(async () => 'late')].map((call) =>
      call.catch((error) => error),
    );
    host.advance(600);
    const inTime = turns.run(async () => 'in time');
    host.advance(600);
    end();
    await first;
    for (const one of await Promise.all(late)) {
      expect(one).toMatchObject({
        code: 'ERR_STORE_BUSY',
        message: 'the database is overloaded: a call has waited for 1 s',
      });
    }
    expect(await inTime).toBe('in time');
    // All turns are free again.
    expect(await turns.run(async () => 'next')).toBe('next');
  });
});
