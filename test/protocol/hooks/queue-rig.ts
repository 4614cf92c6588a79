import type { Exempt, HookOutcome, Job, QueueOptions, QueueOutput } from '../../../src/protocol/hooks/alphabet.js';
import { HookQueue } from '../../../src/protocol/hooks/queue.js';

/** A queue in virtual time. Its outputs are kept as text, such as `1000 run up mn`. Jobs have names. */
export class QueueRig {
  readonly queue: HookQueue;
  now = 0;
  readonly #names = new Map<number, string>();
  readonly #runs = new Map<number, readonly number[]>();
  #said: string[] = [];
  #last = 0;

  constructor(options: Partial<QueueOptions> = {}) {
    this.queue = new HookQueue({ timeout: 30_000, parallel: 8, ...options });
  }

  /** Queues a job, by default named after its event and subject. Returns its token. */
  job(event: Job['event'], subject = 'mn', more: Partial<Job> & { readonly name?: string } = {}): number {
    const { name = `${event} ${subject}`, ...job } = more;
    this.#last += 1;
    this.#names.set(this.#last, name);
    this.#handle({ type: 'job', token: this.#last, job: { event, subject, ...job } });
    return this.#last;
  }

  /** Ends the run that contains the job of this name. */
  end(name: string, reason?: string, exempt?: Exempt): void {
    const outcome: HookOutcome =
      reason === undefined ? { ok: true, milliseconds: 1 } : { ok: false, milliseconds: 1, reason };
    const found = [...this.#runs].find(([, tokens]) => tokens.some((token) => this.#names.get(token) === name));
    if (!found) throw new Error(`no run has the job ${name}`);
    const [run, tokens] = found;
    this.#runs.delete(run);
    const of = tokens.filter((token) => this.#names.get(token) === name);
    const left = exempt && new Map(of.map((token) => [token, exempt]));
    const started = left?.size === tokens.length ? undefined : outcome;
    this.#handle({ type: 'ended', run, outcome: started, ...(left && { exempt: left }) });
  }

  /** The run that contains the job of this name is ready. */
  ready(name: string): void {
    const found = [...this.#runs].find(([, tokens]) => tokens.some((token) => this.#names.get(token) === name));
    if (!found) throw new Error(`no run has the job ${name}`);
    this.#handle({ type: 'ready', run: found[0] });
  }

  stop(within: number): void {
    this.#handle({ type: 'stop', within });
  }

  /** Advances virtual time with a tick at each deadline. */
  advance(milliseconds: number): void {
    const end = this.now + milliseconds;
    for (let at = this.queue.deadline; at !== undefined && at <= end; at = this.queue.deadline) {
      this.now = Math.max(this.now, at);
      this.#handle({ type: 'tick' });
    }
    this.now = end;
  }

  /** Outputs since the last call; only those of these types if any are given. */
  said(...types: QueueOutput['type'][]): string[] {
    const said = this.#said;
    this.#said = [];
    return types.length === 0 ? said : said.filter((line) => types.some((type) => line.split(' ')[1] === type));
  }

  /** Names of the running jobs. */
  get running(): string[] {
    return [...this.#runs.values()].flat().map((token) => this.#names.get(token) ?? '?');
  }

  #handle(input: Parameters<HookQueue['handle']>[0]): void {
    for (const output of this.queue.handle(input, this.now)) {
      this.#said.push(`${this.now} ${this.#text(output)}`);
      if (output.type === 'run') this.#runs.set(output.run, output.tokens);
    }
  }

  #text(output: QueueOutput): string {
    const name = 'token' in output ? (this.#names.get(output.token) ?? '?') : '';
    switch (output.type) {
      case 'run': {
        const names = output.tokens.map((token) => this.#names.get(token)).join(', ');
        return output.lane === undefined ? `run ${names}` : `run in ${output.lane}: ${names}`;
      }
      case 'kill':
        return `kill ${(this.#runs.get(output.run) ?? []).map((token) => this.#names.get(token)).join(', ')} ${output.signal}`;
      case 'firstResult':
        return `firstResult ${name} ${output.outcome.ok ? 'ok' : `failed: ${output.outcome.reason}`}`;
      case 'done':
        return `done ${name} ${output.ok ? 'ok' : 'failed'}`;
      case 'tried':
        return `tried ${name} try ${output.try} ${output.outcome.ok ? 'ok' : output.outcome.reason} after ${output.sinceEvent}`;
      case 'limit':
        return `limit ${output.event} ${output.milliseconds}`;
      case 'stopped':
        return 'stopped';
    }
  }
}
