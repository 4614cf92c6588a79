import { APPLICATION } from '../wire/commands.js';

/** The peers that serve a realm. */
export interface Route {
  /** A realm, or `*` for all realms without a route of their own. */
  readonly realm: string;
  readonly peers: readonly string[];
}

export interface Destination {
  readonly realm: string | undefined;
  /** Host of the server that must get the request. */
  readonly host: string | undefined;
}

/** The properties of a peer that routing uses. */
export interface Hop {
  readonly host: string;
  /** Peers with lower values come first. Peers with equal values are ordered at random by weight. */
  readonly priority: number;
  readonly weight: number;
  /** Undefined: the peer is not connected. */
  readonly capabilities: { readonly relay: boolean; readonly applications: readonly number[] } | undefined;
}

const DEFAULT_REALM = '*';

/** RFC 6733 2.4: a peer that advertises the relay application forwards all applications. */
function serves({ relay, applications }: NonNullable<Hop['capabilities']>, applicationId: number): boolean {
  return applications.includes(applicationId) || (relay && applications.includes(APPLICATION.RELAY));
}

/** The realm routing table of a node, RFC 6733 2.7 and 6.1.6. */
export class RouteTable<H extends Hop> {
  readonly #routes: ReadonlyMap<string, readonly string[]>;
  readonly #hops: ReadonlyMap<string, H>;
  readonly #random: () => number;

  /**
   * Without routes every peer serves every realm. `hops`: peers by DiameterIdentity in lower case. `random`: uniform in
   * [0, 1).
   */
  constructor(routes: readonly Route[], hops: ReadonlyMap<string, H>, random: () => number) {
    this.#hops = hops;
    this.#random = random;
    const all = routes.length > 0 ? routes : [{ realm: DEFAULT_REALM, peers: [...hops.keys()] }];
    this.#routes = new Map(all.map(({ realm, peers }) => [realm.toLowerCase(), peers]));
  }

  /** Peers for a request of this application, in order of preference, connected or not. */
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

  /** Orders peers by priority, and within a priority at random by weight. */
  #inOrder(hops: readonly H[]): H[] {
    if (hops.length < 2) return [...hops];
    const keyed = hops.map((hop) => {
      // Of several exponential variables, each is the smallest with a probability proportional to its rate.
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
