import { type DiameterMessage, FLAG } from '../../protocol/diameter/wire/codec.js';
import { APPLICATION, CEA, CER, DPR } from '../../protocol/diameter/wire/commands.js';
import { DISCONNECT_CAUSE, Dictionary } from '../../protocol/diameter/wire/dictionary.js';
import { Grammarian, isViolation } from '../../protocol/diameter/wire/grammar.js';
import { RESULT, resultName } from '../../protocol/diameter/wire/result-codes.js';
import { DiameterConnection } from '../diameter/connection.js';
import type { Transport, TransportConnection } from '../diameter/transport.js';
import type { Host } from '../system/host.js';

export interface TrialNode {
  readonly host: string;
  readonly realm: string;
  readonly vendorId: number;
}

export interface TrialPeer {
  readonly host: string;
  readonly address: string;
  readonly port: number;
}

/** How a trial ended. Texts are the peer's or the system's, and not safe for a terminal. */
export type TrialResult =
  | { readonly type: 'accepted'; readonly realm: string; readonly time: number | undefined }
  | { readonly type: 'refused'; readonly result: string; readonly message: string | undefined }
  | { readonly type: 'otherHost'; readonly host: string }
  | { readonly type: 'noCommonApplication' }
  | { readonly type: 'notConnected'; readonly failure: Error & { readonly code?: string } }
  | { readonly type: 'noConnection' }
  | { readonly type: 'silent' }
  | { readonly type: 'closed' }
  | { readonly type: 'notDiameter'; readonly detail: string };

/** How long a connection, and then its CEA, may take, in milliseconds. */
export const TRIAL_TIME = 5_000;

/**
 * Connects to a peer, sends CER, and reads its CEA. The CER has no Origin-State-Id, from which a peer could conclude that
 * this node has restarted (RFC 6733 8.16).
 */
export async function tryPeer(
  node: TrialNode,
  peer: TrialPeer,
  transport: Pick<Transport, 'connect'>,
  host: Host,
): Promise<TrialResult> {
  const controller = new AbortController();
  const cancel = host.after(TRIAL_TIME, () => controller.abort());
  let made: TransportConnection;
  try {
    made = await transport.connect({ address: peer.address, port: peer.port }, peer.host, controller.signal);
  } catch (failure) {
    if (controller.signal.aborted) return { type: 'noConnection' };
    return { type: 'notConnected', failure: failure as Error };
  } finally {
    cancel();
  }
  return exchanged(node, peer, made, host);
}

function exchanged(node: TrialNode, peer: TrialPeer, made: TransportConnection, host: Host): Promise<TrialResult> {
  const grammarian = new Grammarian(new Dictionary(node.vendorId));
  return new Promise((resolve) => {
    let isOver = false;
    const end = (result: TrialResult, isPeer = false) => {
      if (isOver) return;
      isOver = true;
      cancel();
      if (isPeer) {
        connection.send(dpr(grammarian, node));
        connection.end();
      } else connection.reset();
      resolve(result);
    };
    const cancel = host.after(TRIAL_TIME, () => end({ type: 'silent' }));
    const connection = new DiameterConnection(
      made,
      {
        message: (message) => {
          const result = answerOf(grammarian, message, peer.host);
          end(result, result.type === 'accepted');
        },
        malformed: (code) => end({ type: 'notDiameter', detail: code }),
        untrusted: () => end({ type: 'notDiameter', detail: 'no Diameter header' }),
        closed: () => end({ type: 'closed' }),
      },
      host,
    );
    connection.send(cer(grammarian, node, made.localAddress));
  });
}

/** NO_INBAND_SECURITY, RFC 6733 6.10. */
const NO_INBAND_SECURITY = 0;

function cer(grammarian: Grammarian, node: TrialNode, address: Uint8Array): DiameterMessage {
  const content = {
    'Origin-Host': node.host,
    'Origin-Realm': node.realm,
    'Host-IP-Address': [address],
    'Vendor-Id': node.vendorId,
    'Product-Name': 'pana-mip6 doctor',
    'Auth-Application-Id': [APPLICATION.EAP],
    'Inband-Security-Id': [NO_INBAND_SECURITY],
  };
  return grammarian.message(CER, APPLICATION.COMMON, content);
}

/** The daemon itself connects again when it likes. */
function dpr(grammarian: Grammarian, node: TrialNode): DiameterMessage {
  return grammarian.message(DPR, APPLICATION.COMMON, {
    'Origin-Host': node.host,
    'Origin-Realm': node.realm,
    'Disconnect-Cause': DISCONNECT_CAUSE.REBOOTING,
  });
}

function answerOf(grammarian: Grammarian, message: DiameterMessage, host: string): TrialResult {
  if (message.commandCode !== CEA.code || (message.flags & FLAG.R) !== 0) {
    return { type: 'notDiameter', detail: `command ${message.commandCode} instead of CEA` };
  }
  const result = grammarian.find(message.avps, 'Result-Code');
  if (result !== undefined && result !== RESULT.SUCCESS) {
    const text = grammarian.find(message.avps, 'Error-Message');
    return { type: 'refused', result: resultName(result), message: text };
  }
  const cea = grammarian.read(CEA, message);
  if (isViolation(cea)) return { type: 'notDiameter', detail: cea.text };
  if (cea['Origin-Host'].toLowerCase() !== host.toLowerCase()) return { type: 'otherHost', host: cea['Origin-Host'] };
  const applications = cea['Auth-Application-Id'] ?? [];
  if (!applications.includes(APPLICATION.EAP) && !applications.includes(APPLICATION.RELAY)) {
    return { type: 'noCommonApplication' };
  }
  return { type: 'accepted', realm: cea['Origin-Realm'], time: grammarian.find(message.avps, 'Event-Timestamp') };
}
