import { isIP } from 'node:net';
import { DIAMETER_PORT, DIAMETER_TLS_PORT } from '../../protocol/diameter/wire/ports.js';
import { type DiameterPeerSection, readDiameterTls } from '../diameter/setup.js';
import { TlsTransport } from '../diameter/tls.js';
import type { Transport } from '../diameter/transport.js';
import type { Check } from './check.js';
import type { Computer, RunningDaemon } from './computer.js';
import { addressesOf } from './diameter.js';
import { error, type Finding, foreign, warning } from './finding.js';
import { TRIAL_TIME, type TrialNode, type TrialPeer, type TrialResult, tryPeer } from './peer-trial.js';

/** Difference of clocks that is a problem, in seconds: certificates and CRLs of an hour can still be used. */
const CLOCK_DIFFERENCE = 60;

type Needs = Pick<Computer, 'udp' | 'transport' | 'host'>;

/** The check of the Diameter peers, with the certificate that the daemon would use. */
export function peersCheck(
  node: TrialNode,
  diameter: Parameters<typeof readDiameterTls>[0] & { readonly peers: readonly DiameterPeerSection[] },
  running: Promise<RunningDaemon | undefined>,
  computer: Computer,
): Check {
  return {
    name: 'peers',
    isActive: true,
    run: async () => {
      // A certificate that cannot be read is reported by the check of certificates.
      const material = await readDiameterTls(diameter, computer.host).catch(() => undefined);
      const tls = material && new TlsTransport(material, computer.host);
      return peersFindings(node, diameter.peers, tls, await running, computer);
    },
  };
}

/**
 * Connects to each peer, as the daemon does. A peer that the running daemon is connected to is left alone: a second
 * connection could end the first.
 */
export async function peersFindings(
  node: TrialNode,
  peers: readonly DiameterPeerSection[],
  tls: Transport | undefined,
  running: RunningDaemon | undefined,
  computer: Needs,
): Promise<Finding[]> {
  const open = (running?.peers ?? [])
    .filter(({ state }) => state.endsWith('Open'))
    .map(({ host }) => host.toLowerCase());
  const waiting = peers.filter(({ host }) => !open.includes(host.toLowerCase()));
  const findings = await Promise.all(
    waiting.map(async (peer) => {
      const transport = peer.tls ? tls : computer.transport;
      if (!transport) return [];
      const port = peer.port ?? (peer.tls ? DIAMETER_TLS_PORT : DIAMETER_PORT);
      const each = addressesOf(peer).map((address) => ({ host: peer.host, address, port }));
      return Promise.all(each.map((place) => peerFindings(node, place, peer.tls, transport, computer)));
    }),
  );
  return findings.flat(2);
}

async function peerFindings(
  node: TrialNode,
  peer: TrialPeer,
  isTls: boolean,
  transport: Transport,
  computer: Needs,
): Promise<Finding[]> {
  const where = `${peer.host} at ${peer.address} port ${peer.port}`;
  const lost = await routeFindings(peer.address, peer.port, where, computer);
  if (lost.length > 0) return lost;
  return explained(await tryPeer(node, peer, transport, computer.host), where, peer, isTls, computer.host.wall());
}

/** Whether this host has a route to an address: connecting a UDP socket sends nothing. */
export async function routeFindings(address: string, port: number, where: string, { udp }: Pick<Computer, 'udp'>) {
  try {
    const socket = await udp.connect({ address, port }, {}, () => undefined);
    await socket.close();
    return [];
  } catch (failure) {
    const { code = 'no route' } = failure as NodeJS.ErrnoException;
    const family = isIP(address.split('%', 1)[0] ?? '') === 6 ? '-6 ' : '';
    return [
      error(where, `this host has no route to ${address} (${code})`, `compare: ip ${family}route get ${address}`),
    ];
  }
}

const REFUSED: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ETIMEDOUT: 'the connection attempt is not answered',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
  ECONNRESET: 'it closes the connection',
};

