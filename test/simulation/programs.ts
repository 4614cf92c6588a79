import { createHash } from 'node:crypto';
import type { HookCall, HookProcess, HookProcessListener, HookProcessRunner } from '../../src/runtime/hooks/process.js';
import type { Life } from './clock.js';
import type { Scene } from './scene.js';

/** One run of a hook's program. */
export interface ProgramRun {
  /** The machine on which it runs. */
  readonly machine: string;
  readonly program: string;
  readonly event: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly input: string | undefined;
  /** A hash of the key that the program received. */
  readonly key: string | undefined;
}

/** The probabilities that a program fails or hangs. */
export interface ProgramTrouble {
  readonly fail: number;
  readonly hang: number;
  /** Longest duration in milliseconds. */
  readonly slow: number;
}

export const GOOD_PROGRAMS: ProgramTrouble = { fail: 0, hang: 0, slow: 20 };

/** How long a program takes to end after a signal, in milliseconds, and the probability that it ignores SIGTERM. */
const END_TIME = 1_000;
const DEAF = 0.3;

/**
 * The operator's hooks. A program has its effect some time after its start. If its daemon is killed before, the program is killed
 * too, as the service manager does (KillMode=mixed in scripts/systemd): a program that outlives its daemon could undo what the
 * next daemon has set up.
 */
export class Programs {
  readonly #scene: Scene;
  readonly #effect: (run: ProgramRun) => boolean;
  trouble: ProgramTrouble = GOOD_PROGRAMS;
  /** Running programs with the run of the daemon that started them. */
  readonly #running = new Map<object, Life>();

  /** `effect` applies the effect of a program and returns false if the program fails. */
  constructor(scene: Scene, effect: (run: ProgramRun) => boolean) {
    this.#scene = scene;
    this.#effect = effect;
  }

  /** The number of running programs whose daemon waits for them, without probes. */
  get running(): number {
    return [...this.#running.values()].filter(({ alive }) => alive).length;
  }

  /** Runs the programs of a machine for one run of its daemon. */
  processesOf(machine: string, life: Life): HookProcessRunner {
    return {
      removeLeftovers: () => Promise.resolve(),
      start: (call, listener) =>
        this.#scene.leaves(life) ? this.#start(machine, life, call, listener) : { kill: () => undefined },
    };
  }

  #start(machine: string, life: Life, call: HookCall, listener: HookProcessListener): HookProcess {
    const { program, event, environment, input, psk } = call;
    const { clock, dice, trace } = this.#scene;
    const key = psk?.use((octets) => createHash('sha256').update(octets).digest('hex').slice(0, 16));
    const run: ProgramRun = { machine, program, event, environment, input, key };
    const name = `${program} ${event}`;
    const { MIP6_HOA: of = environment['MIP6_COA'] ?? environment['MIP6_HA'] ?? '' } = environment;
    trace.note(machine, machine, 'program', 0, () => `runs ${name} ${of}`);
    const { fail, hang, slow } = this.trouble;
    const began = clock.now;
    const isHanging = dice.chance(hang);
    const isFailing = dice.chance(fail);
    const hasEffect = !(isHanging || isFailing) || dice.chance(0.5);
    let isOver = false;
    const runs = {};
    // Probes run all the time, and nothing waits for a program whose daemon was killed; neither is counted.
    if (event !== 'probe') this.#running.set(runs, life);
    const finish = (reason: string | undefined) => {
      if (isOver) return;
      isOver = true;
      this.#running.delete(runs);
      if (reason !== undefined) trace.note(machine, machine, 'failed', 0, `${name}: ${reason}`);
      const milliseconds = clock.now - began;
      life.perform(() =>
        listener.ended(reason === undefined ? { ok: true, milliseconds } : { ok: false, milliseconds, reason }),
      );
    };
    clock.after(dice.fraction() * slow, () => {
      if (isOver || !life.alive) return;
      const isDone = hasEffect && this.#effect(run);
      if (isHanging) return;
      const exit = isFailing ? 'exit status 1' : isDone ? undefined : 'exit status 3';
      clock.after(dice.fraction() * slow, () => finish(exit));
    });
    return {
      kill: (signal) => {
        if (!life.alive || isOver || (signal === 'SIGTERM' && dice.chance(DEAF))) return;
        clock.after(signal === 'SIGTERM' ? dice.fraction() * END_TIME : 1, () => finish(`ended by ${signal}`));
      },
    };
  }
}
