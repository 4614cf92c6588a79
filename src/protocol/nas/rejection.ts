import { RESULT } from '../diameter/wire/result-codes.js';

/**
 * Permanent failures (RFC 6733 7.1.5) that are not a decision about the node: the server has lost its state, or the NAS
 * made an error.
 */
const NO_VERDICT: readonly number[] = [
  RESULT.AVP_UNSUPPORTED,
  RESULT.UNKNOWN_SESSION_ID,
  RESULT.INVALID_AVP_VALUE,
  RESULT.MISSING_AVP,
  RESULT.CONTRADICTING_AVPS,
  RESULT.AVP_NOT_ALLOWED,
  RESULT.AVP_OCCURS_TOO_MANY_TIMES,
  RESULT.NO_COMMON_APPLICATION,
  RESULT.UNSUPPORTED_VERSION,
  RESULT.UNABLE_TO_COMPLY,
  RESULT.INVALID_BIT_IN_HEADER,
  RESULT.INVALID_AVP_LENGTH,
  RESULT.INVALID_MESSAGE_LENGTH,
  RESULT.INVALID_AVP_BIT_COMBO,
  RESULT.NO_COMMON_SECURITY,
];

/**
 * Whether a failure Result-Code is a decision about the node. Protocol errors (too busy, unable to deliver) and
 * transient failures are not, except AUTHENTICATION_REJECTED.
 */
export function isRejection(resultCode: number): boolean {
  if (resultCode === RESULT.AUTHENTICATION_REJECTED) return true;
  return resultCode >= 5000 && !NO_VERDICT.includes(resultCode);
}
