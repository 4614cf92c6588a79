import type { DecodeError } from '../../bytes/decode-error.js';
import { type Avp, type DiameterHeader, type DiameterMessage, FLAG, HEADER_LENGTH, type Salvage } from './codec.js';
import { AVPS, type AvpName } from './dictionary.js';
import type { Grammarian, Violation } from './grammar.js';
import { isProtocolError, RESULT } from './result-codes.js';

export interface Origin {
  readonly host: string;
  readonly realm: string;
}

/**
 * An answer to a request with the request's identifiers and P bit, Session-Id first, and Proxy-Info unchanged (RFC 6733
 * 6.2).
 */
export function answerTo(request: DiameterMessage, avps: readonly Avp[]): DiameterMessage {
  const { commandCode, applicationId, hopByHop, endToEnd } = request;
  const proxyInfo = request.avps.filter((avp) => is(avp, 'Proxy-Info'));
  return {
    flags: request.flags & FLAG.P,
    commandCode,
    applicationId,
    hopByHop,
    endToEnd,
    avps: [...avps, ...proxyInfo],
  };
}

/** An answer that reports an error (RFC 6733 7). Only protocol errors have the E bit. */
export function errorAnswer(
  grammarian: Grammarian,
  origin: Origin,
  request: DiameterHeader & { readonly avps?: readonly Avp[] },
  violation: Violation,
): DiameterMessage {
  const sessionId = request.avps?.find((avp) => is(avp, 'Session-Id'));
  const avps = sessionId ? [sessionId] : [];
  avps.push(
    grammarian.avp('Result-Code', violation.resultCode),
    grammarian.avp('Origin-Host', origin.host),
    grammarian.avp('Origin-Realm', origin.realm),
    grammarian.avp('Error-Message', violation.text),
  );
  if (violation.failedAvp) avps.push(grammarian.avp('Failed-AVP', [violation.failedAvp]));
  const answer = answerTo({ ...request, avps: request.avps ?? [] }, avps);
  return isProtocolError(violation.resultCode) ? { ...answer, flags: answer.flags | FLAG.E } : answer;
}

/** The violation to answer with if octets cannot be decoded (RFC 6733 7.1.5). */
export function violationOf(grammarian: Grammarian, { fault, faultyAvp }: Salvage): Violation {
  const failedAvp = faultyAvp && grammarian.example(faultyAvp.code, faultyAvp.vendorId);
  return { resultCode: resultOf(fault), failedAvp, text: fault.message };
}

function resultOf(fault: DecodeError): number {
  if (fault.code === 'bad-version') return RESULT.UNSUPPORTED_VERSION;
  if (fault.code === 'too-many') return RESULT.UNABLE_TO_COMPLY;
  return fault.at < HEADER_LENGTH ? RESULT.INVALID_MESSAGE_LENGTH : RESULT.INVALID_AVP_LENGTH;
}

function is(avp: Avp, name: AvpName): boolean {
  return avp.code === AVPS[name].code && avp.vendorId === undefined;
}
