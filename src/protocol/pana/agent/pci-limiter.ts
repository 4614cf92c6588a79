import { halfSipHash, type SipKey, sipKey } from '../../bytes/half-sip-hash.js';
import { Cells } from './cells.js';
import { cutToNetwork, readAddressWords } from './networks.js';

/** Maximum number of PCIs answered per second. */
export interface PciLimits {
  readonly perAddress: number;
  /** Per /64, or per IPv4 /24. */
  readonly perNetwork: number;
  readonly inAll: number;
}

export type PciRefusal = 'pci-of-address' | 'pci-of-network' | 'pci-in-all';

/** Number of cells of the tables that are cleared each second: well above the number of PCIs answered per second. */
const SECOND_CELLS = 1 << 16;

/** Number of cells of the tables of recent senders, by network and by address. One million senders fill a quarter. */
const NETWORK_CELLS = 1 << 20;
const ADDRESS_CELLS = 1 << 22;

/** Lifetime of a generation of these tables in milliseconds. The previous generation is also evaluated. */
const GENERATION = 60_000;

/**
 * Number of PCIs without PAN[S] up to which a network or address counts as quiet. A PaC sends three in its first three
 * seconds.
 */
const QUIET = 3;

/** Maximum value of a counter. */
const MOST_COUNTED = 255;

/** Shares of the total limit that are available to PCIs of quiet networks, of quiet addresses, and of all others. */
const SHARE = { quietNetwork: 1, quietAddress: 3 / 4, rest: 1 / 2 } as const;

/**
 * Shares of the limit per network. A sender that floods from a link is in the same network as all nodes that start
 * there.
 */
const SHARE_OF_NETWORK = { quietAddress: 1, rest: 1 / 2 } as const;

/** Number of words of an address, and of an address with its port. */
const ADDRESS_WORDS = 5;
const PLACE_WORDS = 6;

/**
 * Decides which PCIs are answered (RFC 5191 4.1, 11.2) before they are decoded. It takes less than a microsecond and
 * uses tables of fixed size; different senders may share a cell by chance.
 *
 * Two properties distinguish a starting node from a flood: its network, or at least its address, was quiet before, and
 * it answers the PAR[S]. A part of the limit is therefore reserved for quiet senders, and a valid PAN[S] removes the
 * counts of its PCI.
 */
export class PciLimiter {
  limits: PciLimits;
  readonly #networkKey: SipKey;
  readonly #addressKey: SipKey;
  readonly #words = new Uint32Array(PLACE_WORDS);
  /** PCIs answered in the current second. */
  readonly #ofNetwork = new Cells(new Uint16Array(SECOND_CELLS));
  readonly #ofAddress = new Cells(new Uint16Array(SECOND_CELLS));
  #second = Number.NEGATIVE_INFINITY;
  #total = 0;
  /** PCIs without PAN[S], in the current generation and in the previous one. */
  #networks = new Cells(new Uint8Array(NETWORK_CELLS));
  #networksBefore = new Cells(new Uint8Array(NETWORK_CELLS));
  #addresses = new Cells(new Uint8Array(ADDRESS_CELLS));
  #addressesBefore = new Cells(new Uint8Array(ADDRESS_CELLS));
  #generation = Number.NEGATIVE_INFINITY;
  /** PCIs of each address and port in an epoch, which select the kind of the offer. */
  readonly #repeats = new Cells(new Uint16Array(SECOND_CELLS));
  #epoch = Number.NEGATIVE_INFINITY;

  /** `key`: 16 octets. */
  constructor(key: Uint8Array, limits: PciLimits) {
    this.limits = limits;
    this.#networkKey = sipKey(key.subarray(0, 8));
    this.#addressKey = sipKey(key.subarray(8, 16));
  }

  /**
   * The limit that prevents an answer to a PCI from this address at `now` (milliseconds). Undefined: it may be
   * answered.
   */
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

  /**
   * Removes the counts of PCIs of an address that has sent a valid PAN[S], including those repeated after a loss. Of its
   * repeats it removes one, that of the offer that was answered: otherwise, at hundreds of starts per second, a node
   * whose cell others have used would get an offer meant for a PaC that ignored the ones before.
   */
  proven(address: string, port: number): void {
    const words = this.#words;
    readAddressWords(address, words);
    words[ADDRESS_WORDS] = port;
    const place = halfSipHash(this.#addressKey, words, PLACE_WORDS) % SECOND_CELLS;
    this.#repeats.put(place, Math.max(0, this.#repeats.at(place) - 1));
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

  /**
   * Counts a PCI and returns how many PCIs of this address and port (or of others in the same cell) were answered
   * before in this epoch.
   */
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
    // After a pause the previous generation is outdated.
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

/** Counts a PCI in this cell. Returns whether the cell was quiet before. */
function quiet(table: Cells, before: Cells, cell: number): boolean {
  const count = table.at(cell);
  if (count < MOST_COUNTED) table.put(cell, count + 1);
  return count + before.at(cell) < QUIET;
}
