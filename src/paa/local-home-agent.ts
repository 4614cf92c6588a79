import { readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { formatAddress, parseAddress } from '../protocol/bytes/address.js';
import { CAPABILITY } from '../protocol/mip6/assignment.js';
import { type HomeAgentOffer, IKE_BITS } from '../protocol/mip6/diameter-mobility.js';
import { isReservedIdentifier } from '../protocol/mip6/home-address.js';
import { OperatorError } from '../runtime/system/failure.js';
import { makeFolder } from '../runtime/system/folder.js';
import type { Host } from '../runtime/system/host.js';
import type { PaaOptions } from './options.js';

type Options = NonNullable<PaaOptions['local-home-agent']>;

/** A home address that was given out, as it is kept over a restart. */
export interface LocalLease {
  readonly homeAddress: string;
  readonly mnId: string;
}

/**
 * The home agent of the access network and the home addresses that it gave out. What was in use is kept in a file, so
 * that a restarted PAA can take it down at the home agent: its sessions are lost.
 */
export class LocalHomeAgent {
  #options: Options;
  #isOffered = true;
  readonly #realm: string;
  readonly #file: string;
  /** By home address; undefined until the AAA server has said whose it is. */
  readonly #used = new Map<string, string | undefined>();
  #writing: Promise<void> = Promise.resolve();

  readonly #host: Host;

  constructor(options: Options, realm: string, file: string, host: Host) {
    this.#host = host;
    this.#options = options;
    this.#realm = realm;
    this.#file = file;
  }

  get options(): Options {
    return this.#options;
  }

  /** Whether options are of this home agent; its capacity is another matter. */
  isAt({ capacity: _, ...place }: Options): boolean {
    const { capacity: _own, ...own } = this.#options;
    return isDeepStrictEqual(own, place);
  }

  /** The same home agent with another capacity; or, without options, offered to nobody any more. */
  reconfigure(options: Options | undefined): void {
    this.#isOffered = options !== undefined;
    if (options) this.#options = options;
  }

  get used(): number {
    return this.#used.size;
  }

  /**
   * What the PAA proposes to the AAA server for a node with this wish; undefined when there is no room, or no version of
   * IKE in common. The caller gives it back.
   */
  propose(wish: number): HomeAgentOffer | undefined {
    const { prefix, address, capacity, host } = this.#options;
    const ike = this.#options.ike === 'ikev2' ? CAPABILITY.IKEV2_PSK : CAPABILITY.IKEV1_PSK;
    const homeAgent = parseAddress(address);
    const speaksOther = (wish & IKE_BITS) !== 0 && (wish & ike) === 0;
    if (!homeAgent || !this.#isOffered || this.#used.size >= capacity || speaksOther) return undefined;
    const homeAddress = new Uint8Array(prefix);
    for (;;) {
      const identifier = this.#host.random(8);
      homeAddress.set(identifier, 8);
      const text = formatAddress(homeAddress);
      if (isReservedIdentifier(identifier) || text === address || this.#used.has(text)) continue;
      this.#used.set(text, undefined);
      const link = { length: 64, octets: prefix };
      return { homeAgent, homeAddress, prefix: link, host: { realm: this.#realm, host }, ike };
    }
  }

  /** The AAA server agreed: resolves when the file says so. */
  take(homeAddress: string, mnId: string): Promise<void> {
    this.#used.set(homeAddress, mnId);
    return this.#save();
  }

  release(homeAddress: string): Promise<void> {
    const mnId = this.#used.get(homeAddress);
    this.#used.delete(homeAddress);
    return mnId === undefined ? Promise.resolve() : this.#save();
  }

  /** What an earlier run left behind. Throws OperatorError for a file that is not ours. */
  async leftovers(): Promise<LocalLease[]> {
    const text = await readFile(this.#file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return '[]';
      throw error;
    });
    try {
      const leases = JSON.parse(text) as LocalLease[];
      return leases.filter(({ homeAddress, mnId }) => typeof homeAddress === 'string' && typeof mnId === 'string');
    } catch {
      throw new OperatorError(`${this.#file} is not the file that this daemon writes: remove it`);
    }
  }

  #save(): Promise<void> {
    // One that failed does not keep the next from being tried.
    this.#writing = this.#writing
      .catch(() => undefined)
      .then(async () => {
        const leases: LocalLease[] = [];
        for (const [homeAddress, mnId] of this.#used) if (mnId !== undefined) leases.push({ homeAddress, mnId });
        await makeFolder(dirname(this.#file), 0o700);
        const temporary = `${this.#file}.new`;
        await writeFile(temporary, JSON.stringify(leases), { mode: 0o600 });
        await rename(temporary, this.#file);
      });
    return this.#writing;
  }
}
