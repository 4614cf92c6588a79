import { describe, expect, it } from 'vitest';
import { PATIENCE, Turns } from '../../src/store/turns.js';
import { quiet } from '../quiet.js';
import { VirtualHost } from '../virtual-host.js';

describe('Turns', () => {
  it('run as many calls as permitted, in the order of their arrival, also after failures', async () => {
    const turns = new Turns(2, new VirtualHost());
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

  it('refuse timely calls that have waited too long, and run the others', async () => {
    const host = new VirtualHost();
    const turns = new Turns(1, host);
    let end: () => void = () => undefined;
    const first = turns.run(
      () =>
        new Promise<void>((resolve) => {
          end = resolve;
        }),
    );
    const late = [1, 2].map(() => turns.run(async () => 'late', 'timely').catch((error) => error));
    const patient = turns.run(async () => 'patient', 'patient');
    host.advance(PATIENCE / 2 + 1);
    const inTime = turns.run(async () => 'in time', 'timely');
    host.advance(PATIENCE / 2);
    end();
    await first;
    for (const one of await Promise.all(late)) {
      expect(one).toMatchObject({
        code: 'ERR_STORE_BUSY',
        message: 'the store is overloaded: a call has waited for 10 s',
      });
    }
    expect(await Promise.all([patient, inTime])).toEqual(['patient', 'in time']);
    // All turns are free again.
    expect(await turns.run(async () => 'next')).toBe('next');
  });
});
