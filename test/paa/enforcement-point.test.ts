import { describe, expect, it } from 'vitest';
import { EnforcementPoint } from '../../src/paa/enforcement-point.js';
import type { HookJob, HookRunner } from '../../src/runtime/hooks/runner.js';
import { VirtualHost } from '../virtual-host.js';

const HOUR = 3_600_000;
const A = '2001:db8:a::a';
const B = '2001:db8:a::b';

/** An enforcement point whose program runs when the test says so. */
class Rig {
  readonly told: string[] = [];
  readonly #waiting: (() => void)[] = [];
  readonly point: EnforcementPoint;
  slow = false;

  constructor() {
    const runner = { run: (job: HookJob) => this.#run(job) } as unknown as HookRunner;
    const options = { program: '/ep', batch: false, interface: 'access0' };
    const hooks = { stateDir: '/', timeout: 1, maxParallel: 1, onEvent: () => undefined };
    this.point = new EnforcementPoint(options, hooks, runner, new VirtualHost());
  }

  static async make(): Promise<Rig> {
    const rig = new Rig();
    await rig.point.start();
    rig.told.length = 0;
    return rig;
  }

  permit(session: string, address: string): Promise<boolean> {
    return this.point.permit({ session, userName: `${session}@home.example`, address, lifetime: HOUR });
  }

  /** Lets the program do what waits. */
  async settle(): Promise<string[]> {
    this.slow = false;
    for (let turns = 0; turns < 20; turns += 1) {
      for (const go of this.#waiting.splice(0)) go();
      await new Promise((resolve) => setImmediate(resolve));
    }
    return this.told.splice(0);
  }

  async #run(job: HookJob): Promise<boolean> {
    if (this.slow) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    const values = typeof job.variables === 'function' ? job.variables() : job.variables;
    if (!values) return true;
    const { careOfAddress = '-', formerAddress } = values;
    this.told.push(`${job.event} ${careOfAddress}${formerAddress === undefined ? '' : ` from ${formerAddress}`}`);
    job.onSuccess?.();
    return true;
  }
}

describe('the enforcement point', () => {
  it('is not told to shut an address out that another session holds, whichever of them is the newest', async () => {
    for (const [first, second] of [
      ['one', 'two'],
      ['two', 'one'],
    ] as const) {
      const rig = await Rig.make();
      await rig.permit('one', A);
      await rig.permit('two', A);
      await rig.settle();
      rig.point.revoke(first);
      // The other's own permit counts from now on.
      expect(await rig.settle()).toEqual(['revoke -', `permit ${A}`]);
      rig.point.revoke(second);
      expect(await rig.settle()).toEqual([`revoke ${A}`]);
    }
  });

  it('hears once of moves that came before it could be told, and where the client was when it last heard', async () => {
    const rig = await Rig.make();
    await rig.permit('one', A);
    await rig.settle();
    rig.slow = true;
    for (let n = 0; n < 50; n += 1) rig.point.move('one', `2001:db8:a::${(0x100 + n).toString(16)}`);
    rig.point.move('one', B);
    expect(await rig.settle()).toEqual([`move ${B} from ${A}`]);
    rig.point.move('one', A);
    expect(await rig.settle()).toEqual([`move ${A} from ${B}`]);
  });

  it('shuts out where a client was that ends before its move could be told', async () => {
    const rig = await Rig.make();
    await rig.permit('one', A);
    await rig.settle();
    rig.slow = true;
    rig.point.move('one', B);
    rig.point.revoke('one');
    expect(await rig.settle()).toEqual([`revoke ${A}`, `revoke ${B}`]);
  });
});
