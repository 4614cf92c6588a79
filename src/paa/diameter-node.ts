import type { ApplicationOutput } from '../protocol/diameter/node/application.js';
import { APPLICATION } from '../protocol/diameter/wire/commands.js';
import { Dictionary } from '../protocol/diameter/wire/dictionary.js';
import { Grammarian } from '../protocol/diameter/wire/grammar.js';
import type { NasInput } from '../protocol/nas/alphabet.js';
import { DiameterNode } from '../runtime/diameter/node.js';
import { diameterReporter } from '../runtime/diameter/reporter.js';
import { peerOptions } from '../runtime/diameter/setup.js';
import type { TlsTransport } from '../runtime/diameter/tls.js';
import type { Logger } from '../runtime/log/events.js';
import type { Guard } from '../runtime/service/barrier.js';
import type { Metrics } from '../runtime/service/metrics.js';
import type { Surroundings } from '../runtime/surroundings/surroundings.js';
import { originOf } from './nas-config.js';
import type { PaaOptions } from './options.js';

/**
 * Creates the Diameter node of a PAA, which is only a client of its peers. `feed` receives their answers and requests.
 */
export function makeNode(
  options: PaaOptions,
  originStateId: number,
  tls: TlsTransport | undefined,
  { log, metrics, guard }: { readonly log: Logger; readonly metrics: Metrics; readonly guard: Guard },
  { host, transport }: Pick<Surroundings, 'host' | 'transport'>,
  feed: (input: NasInput) => void,
): DiameterNode {
  const { diameter, pana } = options;
  const report = diameterReporter(log, metrics, 'diameterSession', host);
  const grammarian = new Grammarian(new Dictionary(pana['vendor-id']));
  return new DiameterNode({
    origin: originOf(options),
    productName: 'pana-paa',
    vendorId: 0,
    originStateId,
    ownVendor: pana['vendor-id'],
    applications: [APPLICATION.EAP],
    listen: [],
    peers: peerOptions(diameter.peers, tls),
    routes: diameter.routes,
    watchdog: diameter.watchdog,
    reconnect: diameter.reconnect,
    timeout: diameter.timeout,
    perform: (output) => feed(inputOf(output)),
    onEvent: (event) => report(event, grammarian),
    guard,
    host,
    transport,
  });
}

/** Converts an output of the node, or of the RADIUS gateway, to an input of the NAS. */
export function inputOf(output: ApplicationOutput): NasInput {
  switch (output.type) {
    case 'answered':
      return { type: 'answer', token: output.token, message: output.message };
    case 'failed':
      return { type: 'unreachable', token: output.token, reason: output.text };
    case 'serve':
      return { type: 'serverRequest', token: output.token, message: output.message, peer: output.peer };
  }
}
