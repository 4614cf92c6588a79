import { parseAddress } from '../../bytes/address.js';
import type { Drbg } from '../../bytes/drbg.js';
import type { LocalCapabilities } from '../peer/capabilities.js';
import type { EndToEndIdentifiers } from '../peer/identifiers.js';
import { Peer } from '../peer/peer.js';
import type { Grammarian } from '../wire/grammar.js';
import type { NodeConfig, NodePeer } from './alphabet.js';
import { PeerEntry } from './peer-entry.js';
import { addressesOf } from './peer-sources.js';

/** Creates the peers of a node with the same local capabilities. */
export class PeerFactory {
  readonly #config: NodeConfig;
  readonly #local: LocalCapabilities;
  readonly #grammarian: Grammarian;
  readonly #identifiers: EndToEndIdentifiers;
  readonly #drbg: Drbg;

  constructor(config: NodeConfig, grammarian: Grammarian, identifiers: EndToEndIdentifiers, drbg: Drbg) {
    this.#config = config;
    this.#local = localOf(config);
    this.#grammarian = grammarian;
    this.#identifiers = identifiers;
    this.#drbg = drbg;
  }

  make(options: NodePeer): PeerEntry {
    const { watchdog, reconnect, timeout } = this.#config;
    const config = {
      host: options.host,
      mayRelay: options.relay ?? false,
      local: this.#local,
      identifiers: this.#identifiers,
      watchdog,
      reconnect,
      timeout,
      initiates: addressesOf(options).length > 0,
    };
    return new PeerEntry(options, new Peer(config, this.#grammarian, this.#drbg.bytes(32)));
  }
}

function localOf(config: NodeConfig): LocalCapabilities {
  const { origin, addresses, productName, vendorId, originStateId, applications, ownVendor } = config;
  return {
    origin,
    addresses: addresses.map(parseAddress).filter(isSpecific),
    productName,
    vendorId,
    originStateId,
    applications,
    supportedVendors: [ownVendor],
  };
}

/** Whether an address is neither 0.0.0.0 nor ::, which do not identify a host. */
function isSpecific(octets: Uint8Array | undefined): octets is Uint8Array {
  return octets?.some((octet) => octet !== 0) ?? false;
}
