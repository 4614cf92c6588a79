import { formatAddress, parseAddress } from '../protocol/bytes/address.js';
import { SERVER_PORT } from '../protocol/dhcpv6/wire/codec.js';
import { readDiameterTls, usedForDiameter } from '../runtime/diameter/setup.js';
import { TlsTransport } from '../runtime/diameter/tls.js';
import type { Check } from '../runtime/doctor/check.js';
import { clockFindings } from '../runtime/doctor/clock.js';
import type { Computer, RunningDaemon } from '../runtime/doctor/computer.js';
import { credentialFindings, hostFindings, namedFiles } from '../runtime/doctor/credentials.js';
import { diameterFindings } from '../runtime/doctor/diameter.js';
import { error, type Finding, warning } from '../runtime/doctor/finding.js';
import { configurationFindings, folderFindings } from '../runtime/doctor/folders.js';
import { type ConfiguredHook, hookChecks } from '../runtime/doctor/hooks.js';
import { controlFindings, controlPlaces, listeningFindings } from '../runtime/doctor/listening.js';
import { peersCheck } from '../runtime/doctor/peers.js';
import { secretFindings, serverFindings } from '../runtime/doctor/radius-servers.js';
import { radSecFindings } from '../runtime/doctor/radsec-servers.js';
import { webFindings } from '../runtime/doctor/web.js';
import { isGlobal } from './dhcp-relay.js';
import { readLinkTls, usedForLink } from './link-credentials.js';
import { originOf } from './nas-config.js';
import type { PaaOptions } from './options.js';
import { identityOf, portOf } from './radius-gateway.js';

/** The checks of a PAA. `file`: where its configuration is from. */
export function paaChecks(options: PaaOptions, file: string | undefined, computer: Computer): Check[] {
  const { pana, dhcpv6, hooks, control, 'local-home-agent': local } = options;
  const running = computer.running(control.socket);
  const stateDir = hooks['state-dir'];
  const all: readonly ConfiguredHook[] = [
    { key: 'hooks.ep', program: hooks.ep, role: 'ep', stateDir, interface: pana.interface },
    { key: 'hooks.ha', program: hooks.ha, role: 'ha', stateDir },
    ...pana.relays.map(
      ({ ep: program, 'state-dir': folder = stateDir, interface: access }, i) =>
        ({ key: `pana.relays.${i}.ep`, program, role: 'ep', stateDir: folder, interface: access }) as const,
    ),
  ];
  const places = [
    ...pana.listen.map((address) => ({ key: 'pana.listen', protocol: 'udp', address, port: pana.port }) as const),
    ...(dhcpv6.relay.servers.length > 0
      ? [{ key: 'dhcpv6.relay', protocol: 'udp', address: '::', port: SERVER_PORT } as const]
      : []),
    ...controlPlaces(control),
  ];
  const { passive, active } =
    options.aaa === 'radius' ? radiusChecks(options, computer) : diameterChecks(options, running, computer);
  return [
    { name: 'configuration', run: () => configurationFindings(file, false, computer) },
    { name: 'local-home-agent', run: () => localFindings(local) },
    ...passive,
    { name: 'state-dir', run: () => folderFindings('hooks.state-dir', stateDir, computer, { isPrivate: true }) },
    { name: 'control socket', run: async () => controlFindings(control, await running, computer) },
    { name: 'web page', run: () => webFindings(control, computer) },
    ...hookChecks(all, computer),
    { name: 'pana.interface', isActive: true, run: () => interfaceFindings(pana.interface, computer) },
    { name: 'dhcpv6.relay', isActive: true, run: () => relayFindings(options, computer) },
    { name: 'ports', isActive: true, run: async () => listeningFindings(places, await running, computer) },
    { name: 'clock', isActive: true, run: () => clockFindings(computer) },
    active,
  ];
}

/** The checks of the AAA protocol in use: those without messages, and that of the servers. */
interface AaaChecks {
  readonly passive: readonly Check[];
  readonly active: Check;
}

