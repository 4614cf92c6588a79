import type { DiameterPeerSection } from '../diameter/setup.js';
import { error, type Finding, warning } from './finding.js';

/** RFC 3539 3.4.1 recommends a watchdog interval of 30 s. With a longer one than this, a dead peer is noticed late. */
const LONG_WATCHDOG = 120_000;

export interface DiameterSettings {
  readonly host: string;
  readonly watchdog: number;
  readonly peers: readonly DiameterPeerSection[];
  readonly routes?: readonly { readonly realm: string; readonly peers: readonly string[] }[] | undefined;
  /** Servers only: whether it serves RADIUS clients, and needs no peer. */
  readonly hasRadius?: boolean | undefined;
  /** Servers only. */
  readonly listen?: readonly string[] | undefined;
}

/** Checks what a configuration says about Diameter, without a look at the computer. */
export function diameterFindings(diameter: DiameterSettings): Finding[] {
  return [...peerFindings(diameter), ...routeFindings(diameter), ...watchdogFindings(diameter)];
}

function peerFindings({ host, peers, listen, hasRadius = false }: DiameterSettings): Finding[] {
  const findings: Finding[] = [];
  const hosts = new Set<string>();
  const places = new Map<string, string>();
  const key = 'diameter.peers';
  for (const peer of peers) {
    const name = peer.host.toLowerCase();
    if (name === host.toLowerCase()) {
      findings.push(error(key, `${peer.host} is this node itself`, 'name the other node in host'));
    }
    if (hosts.has(name))
      findings.push(error(key, `${peer.host} is listed twice`, 'join the entries: use addresses and from'));
    hosts.add(name);
    for (const address of new Set(addressesOf(peer))) {
      const place = `${address} port ${peer.port ?? (peer.tls ? 'of TLS' : 'of Diameter')}`;
      const other = places.get(place);
      if (other !== undefined && other !== name) {
        findings.push(warning(key, `${peer.host} and ${other} are both at ${place}`, 'correct one of the addresses'));
      }
      places.set(place, name);
    }
    if (listen === undefined && addressesOf(peer).length === 0) {
      findings.push(error(key, `${peer.host} has no address, and this node accepts no connections`, 'set its address'));
    }
  }
  if (listen?.length === 0 && peers.every((peer) => addressesOf(peer).length === 0)) {
    findings.push(
      error('diameter.listen', 'the server listens on no address, and connects to no peer', 'set diameter.listen'),
    );
  } else if (listen !== undefined && peers.length === 0 && !hasRadius) {
    findings.push(warning(key, 'no peer is listed, so no PAA can connect', 'list the PAAs: [{host, from}]'));
  }
  return findings;
}

/** The addresses of a peer to connect to. */
export function addressesOf({ address, addresses = [] }: DiameterPeerSection): string[] {
  return [...(address === undefined ? [] : [address]), ...addresses];
}

function routeFindings({ peers, routes = [] }: DiameterSettings): Finding[] {
  const key = 'diameter.routes';
  const hosts = peers.map(({ host }) => host.toLowerCase());
  const realms = new Set<string>();
  const findings: Finding[] = [];
  for (const route of routes) {
    const realm = route.realm.toLowerCase();
    if (realms.has(realm))
      findings.push(error(key, `the realm ${route.realm} has two routes`, 'list its peers in one'));
    realms.add(realm);
    for (const peer of route.peers.filter((name) => !hosts.includes(name.toLowerCase()))) {
      findings.push(
        error(key, `the route of ${route.realm} names ${peer}, which diameter.peers does not list`, 'list it there'),
      );
    }
    const names = route.peers.map((name) => name.toLowerCase());
    if (new Set(names).size < names.length) {
      findings.push(warning(key, `the route of ${route.realm} names a peer twice`, 'name it once'));
    }
  }
  const used = routes.flatMap((route) => route.peers.map((name) => name.toLowerCase()));
  const idle = routes.length === 0 ? [] : peers.filter(({ host }) => !used.includes(host.toLowerCase()));
  return [
    ...findings,
    ...idle.map(({ host }) =>
      warning('diameter.peers', `no route names ${host}`, 'add it to a route in diameter.routes'),
    ),
  ];
}

function watchdogFindings({ watchdog }: DiameterSettings): Finding[] {
  if (watchdog <= LONG_WATCHDOG) return [];
  return [
    warning(
      'diameter.watchdog',
      `a dead peer is noticed only after ${(2 * watchdog) / 1000} s`,
      'RFC 3539 recommends 30s; at least 6s',
    ),
  ];
}
