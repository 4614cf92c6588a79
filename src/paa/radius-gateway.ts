import { isIPv6 } from 'node:net';
import { parseAddress } from '../protocol/bytes/address.js';
import type { Secret } from '../protocol/bytes/secret.js';
import type { NasInput } from '../protocol/nas/alphabet.js';
import type { GatewayConfig } from '../protocol/nas/radius/alphabet.js';
import type { RadiusServer } from '../protocol/radius/client/alphabet.js';
import { attribute } from '../protocol/radius/wire/attributes.js';
import type { Attribute } from '../protocol/radius/wire/codec.js';
import { RADIUS_PORT, RADSEC_PORT } from '../protocol/radius/wire/ports.js';
import { RADSEC_SECRET } from '../protocol/radius/wire/radsec.js';
import { GatewayNode, type ServerPlace } from '../runtime/radius/gateway-node.js';
import { radiusReporter } from '../runtime/radius/reporter.js';
import { readRadiusSecret } from '../runtime/radius/secret-file.js';
import type { AaaLink, LinkParts } from './aaa-link.js';
import { inputOf } from './diameter-node.js';
import { originOf } from './nas-config.js';
import type { PaaOptions } from './options.js';

type ServerSection = PaaOptions['radius']['servers'][number];

/** The port of a server for authentication; over TLS that of all packets. */
export function portOf({ port, certificate }: Pick<ServerSection, 'port' | 'certificate'>): number {
  return port ?? (certificate === undefined ? RADIUS_PORT : RADSEC_PORT);
}

/** The port of a server for accounting; undefined: it gets none. */
export function accountingPortOf(server: ServerSection): number | undefined {
  if (server.certificate === undefined) return server['accounting-port'];
  return server.accounting ? portOf(server) : undefined;
}

/** The name of a server in logs: its address and its port. */
export function serverName(server: Pick<ServerSection, 'address' | 'port' | 'certificate'>): string {
  const { address } = server;
  const port = portOf(server);
  return isIPv6(address.split('%', 1)[0] ?? '') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Reads the secrets of the servers. Rejects with OperatorError. */
export async function readServers({ radius }: PaaOptions): Promise<RadiusServer[]> {
  return Promise.all(
    radius.servers.map(async (server, i) => ({
      name: serverName(server),
      secret: await secretOf(server, i),
      accounting: accountingPortOf(server) !== undefined,
      statusServer: server['status-server'],
      isReliable: server.certificate !== undefined,
    })),
  );
}

/** Only servers over TLS have no file: the schema makes sure of it. */
async function secretOf({ 'secret-file': file }: ServerSection, i: number): Promise<Secret> {
  return file === undefined ? RADSEC_SECRET : readRadiusSecret(`radius.servers.${i}.secret-file`, file);
}

/** Attributes that identify this NAS to a server (RFC 2865 4.1). */
export function identityOf(options: PaaOptions): Attribute[] {
  const { radius, pana } = options;
  const { host } = originOf(options);
  const addresses = [radius.source, ...pana.listen].flatMap((text) => (text && parseAddress(text)) || []);
  const address = addresses.find((octets) => octets.some((octet) => octet !== 0));
  const name = address?.length === 16 ? 'NAS-IPv6-Address' : 'NAS-IP-Address';
  return [...attribute('NAS-Identifier', host), ...(address ? attribute(name, address) : [])];
}

function configOf(options: PaaOptions, servers: readonly RadiusServer[]): GatewayConfig {
  const { radius, pana } = options;
  const requestTimeout = radius['request-timeout'];
  const { watchdog } = radius;
  return {
    client: { servers, watchdog, requestTimeout, identity: identityOf(options) },
    ownVendor: pana['vendor-id'],
    portType: radius['port-type'],
    interimInterval: radius['interim-interval'],
  };
}

function placesOf({ radius }: PaaOptions): ServerPlace[] {
  return radius.servers.map((server) => ({
    name: serverName(server),
    address: server.address,
    port: portOf(server),
    accountingPort: accountingPortOf(server),
    certificate: server.certificate,
  }));
}

/** Creates the link to RADIUS servers. */
export function makeGateway(
  options: PaaOptions,
  servers: readonly RadiusServer[],
  { credentials, log, metrics, guard, surroundings }: LinkParts,
  feed: (input: NasInput) => void,
): AaaLink {
  const { host, udp } = surroundings;
  const { source, dae } = options.radius;
  const node = new GatewayNode({
    origin: originOf(options),
    config: configOf(options, servers),
    servers: placesOf(options),
    source,
    dynamic: dae,
    perform: (output) => feed(inputOf(output)),
    onEvent: radiusReporter(log, metrics, host),
    transport: () => credentials.transport,
    guard,
    host,
    udp,
  });
  return {
    start: () => node.start(),
    stop: () => node.stop(),
    feed: (input) => node.feed(input),
    status: () => node.status(),
    accounting: () => node.sizes.records,
    started: (aaaSession) => node.started(aaaSession),
    read: async (fresh) => {
      const [read, adopt] = [await readServers(fresh), await credentials.read(fresh)];
      return () => {
        adopt();
        node.reconfigure(configOf(fresh, read), placesOf(fresh));
      };
    },
  };
}
