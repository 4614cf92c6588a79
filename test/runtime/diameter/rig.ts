import { APPLICATION } from '../../../src/protocol/diameter/wire/commands.js';
import type { DiameterEvent } from '../../../src/runtime/diameter/node.js';
import { deaTo } from '../../protocol/diameter/messages.js';
import { AskingNode, type AskingNodeOptions } from './asking-node.js';

export const nodes: AskingNode[] = [];

/** Stops every node of the test. */
export async function stopNodes(): Promise<void> {
  await Promise.all(nodes.splice(0).map((node) => node.stop()));
}

export interface Rig {
  readonly node: AskingNode;
  readonly events: DiameterEvent[];
}

export function makeNode(host: string, more: Partial<AskingNodeOptions>): Rig {
  const events: DiameterEvent[] = [];
  const node = new AskingNode({
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
    onRequest: () => Promise.reject(new Error('unexpected request')),
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
  more: Partial<AskingNodeOptions> = {},
): Rig {
  return makeNode(host, {
    listen: [{ address: '127.0.0.1', port: 0 }],
    peers: peers.map((peer) => ({ host: peer })),
    onRequest: (message) => Promise.resolve(deaTo(message, host, { 'Result-Code': resultCode })),
    ...more,
  });
}
