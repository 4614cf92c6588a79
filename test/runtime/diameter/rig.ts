import { answerTo } from '../../../src/protocol/diameter/wire/answers.js';
import { APPLICATION, DEA } from '../../../src/protocol/diameter/wire/commands.js';
import { type DiameterEvent, DiameterNode, type DiameterNodeOptions } from '../../../src/runtime/diameter/node.js';
import { grammarian } from '../../protocol/diameter/messages.js';

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