function diameterChecks(
  options: PaaOptions,
  running: Promise<RunningDaemon | undefined>,
  computer: Computer,
): AaaChecks {
  const origin = originOf(options);
  const diameter = { ...options.diameter, ...origin };
  const node = { ...origin, vendorId: options.pana['vendor-id'] };
  return {
    passive: [
      { name: 'diameter', run: () => [...diameterFindings(diameter), ...timeFindings(options)] },
      {
        name: 'certificates',
        run: () =>
          credentialFindings(
            namedFiles('diameter.tls', diameter.tls),
            async () => usedForDiameter(diameter, await readDiameterTls(diameter, computer.host)),
            computer,
            (used) => hostFindings(used, diameter.host),
          ),
      },
    ],
    active: peersCheck(node, diameter, running, computer),
  };
}

function radiusChecks(options: PaaOptions, computer: Computer): AaaChecks {
  const { source, tls, servers } = options.radius;
  const overUdp = servers.flatMap((server, i) => {
    const { 'secret-file': file } = server;
    return file === undefined ? [] : [{ ...server, port: portOf(server), 'secret-file': file, number: i }];
  });
  const overTls = servers.flatMap((server) => {
    const { certificate } = server;
    return certificate === undefined ? [] : [{ ...server, port: portOf(server), certificate }];
  });
  return {
    passive: [
      { name: 'radius', run: () => secretFindings(overUdp, computer) },
      {
        name: 'certificates',
        run: () =>
          credentialFindings(
            namedFiles('radius.tls', tls),
            async () => usedForLink(options, await readLinkTls(options, computer.host)),
            computer,
          ),
      },
    ],
    active: {
      name: 'servers',
      isActive: true,
      run: async () => {
        // A certificate that cannot be read is reported by the check of certificates.
        const material = await readLinkTls(options, computer.host).catch(() => undefined);
        const transport = material && new TlsTransport(material, computer.host);
        const identity = identityOf(options);
        const found = [
          serverFindings(overUdp, identity, source, computer),
          transport ? radSecFindings(overTls, identity, transport, computer) : [],
        ];
        return (await Promise.all(found)).flat();
      },
    },
  };
}

/** Without the access link, the enforcement point guards nothing. */
function interfaceFindings(name: string, { hasInterface }: Computer): Finding[] {
  if (hasInterface(name)) return [];
  return [
    warning('pana.interface', `this host has no interface ${name}`, 'compare: ip link; it is used when it appears'),
  ];
}

/** Clients of the access link are recognized by their neighbour entries. */
async function relayFindings(
  { pana, dhcpv6 }: PaaOptions,
  { hasInterface, output, readAddresses }: Computer,
): Promise<Finding[]> {
  const { servers, interface: access = pana.interface, 'link-address': link } = dhcpv6.relay;
  if (servers.length === 0) return [];
  const key = 'dhcpv6.relay.interface';
  if (!hasInterface(access)) {
    return [error(key, `this host has no interface ${access}`, 'the PAA does not start without it')];
  }
  const findings: Finding[] = [];
  if ((await output('ip', ['neigh', 'show', 'dev', access])) === undefined) {
    findings.push(
      warning(
        key,
        `the neighbours on ${access} cannot be read: only clients whose PANA address is link-local are recognized`,
        'install iproute2',
      ),
    );
  }
  const has = (await readAddresses()).some((own) => own.interface === access && isGlobal(own.address));
  if (link === undefined && !has) {
    findings.push(
      warning(
        'dhcpv6.relay.link-address',
        `${access} has no global IPv6 address: servers cannot tell the subnet of the clients`,
        'set it, or add an address',
      ),
    );
  }
  return findings;
}

function timeFindings({ pana, diameter }: PaaOptions): Finding[] {
  if (diameter['request-timeout'] < pana['progress-timeout']) return [];
  return [
    warning(
      'diameter.request-timeout',
      'clients are given up before an unanswered request is sent to another peer',
      'set it to less than pana.progress-timeout',
    ),
  ];
}

/** RFC 6275 4.1: a home agent is on its home link. */
function localFindings(local: PaaOptions['local-home-agent']): Finding[] {
  const address = local && parseAddress(local.address);
  if (!local || !address || isIn(address, local.prefix)) return [];
  const prefix = `${formatAddress(local.prefix)}/64`;
  return [error('local-home-agent', `${local.address} is not in ${prefix}`, 'correct its address or its prefix')];
}

function isIn(address: Uint8Array, prefix: Uint8Array): boolean {
  return address.length === 16 && prefix.subarray(0, 8).every((octet, i) => octet === address[i]);
}
