import type { Endpoint } from './dissector.js';
import { keyOf, type Role } from './roles.js';

/** Limit of the endpoints that are told apart. Further ones of a role are one. */
const MAX_ENDPOINTS = 2000;

/** Limit of the addresses of a host that a legend names. */
const MAX_SHOWN = 3;

/** The order of the columns. */
const ORDER: readonly Role[] = ['PaC', 'PRE', 'PAA', 'client', 'server'];

/** A number of an endpoint, which stays the same. */
export type EndpointIndex = number;

/** An endpoint in a role. */
interface Known {
  readonly role: Role;
  readonly address: string;
  readonly text: string;
  identity: string | undefined;
}

/** What is known to be one host, in one role or several. */
export interface Host {
  readonly role: Role;
  /** The first of its endpoints. */
  readonly first: EndpointIndex;
  /** Its endpoints and Diameter identity, for people. */
  readonly text: string;
}

/**
 * The hosts of a capture. Endpoints are one host if they have the same Diameter identity, or if a session shows it. A
 * client's ports are hosts of their own otherwise, because several clients may be behind one address.
 */
export class Hosts {
  readonly #endpoints: Known[] = [];
  readonly #index = new Map<string, EndpointIndex>();
  readonly #same: EndpointIndex[] = [];
  /** Pairs of endpoints that talk with each other, which are never one host. */
  readonly #talks = new Map<string, readonly [EndpointIndex, EndpointIndex]>();
  readonly #identities = new Map<string, EndpointIndex>();
  #version = 0;

  /** Changes whenever a host appears, or two turn out to be one. */
  get version(): number {
    return this.#version;
  }

  endpoint(role: Role, endpoint: Endpoint): EndpointIndex {
    const key = `${role} ${keyOf(endpoint)}`;
    const found = this.#index.get(key);
    if (found !== undefined) return found;
    if (this.#endpoints.length >= MAX_ENDPOINTS) return this.#rest(role);
    const text = `${endpoint.address} port ${endpoint.port}`;
    return this.#add(key, { role, address: endpoint.address, text, identity: undefined });
  }

  #rest(role: Role): EndpointIndex {
    const key = `${role} others`;
    return this.#index.get(key) ?? this.#add(key, { role, address: '', text: 'others', identity: undefined });
  }

  #add(key: string, known: Known): EndpointIndex {
    const index = this.#endpoints.push(known) - 1;
    this.#same.push(index);
    this.#index.set(key, index);
    this.#version += 1;
    return index;
  }

  talk(from: EndpointIndex, to: EndpointIndex): void {
    const key = from < to ? `${from} ${to}` : `${to} ${from}`;
    if (!this.#talks.has(key)) this.#talks.set(key, [from, to]);
  }

  /** The endpoint is that of a Diameter node. */
  identify(index: EndpointIndex, identity: string): void {
    const known = this.#endpoints[index];
    if (!known || known.identity !== undefined || known.address === '') return;
    known.identity = identity;
    const other = this.#identities.get(identity);
    if (other === undefined) this.#identities.set(identity, index);
    else this.join(index, other);
  }

  /** The two are one host, unless they talk with each other. */
  join(one: EndpointIndex, other: EndpointIndex): void {
    const [first = one, second = other] = [this.root(one), this.root(other)].sort((a, b) => a - b);
    if (first === second) return;
    for (const [from, to] of this.#talks.values()) {
      const [a, b] = [this.root(from), this.root(to)];
      if ((a === first && b === second) || (a === second && b === first)) return;
    }
    this.#same[second] = first;
    this.#version += 1;
  }

  /** The host of an endpoint: its first endpoint. */
  root(index: EndpointIndex): EndpointIndex {
    let root = index;
    while ((this.#same[root] ?? root) !== root) root = this.#same[root] ?? root;
    this.#same[index] = root;
    return root;
  }

  /** A PAA and a Diameter client with the same address are one host, if nothing else has that address. */
  #joinByAddress(): void {
    const byAddress = new Map<string, Map<Role, EndpointIndex[]>>();
    for (const [index, { role, address }] of this.#endpoints.entries()) {
      const roles = byAddress.get(address) ?? new Map<Role, EndpointIndex[]>();
      byAddress.set(address, roles.set(role, [...(roles.get(role) ?? []), index]));
    }
    for (const [address, roles] of byAddress) {
      const [paa, second] = roles.get('PAA') ?? [];
      if (address === '' || paa === undefined || second !== undefined) continue;
      if (roles.has('PaC') || roles.has('server')) continue;
      const clients = new Set((roles.get('client') ?? []).map((index) => this.root(index)));
      const [client] = clients;
      if (clients.size === 1 && client !== undefined) this.join(paa, client);
    }
  }

  /** All hosts, in the order of columns. */
  get all(): Host[] {
    this.#joinByAddress();
    const members = new Map<EndpointIndex, Known[]>();
    for (const [index, known] of this.#endpoints.entries()) {
      const root = this.root(index);
      const list = members.get(root);
      if (list) list.push(known);
      else members.set(root, [known]);
    }
    const hosts = [...members].map(([first, list]) => ({ first, role: roleOf(list), text: textOf(list) }));
    return hosts.sort((a, b) => ORDER.indexOf(a.role) - ORDER.indexOf(b.role) || a.first - b.first);
  }
}

/** The role of a host is the first in PANA, or else in Diameter. */
function roleOf(list: readonly Known[]): Role {
  const roles = new Set(list.map(({ role }) => role));
  if (roles.has('server') && roles.has('client') && !roles.has('PAA')) return 'server';
  return (['PAA', 'PRE', 'PaC', 'client', 'server'] as const).find((role) => roles.has(role)) ?? 'server';
}

function textOf(list: readonly Known[]): string {
  const texts = [...new Set(list.map(({ text }) => text))];
  const identities = [...new Set(list.flatMap(({ identity }) => (identity === undefined ? [] : [identity])))];
  const more = texts.length > MAX_SHOWN ? `, ${texts.length - MAX_SHOWN} more` : '';
  return [`${texts.slice(0, MAX_SHOWN).join(', ')}${more}`, ...identities.slice(0, MAX_SHOWN)].join('  ');
}
