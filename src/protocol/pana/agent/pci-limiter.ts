import { halfSipHash, type SipKey, sipKey } from '../../bytes/half-sip-hash.js';
import { cutToNetwork, readAddressWords } from './networks.js';

/** PCIs answered in a second. */
export interface PciLimits {
  readonly perAddress: number;
  /** Of a /64, or a /24 of IPv4. */
  readonly perNetwork: number;
  readonly inAll: number;
}

export type PciRefusal = 'pci-of-address' | 'pci-of-network' | 'pci-in-all';

/** Cells of the tables that are cleared each second: well above what is answered in it. */
const SECOND_CELLS = 1 << 16;

/** Cells of the tables of recent senders, by network and by address: a million of them fill a quarter. */
const NETWORK_CELLS = 1 << 20;
const ADDRESS_CELLS = 1 << 22;

/** Milliseconds of a generation of these tables; the one before it counts too. */
const GENERATION = 60_000;

/** PCIs without a PAN[S] up to which a network or an address is quiet: a PaC sends three in its first three seconds. */
const QUIET = 3;

/** More are not counted of one network or address. */
const MOST_COUNTED = 255;

/** Parts of what is answered in all that are open to PCIs of quiet networks, of quiet addresses, and of the rest. */
const SHARE = { quietNetwork: 1, quietAddress: 3 / 4, rest: 1 / 2 } as const;

/** The same of what one network is answered: who floods from a link is in the network of all who start there. */
const SHARE_OF_NETWORK = { quietAddress: 1, rest: 1 / 2 } as const;

/** Cells that are cleared one by one; where more were written, all are. */
const FEW = 1024;

/** A table of counters that is cleared in no time where little was counted. */
class Cells {
  readonly #values: Uint8Array | Uint16Array;
  readonly #written = new Uint32Array(FEW);
  #count = 0;

  constructor(values: Uint8Array | Uint16Array) {
    this.#values = values;
  }

  at(cell: number): number {
    return this.#values[cell] ?? 0;
  }