function explained(
  result: TrialResult,
  where: string,
  { host, port }: TrialPeer,
  isTls: boolean,
  now: number,
): Finding[] {
  const seconds = TRIAL_TIME / 1000;
  const other = isTls ? `that of TLS (${DIAMETER_TLS_PORT})` : `that without TLS (${DIAMETER_PORT})`;
  switch (result.type) {
    case 'accepted':
      return clockFindings(where, result.time, now);
    case 'refused': {
      const message = result.message === undefined ? '' : ` ("${foreign(result.message)}")`;
      return [error(where, `the peer refuses CER: ${result.result}${message}`, remedyOf(result.result))];
    }
    case 'otherHost':
      return [error(where, `the peer is ${foreign(result.host)}`, `correct host in diameter.peers, or its address`)];
    case 'noCommonApplication':
      return [error(where, 'the peer has no Diameter EAP application', 'connect to a server or relay that has it')];
    case 'noConnection':
      return [
        error(where, `no connection within ${seconds} s`, 'is the host up, and does a packet filter drop this port?'),
      ];
    case 'silent':
      return [
        error(
          where,
          `the peer accepts the connection and does not answer CER within ${seconds} s`,
          `is this a Diameter server, and its port ${other}?`,
        ),
      ];
    case 'closed':
      return [
        error(
          where,
          'the peer closes the connection without an answer to CER',
          `does it list this host and its address? Is the port ${other}?`,
        ),
      ];
    case 'notDiameter':
      return [
        error(where, `what the peer answers is not Diameter (${foreign(result.detail)})`, `is the port ${other}?`),
      ];
    case 'notConnected':
      return [connectionFinding(where, host, port, isTls, result.failure)];
  }
}

function remedyOf(result: string): string {
  if (result === 'UNKNOWN_PEER') return "add diameter.host of this node to the peer's list, with its address";
  if (result === 'NO_COMMON_APPLICATION') return 'connect to a server or relay with Diameter EAP';
  return "the peer's log says more";
}

function connectionFinding(
  where: string,
  host: string,
  port: number,
  isTls: boolean,
  { code, message }: Error & { readonly code?: string },
): Finding {
  const known = REFUSED[code ?? ''];
  if (known !== undefined) {
    const hint = isTls && code === 'ECONNRESET' ? 'does it expect TLS there, and does it trust our CA?' : undefined;
    return error(where, `${known} (${code})`, hint ?? `is it running, and does it listen on port ${port}?`);
  }
  if (/not yet valid|CERT_NOT_YET_VALID/i.test(`${code} ${message}`)) {
    return error(
      where,
      `its certificate is not valid yet by the clock of this host: ${foreign(message)}`,
      'compare both clocks: date -u',
    );
  }
  if (/expired/i.test(`${code} ${message}`)) {
    return error(
      where,
      `its certificate or CRL has expired: ${foreign(message)}`,
      'renew it, or compare both clocks: date -u',
    );
  }
  if (/alert/i.test(`${code} ${message}`)) {
    return error(
      where,
      `it refuses TLS: ${foreign(message)}`,
      'does it trust the CA of our certificate? Its log says more',
    );
  }
  if (/wrong version number|packet length too long/i.test(message)) {
    return error(where, 'it does not speak TLS there', `is ${DIAMETER_TLS_PORT} its port of TLS?`);
  }
  if (/its certificate has/.test(message)) {
    return error(where, foreign(message), `correct host in diameter.peers, or issue a certificate with ${host}`);
  }
  return error(
    where,
    `no connection: ${foreign(message)}`,
    isTls ? 'compare diameter.tls of both' : 'see the log of the peer',
  );
}

/** Few peers tell their time. `time`: Event-Timestamp, in milliseconds since 1970. */
function clockFindings(where: string, time: number | undefined, now: number): Finding[] {
  if (time === undefined) return [];
  const seconds = Math.round((now - time) / 1000);
  if (Math.abs(seconds) <= CLOCK_DIFFERENCE) return [];
  const ahead = seconds > 0 ? 'ahead of' : 'behind';
  return [
    warning(where, `the clock of this host is ${Math.abs(seconds)} s ${ahead} the peer's`, 'synchronise both with NTP'),
  ];
}
