import { parseAddress } from '../../src/protocol/bytes/address.js';
import { FLAG } from '../../src/protocol/diameter/wire/codec.js';
import type {
  OctetStream,
  OnIncoming,
  Transport,
  TransportConnection,
  TransportListener,
} from '../../src/runtime/diameter/transport.js';
import type { Life } from './clock.js';
import { describeDiameter } from './describe.js';
import { systemError } from './links.js';
import { type Disagreement, Repeats } from './repeats.js';
import type { Scene } from './scene.js';

/** Transmission time in milliseconds. */
const DELAY = 1;

interface Listener {
  readonly life: Life;
  readonly onIncoming: OnIncoming;
}

/** One end of a connection. */
class End implements OctetStream {
  readonly #pair: Pair;
  readonly life: Life;
  other: End | undefined;
  readonly #data: ((chunk: Uint8Array) => void)[] = [];
  readonly #close: (() => void)[] = [];
  closed = false;
  #ended = false;
  writableLength = 0;

  constructor(pair: Pair, life: Life) {
    this.#pair = pair;
    this.life = life;
  }

  get writable(): boolean {
    return !this.closed && !this.#ended;
  }

  on(event: 'data' | 'close' | 'error', listener: ((chunk: Uint8Array) => void) | (() => void)): this {
    if (event === 'data') this.#data.push(listener);
    if (event === 'close') this.#close.push(listener as () => void);
    return this;
  }

  write(octets: Uint8Array, sent?: () => void): void {
    if (this.writable) this.#pair.send(this, octets);
    sent?.();
  }

  end(): void {
    if (!this.writable) return;
    this.#ended = true;
    this.#pair.after(() => this.other?.fall());
    this.#pair.after(() => this.fall());
  }

