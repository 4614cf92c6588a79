import { plainSubscriber, type Subscriber } from '../../src/protocol/home/records.js';
import type { HomeAgentChange } from '../../src/store/records.js';
import type { Dice } from './clock.js';
import { naiOf } from './credentials.js';
import type { World } from './world.js';

/** How often an operator repeats a failed request, in milliseconds. */
const OPERATOR_RETRY = 3_000;

/** The policies that an import can give to a subscriber. A policy without values removes the subscriber. */
const POLICIES = {
  short: { sessionLifetime: 10 },
  one: { sessions: 'one' },
  emsk: { pskRoot: 'emsk' },
  off: { enabled: false },
  removed: undefined,
} as const satisfies Readonly<Record<string, Partial<Subscriber> | undefined>>;
export type PolicyName = keyof typeof POLICIES;
export const POLICY_NAMES = Object.keys(POLICIES) as readonly PolicyName[];

/** The operators of the servers. They repeat a failed request until it succeeds or a newer one replaces it. */
export class Operators {
  readonly #world: World;
  readonly #dice: Dice;
  /** The latest request for each subject that has not succeeded yet. */
  readonly #wishes = new Map<string, () => Promise<boolean>>();
  readonly #disabled = new Set<number>();
  readonly #policies = new Map<number, PolicyName>();
  /** Nodes whose policies have been changed. Only an import can change them back. */
  readonly #imported = new Set<number>();
  #imports = 0;

  constructor(world: World, dice: Dice) {
    this.#world = world;
    this.#dice = dice;
  }

  /** Disables or enables a subscriber. */
  enable(node: number, enabled: boolean): void {
    if (enabled) this.#disabled.delete(node);
    else this.#disabled.add(node);
    this.#administer(node);
  }

  /** Changes the policy of a subscriber; undefined: to its original policy. */
  set(node: number, policy: PolicyName | undefined): void {
    if (policy === undefined) this.#policies.delete(node);
    else this.#policies.set(node, policy);
    this.#imported.add(node);
    this.#administer(node);
  }

  /** Restores the original state of a subscriber. */
  restore(node: number): void {
    this.#disabled.delete(node);
    this.#policies.delete(node);
    this.#administer(node);
  }

  changeAgent(agent: number, change: HomeAgentChange): void {
    const given = { name: `ha${agent}`, change };
    this.#want(`agent ${agent}`, () => this.#store('changeHomeAgent', given));
  }

  /** Imports new subscribers, once. */
  importOthers(count: number): void {
    const first = this.#imports + 1;
    const subscribers = Array.from({ length: count }, (_, i) => plainSubscriber(`extra${first}-${i}@home.example`));
    void this.#import(subscribers, false);
  }

  /** Sends a request to a running server; resolves to whether it succeeded before the server ended. */
  async ask(route: string, body: object): Promise<boolean> {
    const running = this.#world.servers.filter(({ isRunning }) => isRunning);
    if (running.length === 0) return false;
    const server = this.#dice.pick(running);
    const answered = server.ask(route, { who: 'operator', ...body }).then(
      () => true,
      () => false,
    );
    return Promise.race([answered, server.ended.then(() => false)]);
  }

  #administer(node: number): void {
    const nai = naiOf(node);
    const enabled = !this.#disabled.has(node);
    const name = this.#policies.get(node);
    const policy = name && POLICIES[name];
    this.#want(`subscriber ${node}`, () => {
      if (name !== undefined && policy === undefined) return this.#store('removeSubscriber', { nai });
      if (!this.#imported.has(node)) return this.#store('changeSubscriber', { nai, change: { enabled } });
      return this.#import([{ ...plainSubscriber(nai), enabled, ...policy }], true);
    });
  }

  /** Repeats a request until it succeeds or a newer one replaces it. A newer one waits for the end of the current attempt. */
  #want(subject: string, wish: () => Promise<boolean>): void {
    const isIdle = !this.#wishes.has(subject);
    this.#wishes.set(subject, wish);
    if (isIdle) void this.#attempt(subject);
  }

  async #attempt(subject: string): Promise<void> {
    const wish = this.#wishes.get(subject);
    const succeeded = await wish?.();
    if (this.#wishes.get(subject) !== wish) void this.#attempt(subject);
    else if (succeeded) this.#wishes.delete(subject);
    else this.#world.clock.after(OPERATOR_RETRY, () => void this.#attempt(subject));
  }

  #store(operation: string, given: object): Promise<boolean> {
    return this.ask('POST /store', { operation, arguments: given });
  }

  async #import(subscribers: readonly Subscriber[], update: boolean): Promise<boolean> {
    this.#imports += 1;
    const importId = `import${this.#imports}`;
    const rows = subscribers.map((subscriber, i) => ({ line: i + 1, subscriber }));
    const isStaged = await this.#store('stageImport', { importId, rows });
    return isStaged && (await this.#store('finishImport', { importId, update }));
  }
}
