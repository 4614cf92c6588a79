import type { HookOutcome } from '../src/protocol/hooks/alphabet.js';
import type { HookCall, HookProcess, HookProcessListener, HookProcessRunner } from '../src/runtime/hooks/process.js';

/** A hook that runs until the test ends it. */
export class SimulatedProcess implements HookProcess {
  readonly call: HookCall;
  readonly signals: string[] = [];
  readonly #listener: HookProcessListener;
  readonly #onEnd: () => void;

  constructor(call: HookCall, listener: HookProcessListener, onEnd: () => void) {
    this.call = call;
    this.#listener = listener;
    this.#onEnd = onEnd;
  }

  kill(signal: string): void {
    this.signals.push(signal);
  }

  say(line: string): void {
    this.#listener.line(line);
  }

  /** Ends the hook; it succeeds if no reason is given. */
  end(reason?: string): void {
    this.#onEnd();
    const outcome: HookOutcome =
      reason === undefined ? { ok: true, milliseconds: 1 } : { ok: false, milliseconds: 1, reason };
    this.#listener.ended(outcome);
  }
}

/** Runs hooks without processes: a test inspects and ends them. `atOnce`: each succeeds as soon as it starts. */
export class SimulatedProcesses implements HookProcessRunner {
  readonly running: SimulatedProcess[] = [];
  readonly calls: HookCall[] = [];
  atOnce = false;

  removeLeftovers(): Promise<void> {
    return Promise.resolve();
  }

  start(call: HookCall, listener: HookProcessListener): HookProcess {
    const process = new SimulatedProcess(call, listener, () => {
      this.running.splice(this.running.indexOf(process), 1);
    });
    this.calls.push(call);
    this.running.push(process);
    if (this.atOnce) process.end();
    return process;
  }

  /** The only running hook. Throws if none or several run. */
  get only(): SimulatedProcess {
    const [process] = this.running;
    if (!process || this.running.length > 1) throw new Error(`${this.running.length} hooks run`);
    return process;
  }
}
