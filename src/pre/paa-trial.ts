import { DecodeError } from '../protocol/bytes/decode-error.js';
import { withoutScope } from '../protocol/pana/agent/relays.js';
import { PANA_PORT } from '../protocol/pana/wire/ports.js';
import { decodeRelay, encodeRelay } from '../protocol/pana/wire/relayed.js';
import type { Computer } from '../runtime/doctor/computer.js';
import { error, type Finding, warning } from '../runtime/doctor/finding.js';
import { answerToPci, TRIAL_TIME } from '../runtime/doctor/pci-trial.js';
import { routeFindings } from '../runtime/doctor/peers.js';
import type { PreOptions } from './options.js';

/** Sends a PRY with the PCI of a client at an own address to the PAA, whose answer ends here. */
export async function paaFindings({ relay }: PreOptions, computer: Computer): Promise<Finding[]> {
  const to = { address: relay.paa, port: relay['paa-port'] };
  const where = `PAA ${to.address} port ${to.port}`;
  const lost = await routeFindings(to.address, to.port, where, computer);
  if (lost.length > 0) return lost;
  const pac = { address: withoutScope(relay.listen[0] ?? ''), port: relay.port || PANA_PORT };
  const from = relay.source === undefined ? {} : { address: relay.source };
  const octets = await answerToPci(to, from, computer, (pci) => encodeRelay({ pac, octets: pci }));
  if (octets === undefined) {
    const source = relay.source ?? 'the address of this host';
    return [
      error(
        where,
        `no answer to a relayed PCI within ${TRIAL_TIME / 1000} s`,
        `is pana-paa running there with ${source} in pana.relays, and does a packet filter drop this UDP port?`,
      ),
    ];
  }
  try {
    decodeRelay(octets);
    return [];
  } catch (failure) {
    if (!(failure instanceof DecodeError)) throw failure;
    return [warning(where, `its answer is not a valid PRY (${failure.code})`, 'is this a PAA with relays?')];
  }
}
