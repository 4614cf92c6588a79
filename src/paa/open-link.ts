import type { NasInput } from '../protocol/nas/alphabet.js';
import { peerOptions } from '../runtime/diameter/setup.js';
import type { AaaLink, LinkParts, MakeLink } from './aaa-link.js';
import { makeNode } from './diameter-node.js';
import type { PaaOptions } from './options.js';
import { makeGateway, readServers } from './radius-gateway.js';

/** Reads what the link of these options needs. Rejects with OperatorError. */
export async function openLink(options: PaaOptions): Promise<MakeLink> {
  if (options.aaa === 'diameter') return (parts, feed) => diameterLink(options, parts, feed);
  const servers = await readServers(options);
  return (parts, feed) => makeGateway(options, servers, parts, feed);
}

function diameterLink(options: PaaOptions, parts: LinkParts, feed: (input: NasInput) => void): AaaLink {
  const { credentials, originStateId, surroundings } = parts;
  const node = makeNode(options, originStateId, credentials.transport, parts, surroundings, feed);
  return {
    start: () => node.start(),
    stop: () => node.stop(),
    feed: (input) => node.feed(input),
    status: () => node.status(),
    accounting: () => 0,
    started: () => undefined,
    read: async (fresh) => {
      const adopt = await credentials.read(fresh);
      return () => {
        adopt();
        node.reconfigure(peerOptions(fresh.diameter.peers, credentials.transport), fresh.diameter.routes);
      };
    },
  };
}
