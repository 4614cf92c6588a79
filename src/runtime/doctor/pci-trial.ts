import { encodePana, MESSAGE_TYPE } from '../../protocol/pana/wire/codec.js';
import type { UdpOptions } from '../net/udp.js';
import type { Computer } from './computer.js';

/** When PCI is sent, and when no more answer is expected, in milliseconds. */
const TRIES = [0, 700, 1_500];
export const TRIAL_TIME = 3_000;

/**
 * Sends PCI to a PAA, `wrapped` as needed, and resolves with the first datagram that comes from there; undefined: none
 * came. A PAA keeps no state for a PCI (RFC 5191 4.1). So no session is disturbed, and authentication is not tried.
 */
export async function answerToPci(
  to: { readonly address: string; readonly port: number },
  from: Partial<UdpOptions>,
  { udp, host }: Pick<Computer, 'udp' | 'host'>,
  wrapped: (pci: Uint8Array) => Uint8Array = (pci) => pci,
): Promise<Uint8Array | undefined> {
  let answered: (octets: Uint8Array | undefined) => void = () => undefined;
  const answer = new Promise<Uint8Array | undefined>((resolve) => {
    answered = resolve;
  });
  const socket = await udp.connect(to, from, (octets) => answered(octets));
  const pci = wrapped(encodePana({ type: MESSAGE_TYPE.PCI, flags: 0, sessionId: 0, sequence: 0, avps: [] }));
  const timers = TRIES.map((after) => host.after(after, () => socket.send(pci, to)));
  timers.push(host.after(TRIAL_TIME, () => answered(undefined)));
  try {
    return await answer;
  } finally {
    for (const cancel of timers) cancel();
    await socket.close();
  }
}
