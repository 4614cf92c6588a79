import { parseAddress } from '../../bytes/address.js';
import { withoutScope } from '../../bytes/address-set.js';
import { toHex } from '../../bytes/octets.js';
import type { Secret } from '../../bytes/secret.js';
import { RADSEC_SECRET } from '../../radius/wire/radsec.js';

/** A RADIUS client: a NAS, or a proxy. */
export interface RadiusClient {
  readonly name: string;
  /** Its source addresses and networks over UDP, already checked. Empty: it uses RadSec only. */
  readonly from: readonly string[];
  /** Of UDP; that of RadSec if the client has no other. The configuration owns it. */
  readonly secret: Secret;
  /** The dNSName of its certificate, by which it is found over RadSec. Undefined: it uses UDP only. */
  readonly certificate?: string | undefined;
  /** The client is the home agent of this name, and gets home addresses as Framed-IPv6-Address. */
  readonly isHomeAgent: boolean;
  /**
   * Where it accepts Disconnect-Requests and CoA-Requests. `radsec`: on the connections that it has opened. Undefined:
   * nowhere.
   */
  readonly dynamic: { readonly address: string; readonly port: number } | 'radsec' | undefined;
  /** Whether its nodes need the extended master secret (RFC 7627); undefined: as all others. */
  readonly extendedMasterSecret?: 'required' | 'wanted' | undefined;
}

/** Precedes the name of a client in the origin of its sessions. No DiameterIdentity contains a colon. */
const ORIGIN = 'radius:';

/** The origin of the sessions of a client. */
export function originOf(name: string): string {
  return ORIGIN + name.toLowerCase();
}

/** The name of the client in an origin; undefined: the session is not one of RADIUS. */
export function clientOfOrigin(origin: string): string | undefined {
  return origin.startsWith(ORIGIN) ? origin.slice(ORIGIN.length) : undefined;
}

/** Finds clients by name and by address. The narrowest network that contains an address decides. */
export class RadiusClients {
  readonly #names = new Map<string, RadiusClient>();
  /** Clients with the secret of RadSec, by the name in their certificate. */
  readonly #certificates = new Map<string, RadiusClient>();
  /** Networks of one length each, the longest first: its number of bits, and the clients by network. */
  readonly #lengths: { readonly bits: number; readonly clients: Map<string, RadiusClient> }[] = [];

  constructor(clients: readonly RadiusClient[]) {
    for (const client of clients) {
      this.#names.set(client.name.toLowerCase(), client);
      if (client.certificate !== undefined) {
        this.#certificates.set(client.certificate.toLowerCase(), { ...client, secret: RADSEC_SECRET });
      }
      for (const network of client.from) this.#add(network, client);
    }
    this.#lengths.sort((a, b) => b.bits - a.bits);
  }

  named(name: string): RadiusClient | undefined {
    return this.#names.get(name.toLowerCase());
  }

  /** The client whose certificate has these dNSNames. */
  certified(names: readonly string[]): RadiusClient | undefined {
    for (const name of names) {
      const found = this.#certificates.get(name.toLowerCase());
      if (found) return found;
    }
    return undefined;
  }

  /** The client at an address in the form in which a socket reports its remote end. */
  at(address: string): RadiusClient | undefined {
    const octets = parseAddress(withoutScope(address));
    if (!octets) return undefined;
    for (const { bits, clients } of this.#lengths) {
      const found = bits <= octets.length * 8 ? clients.get(networkKey(octets, bits)) : undefined;
      if (found) return found;
    }
    return undefined;
  }

  #add(network: string, client: RadiusClient): void {
    const [address = '', length] = network.split('/');
    const octets = parseAddress(withoutScope(address));
    if (!octets) return;
    const bits = length === undefined ? octets.length * 8 : Number(length);
    let same = this.#lengths.find((each) => each.bits === bits);
    if (!same) {
      same = { bits, clients: new Map() };
      this.#lengths.push(same);
    }
    same.clients.set(networkKey(octets, bits), client);
  }
}

/** Identifies the network of an address; IPv4 and IPv6 differ in length. */
export function networkKey(octets: Uint8Array, bits: number): string {
  return toHex(octets.map((octet, i) => octet & (0xff00 >> Math.min(8, Math.max(0, bits - i * 8))) & 0xff));
}