  put(cell: number, value: number): void {
    if (this.#values[cell] === 0 && value !== 0) {
      if (this.#count < FEW) this.#written[this.#count] = cell;
      this.#count += 1;
    }
    this.#values[cell] = value;
  }

  clear(): void {
    if (this.#count > FEW) this.#values.fill(0);
    else for (let n = 0; n < this.#count; n += 1) this.#values[this.#written[n] ?? 0] = 0;
    this.#count = 0;
  }
}

/** Words of an address, and of an address with its port. */
const ADDRESS_WORDS = 5;
const PLACE_WORDS = 6;

/**
 * Which PCIs are answered (RFC 5191 4.1, 11.2), decided before one is decoded, in well under a microsecond and in tables
 * of fixed size, whose cells are shared by chance.
 *
 * A flood and a node that starts look alike but for this: the node's network, or at least its address, was quiet before,
 * and what it is sent it answers. So what is answered in a second is kept in part for those who were quiet, and a valid
 * PAN[S] takes back what was counted for its PCI.
 */
export class PciLimiter {
  limits: PciLimits;
  readonly #networkKey: SipKey;
  readonly #addressKey: SipKey;
  readonly #words = new Uint32Array(PLACE_WORDS);
  /** Answered in this second. */
  readonly #ofNetwork = new Cells(new Uint16Array(SECOND_CELLS));
  readonly #ofAddress = new Cells(new Uint16Array(SECOND_CELLS));
  #second = Number.NEGATIVE_INFINITY;
  #total = 0;
  /** PCIs without a PAN[S] so far, of this generation and the one before. */
  #networks = new Cells(new Uint8Array(NETWORK_CELLS));
  #networksBefore = new Cells(new Uint8Array(NETWORK_CELLS));
  #addresses = new Cells(new Uint8Array(ADDRESS_CELLS));
  #addressesBefore = new Cells(new Uint8Array(ADDRESS_CELLS));
  #generation = Number.NEGATIVE_INFINITY;
  /** PCIs of each place in an epoch, for the form of the offer. */
  readonly #repeats = new Cells(new Uint16Array(SECOND_CELLS));
  #epoch = Number.NEGATIVE_INFINITY;

  /** `key`: 16 octets. */
  constructor(key: Uint8Array, limits: PciLimits) {
    this.limits = limits;
    this.#networkKey = sipKey(key.subarray(0, 8));
    this.#addressKey = sipKey(key.subarray(8, 16));
  }

  /** The limit that keeps a PCI from this address from being answered at `now` (milliseconds); undefined: none does. */
  refuse(address: string, now: number): PciRefusal | undefined {
    this.#turn(now);
    const words = this.#words;
    readAddressWords(address, words);
    const ofAddress = halfSipHash(this.#addressKey, words, ADDRESS_WORDS);
    cutToNetwork(words);
    const ofNetwork = halfSipHash(this.#networkKey, words, ADDRESS_WORDS);
    const isQuietNetwork = quiet(this.#networks, this.#networksBefore, ofNetwork % NETWORK_CELLS);
    const isQuietAddress = quiet(this.#addresses, this.#addressesBefore, ofAddress % ADDRESS_CELLS);
    const { perAddress, perNetwork, inAll } = this.limits;
    const networkCell = ofNetwork % SECOND_CELLS;
    const answeredOfNetwork = this.#ofNetwork.at(networkCell);
    const shareOfNetwork = isQuietAddress ? SHARE_OF_NETWORK.quietAddress : SHARE_OF_NETWORK.rest;
    if (answeredOfNetwork >= Math.ceil(perNetwork * shareOfNetwork)) return 'pci-of-network';
    const share = isQuietNetwork ? SHARE.quietNetwork : isQuietAddress ? SHARE.quietAddress : SHARE.rest;
    const addressCell = ofAddress % SECOND_CELLS;
    const answeredOfAddress = this.#ofAddress.at(addressCell);
    if (answeredOfAddress >= perAddress) return 'pci-of-address';
    if (this.#total >= Math.ceil(inAll * share)) return 'pci-in-all';
    this.#ofNetwork.put(networkCell, answeredOfNetwork + 1);
    this.#ofAddress.put(addressCell, answeredOfAddress + 1);
    this.#total += 1;
    return undefined;
  }

  /** A valid PAN[S] came from this address: its PCIs were not in vain, also those that were repeated because one was lost. */
  proven(address: string): void {
    const words = this.#words;
    readAddressWords(address, words);
    const cell = halfSipHash(this.#addressKey, words, ADDRESS_WORDS) % ADDRESS_CELLS;
    const now = Math.max(1, this.#addresses.at(cell));
    const before = this.#addressesBefore.at(cell);
    this.#addresses.put(cell, 0);
    this.#addressesBefore.put(cell, 0);
    cutToNetwork(words);
    const network = halfSipHash(this.#networkKey, words, ADDRESS_WORDS) % NETWORK_CELLS;
    const left = this.#networks.at(network) - now;
    this.#networks.put(network, Math.max(0, left));
    this.#networksBefore.put(network, Math.max(0, this.#networksBefore.at(network) - before + Math.min(0, left)));
  }

  /** How many PCIs of this address and port, or of its cell, were answered before in this epoch; counts this one. */
  repeats(address: string, port: number, epoch: number): number {
    if (epoch !== this.#epoch) {
      this.#epoch = epoch;
      this.#repeats.clear();
    }
    const words = this.#words;
    readAddressWords(address, words);
    words[ADDRESS_WORDS] = port;
    const cell = halfSipHash(this.#addressKey, words, PLACE_WORDS) % SECOND_CELLS;
    const count = this.#repeats.at(cell);
    this.#repeats.put(cell, (count + 1) & 0xff);
    return count;
  }

  #turn(now: number): void {
    const second = Math.floor(now / 1000);
    if (second === this.#second) return;
    this.#second = second;
    this.#total = 0;
    this.#ofNetwork.clear();
    this.#ofAddress.clear();
    const generation = Math.floor(now / GENERATION);
    if (generation === this.#generation) return;
    // After a pause the last generation says nothing any more.
    const follows = generation === this.#generation + 1;
    this.#generation = generation;
    [this.#networks, this.#networksBefore] = [this.#networksBefore, this.#networks];
    [this.#addresses, this.#addressesBefore] = [this.#addressesBefore, this.#addresses];
    this.#networks.clear();
    this.#addresses.clear();
    if (follows) return;
    this.#networksBefore.clear();
    this.#addressesBefore.clear();
  }
}

/** Whether little was heard in this cell; counts one more. */
function quiet(table: Cells, before: Cells, cell: number): boolean {
  const count = table.at(cell);
  if (count < MOST_COUNTED) table.put(cell, count + 1);
  return count + before.at(cell) < QUIET;
}
