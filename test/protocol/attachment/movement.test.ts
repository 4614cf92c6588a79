import { describe, expect, it } from 'vitest';
import type { KernelEvent } from '../../../src/protocol/attachment/kernel-events.js';
import { CLOCKS_INTERVAL, Movement } from '../../../src/protocol/attachment/movement.js';

/** Feeds events at exact times, and collects reports as `time: reasons`. */
class Watch {
  readonly machine: Movement;
  readonly reports: string[] = [];
  now = 0;

  constructor(access?: string) {
    this.machine = new Movement(access);
  }

  at(time: number, ...events: readonly KernelEvent[]): this {
    this.until(time);
    for (const event of events) this.machine.handle({ type: 'event', event }, time);
    return this;
  }

  until(time: number): this {
    for (let due = this.machine.deadline; due !== undefined && due <= time; due = this.machine.deadline) {
      for (const { reasons } of this.machine.handle({ type: 'tick' }, due))
        this.reports.push(`${due}: ${reasons.join(' ')}`);
    }
    this.now = time;
    return this;
  }
}

const link = (up: boolean, name = 'eth0'): KernelEvent => ({ type: 'link', interface: name, up });
const router = (address: string, deleted = false, name = 'eth0'): KernelEvent => ({
  type: 'router',
  interface: name,
  router: address,
  deleted,
});
const prefix = (text: string, name = 'eth0'): KernelEvent => ({ type: 'prefix', interface: name, prefix: text });
const address = (text: string, flags = 'scope global', deleted = false): KernelEvent => ({
  type: 'address',
  interface: 'eth0',
  address: text,
  flags,
  deleted,
});

