// A PaC authenticates at a PAA in memory, in virtual time: node out/pana-session.js
// The link takes 5 ms and loses one datagram, which its sender retransmits at its deadline. A stand-in for the EAP method
// has one round, after which both ends have the same key.
// docs/library.md says how to compile this.
import {
  CAPABILITY,
  decodePana,
  INTEGRITY,
  messageName,
  Paa,
  type PaaOutput,
  type PacOutput,
  PacSession,
  PCI_DEFAULTS,
  PRF,
  REQUEST_DEFAULTS,
  Secret,
} from 'pana-mip6/pana';

const BOTH = {
  vendorId: 32473,
  prf: [PRF.HMAC_SHA2_256],
  integrity: [INTEGRITY.HMAC_SHA2_256_128],
  sa: 'required',
  failedSessionTimeout: 60_000,
  request: REQUEST_DEFAULTS,
  pingInterval: 0,
  reauthenticateAt: 0,
  exportKeys: false,
} as const;

const pac = new PacSession(
  { ...BOTH, piggyback: true, eapReplyTimeout: 500, pci: PCI_DEFAULTS, mobility: undefined },
  crypto.getRandomValues(new Uint8Array(32)),
);
const limits = { pciPerAddress: 10, pciPerNetwork: 100, pciInAll: 1_000 };
const tables = { halfOpenPerAddress: 4, halfOpenPerNetwork: 50, halfOpen: 100, sessions: 1_000 };
const paa = new Paa(
  {
    ...BOTH,
    mobility: CAPABILITY.MIP6,
    reconfigure: false,
    lifetimeGrace: 0,
    firstRequest: undefined,
    limits: { ...limits, ...tables },
  },
  crypto.getRandomValues(new Uint8Array(32)),
);

const place = { address: '2001:db8::2', port: 50_000, local: '2001:db8::1' };
const key = () => Secret.take(new Uint8Array(64).fill(7));
const wire: { at: number; to: 'pac' | 'paa'; octets: Uint8Array }[] = [];
/** The number of the datagram that the link loses. */
const LOST = 5;
let sent = 0;
let now = 0;

function send(from: 'pac' | 'paa', octets: Uint8Array): void {
  console.log(`${String(Math.round(now)).padStart(4)} ms  ${from} sends ${messageName(decodePana(octets)).rfc}`);
  sent += 1;
  if (sent === LOST) return;
  wire.push({ at: now + 5, to: from === 'pac' ? 'paa' : 'pac', octets: octets.slice() });
}

function ofPac(outputs: readonly PacOutput[]): void {
  for (const output of outputs) {
    if (output.type === 'send') send('pac', output.octets);
    if (output.type === 'authorized') console.log(`${String(Math.round(now)).padStart(4)} ms  the PaC is authorized`);
    if (output.type !== 'eapPacket') continue;
    const [code = 0, identifier = 0] = output.packet;
    if (code === 3) {
      ofPac(pac.handle({ type: 'eapSucceeded' }, now));
    } else {
      ofPac(pac.handle({ type: 'eapKeys', msk: key() }, now));
      ofPac(pac.handle({ type: 'eapResponse', packet: Uint8Array.of(2, identifier, 0, 5, 255) }, now));
    }
  }
}

function ofPaa(outputs: readonly PaaOutput[]): void {
  for (const output of outputs) {
    if (output.type === 'send') send('paa', output.octets);
    if (output.type !== 'session') continue;
    const { sessionId, event } = output;
    if (event.type === 'authorized')
      console.log(`${String(Math.round(now)).padStart(4)} ms  the PAA has authorized the PaC`);
    if (event.type === 'eapStart') {
      const input = { type: 'eapRequest', packet: Uint8Array.of(1, 1, 0, 5, 255) } as const;
      ofPaa(paa.handle({ type: 'session', sessionId, input }, now));
    }
    if (event.type === 'eapPacket') {
      const grant = { lifetime: 3_600_000, authorizationLifetime: undefined, assignment: undefined };
      const success = { type: 'eapSuccess', packet: Uint8Array.of(3, 1, 0, 4), authorized: true } as const;
      ofPaa(paa.handle({ type: 'session', sessionId, input: { ...success, msk: key(), grant } }, now));
    }
  }
}

ofPac(pac.handle({ type: 'start' }, now));
while (pac.state !== 'OPEN' || wire.length > 0) {
  const times = [wire[0]?.at, pac.deadline, paa.deadline].filter((time) => time !== undefined);
  if (times.length === 0) break;
  now = Math.max(now, Math.min(...times));
  const datagram = wire[0] && wire[0].at <= now ? wire.shift() : undefined;
  if (datagram?.to === 'pac') ofPac(pac.handle({ type: 'datagram', octets: datagram.octets }, now));
  if (datagram?.to === 'paa') ofPaa(paa.handle({ type: 'datagram', octets: datagram.octets, from: place }, now));
  if (pac.deadline !== undefined && pac.deadline <= now) ofPac(pac.handle({ type: 'tick' }, now));
  if (paa.deadline !== undefined && paa.deadline <= now) ofPaa(paa.handle({ type: 'tick' }, now));
}
console.log(`the PaC is ${pac.state}, the PAA has ${paa.size} session`);
