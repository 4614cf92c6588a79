import { type DiameterMessage, FLAG } from '../diameter/wire/codec.js';
import { DEA, ERROR_ANSWER } from '../diameter/wire/commands.js';
import { MOBILITY_AVPS } from '../diameter/wire/dictionary.js';
import { type Grammarian, isViolation, type Message } from '../diameter/wire/grammar.js';
import { isSuccess, RESULT, resultName } from '../diameter/wire/result-codes.js';
import type { DeaValues } from './access.js';
import { type SessionServer, serverOf } from './session-server.js';

/** Data of a DER that its answer must match. */
export interface DerContent {
  readonly sessionId: string;
  /** Auth-Request-Type. */
  readonly type: number;
  /** Destination-Host; undefined: any server of the realm. */
  readonly server: string | undefined;
}

export type Judged =
  /** `unfit`: why the mobility AVPs were ignored; undefined: they are well-formed. */
  | { readonly type: 'answer'; readonly answer: DeaValues; readonly unfit: string | undefined }
  /** A protocol error, or an invalid answer that grants nothing. */
  | { readonly type: 'refusal'; readonly reason: string }
  /** A success that cannot be used. If the server keeps state, an STR ends its session (RFC 6733 8.1). */
  | { readonly type: 'unusable'; readonly reason: string; readonly server: SessionServer | undefined };

/** Decodes and checks the answer to a DER. The caller owns the key in it. */
export function judgeAnswer(grammarian: Grammarian, message: DiameterMessage, asked: DerContent): Judged {
  const reason = message.flags & FLAG.E ? protocolError(grammarian, message) : undefined;
  if (reason !== undefined) return { type: 'refusal', reason };
  const read = grammarian.readSparing(DEA, message, MOBILITY_AVPS);
  if (isViolation(read)) return useless(grammarian, message, `${read.text} (${resultName(read.resultCode)})`);
  const { content, spared } = read;
  const contradiction = contradictionIn(content, asked);
  if (contradiction === undefined) return { type: 'answer', answer: content, unfit: spared?.text };
  content['EAP-Master-Session-Key']?.wipe();
  return useless(grammarian, message, contradiction);
}

function protocolError(grammarian: Grammarian, message: DiameterMessage): string {
  const content = grammarian.read(ERROR_ANSWER, message);
  return isViolation(content) ? content.text : resultName(content['Result-Code']);
}

/**
 * RFC 6733 6.2, 8.7: how the answer contradicts its request; undefined: it does not. All messages of a conversation
 * must come from the same server.
 */
function contradictionIn(content: Message<typeof DEA>, { sessionId, type, server }: DerContent): string | undefined {
  if (content['Session-Id'] !== sessionId) return 'wrong Session-Id in the answer';
  const from = content['Origin-Host'];
  if (server !== undefined && from.toLowerCase() !== server.toLowerCase())
    return `the answer is from ${from}, not from ${server}`;
  if (isSuccess(content['Result-Code']) && content['Auth-Request-Type'] !== type) {
    return `Auth-Request-Type ${content['Auth-Request-Type']} in the answer to ${type}`;
  }
  return undefined;
}

/** Handles an invalid answer. The AVPs that are still readable show whether the server has a session now. */
function useless(grammarian: Grammarian, { avps }: DiameterMessage, reason: string): Judged {
  const host = grammarian.find(avps, 'Origin-Host');
  const code = grammarian.find(avps, 'Result-Code') ?? RESULT.UNABLE_TO_COMPLY;
  if (host === undefined || !isSuccess(code)) return { type: 'refusal', reason };
  const server = serverOf({
    'Origin-Host': host,
    'Session-Binding': grammarian.find(avps, 'Session-Binding'),
    'Session-Server-Failover': grammarian.find(avps, 'Session-Server-Failover'),
    'Auth-Session-State': grammarian.find(avps, 'Auth-Session-State'),
  });
  return { type: 'unusable', reason, server };
}
