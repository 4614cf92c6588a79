import type { DatagramSocket, Udp, UdpOptions } from '../../src/runtime/net/udp.js';
import { Life } from './clock.js';
import { describePana } from './describe.js';
import type { Scene } from './scene.js';

/** How a link treats datagrams in either direction. */
export interface LinkQuality {
  /** The probabilities of loss and of duplication. */
  readonly loss: number;
  readonly repeats: number;
  /** Longest delay in milliseconds, which also causes reordering. */
  readonly delay: number;
}

export const GOOD_LINK: LinkQuality = { loss: 0, repeats: 0, delay: 5 };

/** A machine with one address at a time, which may change. */
export interface Attached {
  readonly name: string;
  /** Undefined: it has no address. */
  address: string | undefined;
}

interface Bound {
  readonly life: Life;
  readonly machine: Attached;
  readonly peer: string | undefined;
  readonly receive: (octets: Uint8Array, from: { readonly address: string; readonly port: number }) => void;
}

export interface Place {
  readonly address: string;
  readonly port: number;
}

/** A datagram at its receiver. */
export interface Arrival {
  readonly machine: string;
  readonly life: Life;
  readonly octets: Uint8Array;
  readonly from: Place;
  readonly to: Place;
}

/** Observes datagrams. */
export interface LinkWatcher {
  /** Called when a daemon sends a datagram. */
  sending(machine: string, octets: Uint8Array): void;
  /** Called before a datagram is received. The returned functions are called afterwards. */
  receiving(arrival: Arrival): readonly (() => void)[];
}

/** The part that all addresses of strangers have. */
export const STRANGE = '::bad:';

/** The sender that a ladder shows for datagrams that no machine of the world sent. */
const STRANGER = 'stranger';

const keyOf = (address: string, port: number) => `${address}|${port}`;

function placeOf(label: string): Place {
  const [address = '', port = ''] = label.split('|');
  return { address, port: Number(port) };
}

/** The access networks. An address belongs to the link named by its part before `::`. */
export class PanaLinks {
  readonly #scene: Scene;
  readonly #bound = new Map<string, Bound>();
  readonly #quality = new Map<string, LinkQuality>();
  #lastPort = 40_000;

  readonly #watch: LinkWatcher;

  constructor(scene: Scene, watch: LinkWatcher) {
    this.#scene = scene;
    this.#watch = watch;
  }

  /** Sets the quality of a link. */
  become(link: string, quality: LinkQuality): void {
    this.#quality.set(link, quality);
  }

  /** The sockets of one run of a daemon on a machine. */
  udpOf(machine: Attached, life: Life): Udp {
    return {
      open: ({ address, port }, onDatagram) => {
        const label = keyOf(address, port);
        if (this.#bound.get(label)?.life.alive) return Promise.reject(systemError('EADDRINUSE'));
        const receive: Bound['receive'] = (octets, from) => onDatagram(octets, { ...from, local: label });
        return Promise.resolve(this.#bind(machine, life, { address, port }, undefined, receive));
      },
      connect: (to, from, onDatagram) => {
        const address = from.address ?? machine.address;
        if (address === undefined) return Promise.reject(systemError('ENETUNREACH'));
        const own = { address, port: from.port ?? this.#freePort() };
        return Promise.resolve(this.#bind(machine, life, own, to, (octets) => onDatagram(octets)));
      },
    };
  }

  /** Sends a datagram that does not come from a daemon of this world. */
  inject(octets: Uint8Array, from: Place, to: Place): void {
    this.#carry(octets, STRANGER, from, to);
  }

  /** Receives the datagrams to an address that belongs to no machine, for this number of milliseconds. */
  listen(place: Place, milliseconds: number, receive: (octets: Uint8Array) => void): void {
    const label = keyOf(place.address, place.port);
    const machine = { name: STRANGER, address: place.address };
    const bound: Bound = { life: new Life(STRANGER), machine, peer: undefined, receive };
    this.#bound.set(label, bound);
    this.#scene.clock.after(milliseconds, () => {
      if (this.#bound.get(label) === bound) this.#bound.delete(label);
    });
  }

  /** The number of open sockets of a machine. */
  socketsOf(machine: string): number {
    return [...this.#bound.values()].filter((bound) => bound.machine.name === machine && bound.life.alive).length;
  }

  #freePort(): number {
    this.#lastPort += 1;
    return this.#lastPort;
  }

  #bind(
    machine: Attached,
    life: Life,
    own: UdpOptions,
    peer: { readonly address: string; readonly port: number } | undefined,
    receive: Bound['receive'],
  ): DatagramSocket {
    const label = keyOf(own.address, own.port);
    const bound: Bound = { life, machine, peer: peer && keyOf(peer.address, peer.port), receive };
    this.#bound.set(label, bound);
    let isOpen = true;
    return {
      address: { ...own },
      label,
      place: label.replace('|', ' port '),
      send: (octets, to) => {
        if (!isOpen) return false;
        if (!this.#scene.leaves(life)) return true;
        life.datagrams.sent += 1;
        life.datagrams.octets += octets.length;
        this.#watch.sending(machine.name, octets);
        this.#carry(octets, machine.name, own, peer ?? to);
        return true;
      },
      close: () => {
        isOpen = false;
        if (this.#bound.get(label) === bound) this.#bound.delete(label);
        return Promise.resolve();
      },
    };
  }

  #carry(octets: Uint8Array, name: string, from: Place, to: Place): void {
    const { clock, dice, trace } = this.#scene;
    const copy = new Uint8Array(octets);
    const target = keyOf(to.address, to.port);
    const quality = this.#qualityBetween(from.address, to.address);
    const lost = dice.chance(quality.loss);
    const receiver = this.#bound.get(target)?.machine.name ?? to.address;
    trace.note(name, receiver, lost ? 'lost' : 'pana', copy.length, () => describePana(copy, lost));
    if (lost) return;
    const times = dice.chance(quality.repeats) ? 2 : 1;
    if (times > 1) trace.note(name, receiver, 'repeated', copy.length);
    for (let i = 0; i < times; i += 1) {
      clock.after(dice.fraction() * quality.delay, () => this.#deliver(copy, from, target));
    }
  }

  #deliver(octets: Uint8Array, from: Place, target: string): void {
    const to = this.#bound.get(target);
    if (!to?.life.alive || to.life.asleep) return;
    // A socket bound to an earlier address of the machine receives nothing.
    if (to.peer !== undefined && (to.peer !== keyOf(from.address, from.port) || !this.#isAt(to, target))) return;
    to.life.datagrams.received += 1;
    const after = this.#watch.receiving({
      machine: to.machine.name,
      life: to.life,
      octets,
      from: { address: from.address, port: from.port },
      to: placeOf(target),
    });
    to.receive(new Uint8Array(octets), { address: from.address, port: from.port });
    for (const look of after) look();
  }

  #isAt({ machine }: Bound, target: string): boolean {
    return machine.address !== undefined && target.startsWith(`${machine.address}|`);
  }

  #qualityBetween(a: string, b: string): LinkQuality {
    if (this.#quality.size === 0) return GOOD_LINK;
    const one = this.#quality.get(linkOf(a)) ?? GOOD_LINK;
    const other = this.#quality.get(linkOf(b)) ?? GOOD_LINK;
    return one.loss >= other.loss ? one : other;
  }
}

export function linkOf(address: string): string {
  const end = address.indexOf('::');
  return end < 0 ? address : address.slice(0, end);
}

export function systemError(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(code), { code });
}
