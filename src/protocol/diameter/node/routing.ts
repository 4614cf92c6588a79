import { APPLICATION } from '../wire/commands.js';

/** Which peers serve a realm. */
export interface Route {
  /** A realm, or `*` for all that no other route names. */
  readonly realm: string;
  readonly peers: readonly string[];
}

export interface Destination {
  readonly realm: string | undefined;
  /** Of the server that must get it. */
  readonly host: string | undefined;
}

/** A peer as routing sees it. */
export interface Hop {
  readonly host: string;
  /** Lower ones first; of equal ones each comes first as often as its share of the weights says. */
  readonly priority: number;
  readonly weight: number;
  /** Undefined: there is no connection, nothing is known. */
  readonly capabilities: { readonly relay: boolean; readonly applications: readonly number[] } | undefined;
}

const DEFAULT_REALM = '*';

/** RFC 6733 2.4: a peer that advertises the relay application forwards every other one. */
function serves({ relay, applications }: NonNullable<Hop['capabilities']>, applicationId: number): boolean {
  return applications.includes(applicationId) || (relay && applications.includes(APPLICATION.RELAY));
}

/** The realm routing table of a node, RFC 6733 2.7 and 6.1.6. */
export class RouteTable<H extends Hop> {
  readonly #routes: ReadonlyMap<string, readonly string[]>;
  readonly #hops: ReadonlyMap<string, H>;
  readonly #random: () => number;

  /**
   * Without routes every peer serves every realm. `hops`: by DiameterIdentity in lower case. `random`: uniform in [0, 1).
   */
  constructor(routes: readonly Route[], hops: ReadonlyMap<string, H>, random: () => number) {
    this.#hops = hops;
    this.#random = random;
    const all = routes.length > 0 ? routes : [{ realm: DEFAULT_REALM, peers: [...hops.keys()] }];
    this.#routes = new Map(all.map(({ realm, peers }) => [realm.toLowerCase(), peers]));
  }

  /** Peers that a request of this application may be sent to, the best first, whether they are connected or not. */
  candidates(destination: Destination, applicationId: number): H[] {
    const host = destination.host?.toLowerCase();
    const direct = host === undefined ? undefined : this.#hops.get(host);
    const ofRealm = this.#named(this.#realm(destination.realm)).filter(
      (hop) => hop !== direct && (host === undefined || hop.capabilities?.relay === true),
    );
    const shared = this.#inOrder(ofRealm);
    const ordered = direct ? [direct, ...shared] : shared;
    return ordered.filter(({ capabilities }) => !capabilities || serves(capabilities, applicationId));
  }

  /** By priority; within one at random, by weight. */
  #inOrder(hops: readonly H[]): H[] {
    if (hops.length < 2) return [...hops];
    const keyed = hops.map((hop) => {
      // The smallest of exponential variables is each one's as often as its rate says.
      const key = -Math.log(1 - this.#random()) / hop.weight;
      return { hop, key };
    });
    return keyed.sort((a, b) => a.hop.priority - b.hop.priority || a.key - b.key).map(({ hop }) => hop);
  }

  #realm(realm: string | undefined): readonly string[] {
    const own = realm === undefined ? undefined : this.#routes.get(realm.toLowerCase());
    return own ?? this.#routes.get(DEFAULT_REALM) ?? [];
  }

  #named(hosts: readonly string[]): H[] {
    return hosts.map((host) => this.#hops.get(host.toLowerCase())).filter((hop) => hop !== undefined);
  }
}