  receive(octets: Uint8Array): void {
    if (this.closed || !this.life.alive) return;
    for (const listener of this.#data) listener(new Uint8Array(octets));
  }

  /** Closes this end now. */
  fall(): void {
    if (this.closed) return;
    this.closed = true;
    if (!this.life.alive) return;
    for (const listener of this.#close) listener();
  }
}

/** A connection between two runs of daemons. */
class Pair {
  readonly ends: readonly [End, End];
  readonly #scene: Scene;
  readonly #watch: OnMessage;
  #held: (() => void)[] | undefined;
  /** Whether a CER was answered, so that requests may follow. */
  #isCapable = false;

  constructor(scene: Scene, from: Life, to: Life, watch: OnMessage) {
    this.#scene = scene;
    this.#watch = watch;
    const ends = [new End(this, from), new End(this, to)] as const;
    ends[0].other = ends[1];
    ends[1].other = ends[0];
    this.ends = ends;
  }

  get isOpen(): boolean {
    return this.ends.some(({ closed, life }) => !closed && life.alive);
  }

  has(life: Life): boolean {
    return this.ends.some((end) => end.life === life);
  }

  send(from: End, octets: Uint8Array): void {
    if (!this.#scene.leaves(from.life)) return;
    const copy = new Uint8Array(octets);
    const { other } = from;
    if (((copy[4] ?? 0) & FLAG.R) === 0) this.#isCapable = true;
    if (other) this.#watch(from.life, other.life, copy);
    this.#scene.trace.note(from.life.name, other?.life.name ?? '', 'diameter', copy.length, () =>
      describeDiameter(copy),
    );
    this.after(() => other?.receive(copy));
  }

  /** Delivers to `to` a message that an agent repeats for `from`, if this connection joins the two and is open. */
  repeat(from: Life, to: Life, octets: Uint8Array): boolean {
    const end = this.ends.find(({ life, other }) => life === to && other?.life === from);
    if (!end || !this.#isCapable || this.ends.some(({ closed, life }) => closed || !life.alive)) return false;
    this.#scene.trace.note(from.name, to.name, 'copy', octets.length, () => `again: ${describeDiameter(octets)}`);
    this.after(() => end.receive(octets));
    return true;
  }

  /** Runs actions in order. During a stall they are held until it ends. */
  after(action: () => void): void {
    const go = () => {
      if (this.#held) this.#held.push(action);
      else action();
    };
    this.#scene.clock.after(DELAY, go);
  }

  stall(): void {
    this.#held ??= [];
  }

  goOn(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const action of held) this.#scene.clock.after(DELAY, action);
  }

  cut(): void {
    for (const end of this.ends) this.#scene.clock.after(DELAY, () => end.fall());
  }
}

/** Receives each message that one daemon sends to another. */
type OnMessage = (from: Life, to: Life, octets: Uint8Array) => void;

/** The Diameter connections of a world. */
export class Connections {
  readonly #scene: Scene;
  readonly #listeners = new Map<string, Listener>();
  readonly #pairs = new Set<Pair>();
  /** Called for octets before they are sent. */
  readonly #watch: OnMessage;
  /** Whether new connections are refused. */
  isDown = false;
  readonly repeats: Repeats;

  /** `differ` is called when a request and its copy got different answers. */
  constructor(scene: Scene, watch: OnMessage, differ: (disagreement: Disagreement) => void) {
    this.#scene = scene;
    const carry = (from: Life, to: Life, octets: Uint8Array) =>
      [...this.#pairs].some((pair) => pair.repeat(from, to, octets));
    this.repeats = new Repeats(scene, carry, differ);
    this.#watch = (from, to, octets) => {
      watch(from, to, octets);
      this.repeats.sent(from, to, octets);
    };
  }

  /** The transport of one run of a daemon at an address. */
  transportOf(address: string, life: Life): Transport {
    return {
      connect: (to, _host, signal) =>
        new Promise((resolve, reject) => {
          signal.throwIfAborted();
          signal.addEventListener('abort', () => reject(systemError('ABORTED')), { once: true });
          this.#scene.clock.after(DELAY, () => {
            const listener = this.#listeners.get(to.address);
            if (this.isDown || !listener?.life.alive || !life.alive || signal.aborted) {
              reject(systemError('ECONNREFUSED'));
              return;
            }
            const pair = new Pair(this.#scene, life, listener.life, this.#watch);
            this.#pairs.add(pair);
            const [here, there] = pair.ends;
            const incoming = listener.onIncoming(address, () => there.fall());
            there.on('close', () => incoming.closed());
            incoming.accepted(connectionOf(there, to.address, address));
            resolve(connectionOf(here, address, to.address));
          });
        }),
      listen: (at, onIncoming): Promise<TransportListener> => {
        this.#listeners.set(at.address, { life, onIncoming });
        const close = () => {
          if (this.#listeners.get(at.address)?.life === life) this.#listeners.delete(at.address);
          return Promise.resolve();
        };
        return Promise.resolve({ ...at, close });
      },
    };
  }

  /** Closes the connections of one run, or all. */
  cut(life?: Life): void {
    this.#each(life, (pair) => pair.cut());
  }

  /** Connections of which both ends are open. */
  get open(): number {
    return [...this.#pairs].filter(({ ends }) => ends.every(({ closed, life }) => !closed && life.alive)).length;
  }

  stall(life?: Life): void {
    this.#each(life, (pair) => pair.stall());
  }

  /** Ends the stalls of one run, or all. */
  goOn(life?: Life): void {
    this.#each(life, (pair) => pair.goOn());
  }

  #each(life: Life | undefined, action: (pair: Pair) => void): void {
    for (const pair of this.#pairs) {
      if (!pair.isOpen) this.#pairs.delete(pair);
      else if (!life || pair.has(life)) action(pair);
    }
  }
}

function connectionOf(end: End, local: string, remote: string): TransportConnection {
  return {
    stream: end,
    localAddress: parseAddress(local) ?? new Uint8Array(4),
    remoteAddress: remote,
    identities: undefined,
    reset: () => {
      end.other?.fall();
      end.fall();
    },
  };
}
