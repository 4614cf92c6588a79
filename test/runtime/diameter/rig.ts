import { answerTo } from '../../../src/protocol/diameter/wire/answers.js';
import type { DiameterMessage } from '../../../src/protocol/diameter/wire/codec.js';
import { APPLICATION, CER, DEA, DER } from '../../../src/protocol/diameter/wire/commands.js';
import { Dictionary } from '../../../src/protocol/diameter/wire/dictionary.js';
import { Grammarian } from '../../../src/protocol/diameter/wire/grammar.js';
import { type DiameterEvent, DiameterNode, type DiameterNodeOptions } from '../../../src/runtime/diameter/node.js';

export const grammarian = new Grammarian(new Dictionary());
export const nodes: DiameterNode[] = [];

/** Ends every node that was made. */
export async function stopNodes(): Promise<void> {
  await Promise.all(nodes.splice(0).map((node) => node.stop()));
}

export interface Rig {
  readonly node: DiameterNode;
  readonly events: DiameterEvent[];
}

export function makeNode(host: string, more: Partial<DiameterNodeOptions>): Rig {
  const events: DiameterEvent[] = [];
  const node = new DiameterNode({
    origin: { host, realm: 'example' },
    productName: 'test',
    vendorId: 0,
    ownVendor: 32473,
    applications: [APPLICATION.EAP],
    listen: [],
    peers: [],
    watchdog: 30_000,
    reconnect: 30_000,
    timeout: 5_000,
    onRequest: () => Promise.reject(new Error('nobody asked')),
    onEvent: (event) => events.push(event),
    ...more,
  });
  nodes.push(node);
  return { node, events };
}

/** A server that answers every DER with this Result-Code. */
export function makeServer(
  host: string,
  peers: readonly string[],
  resultCode = 2001,
  more: Partial<DiameterNodeOptions> = {},
): Rig {
  return makeNode(host, {
    listen: [{ address: '127.0.0.1', port: 0 }],
    peers: peers.map((peer) => ({ host: peer })),
    onRequest: (message) => {
      const sessionId = grammarian.find(message.avps, 'Session-Id') ?? '';
      return Promise.resolve(
        answerTo(
          message,
          grammarian.write(DEA, {
            'Session-Id': sessionId,
            'Auth-Application-Id': APPLICATION.EAP,
            'Auth-Request-Type': 3,
            'Result-Code': resultCode,
            'Origin-Host': host,
            'Origin-Realm': 'example',
          }),
        ),
      );
    },
    ...more,
  });
}

export function der(host: string, more: object = {}): DiameterMessage {
  return grammarian.message(DER, APPLICATION.EAP, {
    'Session-Id': `${host};1;1`,
    'Auth-Application-Id': APPLICATION.EAP,
    'Origin-Host': host,
    'Origin-Realm': 'example',
    'Destination-Realm': 'example',
    'Auth-Request-Type': 3,
    'EAP-Payload': new Uint8Array(0),
    ...more,
  });
}

export function cerOf(host: string, more: object = {}): DiameterMessage {
  return grammarian.message(CER, APPLICATION.COMMON, {
    'Origin-Host': host,
    'Origin-Realm': 'example',
    'Host-IP-Address': [Uint8Array.of(127, 0, 0, 1)],
    'Vendor-Id': 0,
    'Product-Name': 'stranger',
    'Auth-Application-Id': [APPLICATION.EAP],
    ...more,
  });
}