describe('Movement', () => {
  it('reports a link that came up as a reason to ask the PAA, but neither its loss nor events of a link that stays up', () => {
    const watch = new Watch('eth0').at(0, link(true)).at(5_000, link(false)).at(9_000, link(true), link(true));
    expect(watch.until(20_000).reports).toEqual(['5020: ', '9020: link-up']);
  });

  it('reports a new router and a new prefix, even if the next link has the same ones', () => {
    const watch = new Watch('eth0').at(0, router('fe80::1'), prefix('2001:db8:a::/64'));
    watch.at(5_000, router('fe80::1'), prefix('2001:db8:a::/64'));
    watch.at(10_000, link(false)).at(15_000, link(true));
    watch.at(20_000, router('fe80::1'), prefix('2001:db8:a::/64'));
    watch.at(25_000, router('fe80::1', true)).at(30_000, router('fe80::1'));
    expect(watch.until(60_000).reports).toEqual([
      '20: router prefix',
      '5020: ',
      '10020: ',
      '15020: link-up',
      '20020: router prefix',
      '25020: ',
      '30020: router',
    ]);
  });

  it('does nothing on router advertisements that repeat what is known, at 20 a second', () => {
    const watch = new Watch('eth0').at(0, prefix('2001:db8:a::/64'), address('2001:db8:a::1'));
    for (let time = 50; time < 10_000; time += 50) {
      watch.at(time, address('2001:db8:a::1'), prefix('2001:db8:a::/64'));
    }
    expect(watch.until(20_000).reports).toEqual(['20: prefix']);
  });

  it('reports an address whose flags change, and one that is deleted', () => {
    const watch = new Watch().at(0, address('2001:db8::1', 'scope global tentative'));
    watch.at(2_000, address('2001:db8::1')).at(4_000, address('2001:db8::1', 'scope global deprecated'));
    watch.at(6_000, address('2001:db8::1', 'scope global deprecated', true));
    expect(watch.until(9_000).reports).toEqual(['20: ', '2020: ', '4020: ', '6020: ']);
  });

  it('heeds signs on the access interface only; if none is configured, on all except tunnels and loopback', () => {
    const all = ['eth0', 'wlan0', 'ip6tnl1', 'tun0', 'lo', 'ipsec0'];
    const watch = new Watch('wlan0');
    const any = new Watch();
    for (const [i, name] of all.entries()) {
      watch.at(i * 5_000, router('fe80::1', false, name));
      any.at(i * 5_000, router('fe80::1', false, name));
    }
    expect(watch.until(60_000).reports.filter((text) => text.includes('router'))).toEqual(['5020: router']);
    expect(any.until(60_000).reports.filter((text) => text.includes('router'))).toEqual(['20: router', '5020: router']);
  });

  it('reports a storm of 1,000 changes a second at intervals that double up to one second, and a link-up during it', () => {
    const watch = new Watch();
    for (let time = 0; time < 10_000; time += 1) watch.at(time, address(`2001:db8::${time.toString(16)}`));
    watch.at(10_000, link(false), link(true)).until(20_000);
    const times = watch.reports.map((text) => Number.parseInt(text, 10));
    expect(times.slice(0, 8)).toEqual([20, 60, 140, 300, 620, 1_260, 2_260, 3_260]);
    expect(times).toHaveLength(15);
    expect(watch.reports.at(-1)).toBe('10260: link-up');
    // After a second of calm, a change is reported quickly again.
    expect(watch.at(30_000, link(false)).until(31_000).reports.at(-1)).toBe('30020: ');
  });

  it('forgets its state when it would have to remember more than 1,024 addresses', () => {
    const watch = new Watch();
    watch.at(0, address('2001:db8::1'));
    for (let i = 0; i < 1_024; i += 1) watch.at(5_000, address(`2001:db8:1::${i.toString(16)}`));
    watch.until(10_000).at(20_000, address('2001:db8::1')).until(30_000);
    expect(watch.reports).toEqual(['20: ', '5020: ', '20020: ']);
  });

  /** Readings of the clocks at these times: monotonic, boot and wall, in seconds, and how long the reading took. */
  function reports(
    looks: readonly (readonly [monotonic: number, boot: number | undefined, wall: number, took?: number])[],
  ) {
    const watch = new Watch();
    for (const [monotonic, boot, wall, took = 0] of looks) {
      const at = 1_000 * monotonic;
      watch.until(at + 1_000 * took);
      const clocks = { at, boot: boot === undefined ? undefined : 1_000 * boot, wall: 1_000 * wall };
      watch.machine.handle({ type: 'clocks', clocks }, watch.now);
    }
    return watch.until(10_000_000).reports;
  }

  it('treats a boot clock that is ahead of the monotonic clock as sleep, but not a stopped process or a step of the wall clock', () => {
    expect(CLOCKS_INTERVAL).toBe(1_000);
    const before = [
      [0, 0, 1_000],
      [1, 1, 1_001],
      // A process that waited for the processor.
      [4.5, 4.5, 1_004.5],
      // One that was stopped for an hour.
      [3_604.5, 3_604.5, 4_604.5],
      // NTP steps the wall clock.
      [3_605.5, 3_605.5, 90_000],
      [3_606.5, 3_606.5, 5],
    ] as const;
    expect(reports(before)).toEqual([]);
    // Sleep, also if the wall clock is set back at the same time.
    expect(reports([...before, [3_607.5, 3_610.5, 9]])).toEqual(['3607520: wake']);
    expect(reports([...before, [3_607.5, 7_000, 5]])).toEqual(['3607520: wake']);
    expect(reports([...before, [3_607.5, 3_610.4, 9]])).toEqual([]);
  });

  it('compares the wall clock with the monotonic one where the platform has no boot clock', () => {
    const before = [
      [0, undefined, 1_000],
      [1, undefined, 1_001],
      // Stopped for a minute; set back.
      [61, undefined, 1_061],
      [62, undefined, 500],
    ] as const;
    expect(reports(before)).toEqual([]);
    expect(reports([...before, [63, undefined, 504]])).toEqual(['63020: wake']);
  });

  it('does not use a reading during which the process was interrupted', () => {
    expect(
      reports([
        [0, 0, 0],
        // The other clocks were read 60 s after the monotonic one.
        [1, 61, 61, 60],
        [62, 62, 62],
        [63, 63, 63],
      ]),
    ).toEqual([]);
    // The sleep is found by the next reading.
    expect(
      reports([
        [0, 0, 0],
        [1, 3_601, 3_601, 2],
        [4, 3_604, 3_604],
      ]),
    ).toEqual(['4020: wake']);
  });

  it('reports changes from another source without a sign of movement', () => {
    const watch = new Watch();
    watch.machine.handle({ type: 'changed' }, 0);
    expect(watch.until(1_000).reports).toEqual(['20: ']);
    expect(watch.machine.deadline).toBeUndefined();
  });

  it('treats lost events, and a link known only by its index, as signs of movement', () => {
    const watch = new Watch('eth0').at(0, link(false, '#3')).at(5_000, link(true, '#3'));
    watch.until(10_000).machine.handle({ type: 'lost' }, 10_000);
    expect(watch.until(20_000).reports).toEqual(['20: ', '5020: link-up', '10020: events-lost']);
  });
});
