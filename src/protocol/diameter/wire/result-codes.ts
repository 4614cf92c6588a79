/** Result-Code values, RFC 6733 7.1, RFC 5778 7. */
export const RESULT = {
  MULTI_ROUND_AUTH: 1001,
  SUCCESS: 2001,
  LIMITED_SUCCESS: 2002,
  SUCCESS_RELOCATE_HA: 2009,
  COMMAND_UNSUPPORTED: 3001,
  UNABLE_TO_DELIVER: 3002,
  REALM_NOT_SERVED: 3003,
  TOO_BUSY: 3004,
  LOOP_DETECTED: 3005,
  REDIRECT_INDICATION: 3006,
  APPLICATION_UNSUPPORTED: 3007,
  INVALID_HDR_BITS: 3008,
  INVALID_AVP_BITS: 3009,
  UNKNOWN_PEER: 3010,
  AUTHENTICATION_REJECTED: 4001,
  OUT_OF_SPACE: 4002,
  ELECTION_LOST: 4003,
  AVP_UNSUPPORTED: 5001,
  UNKNOWN_SESSION_ID: 5002,
  AUTHORIZATION_REJECTED: 5003,
  INVALID_AVP_VALUE: 5004,
  MISSING_AVP: 5005,
  RESOURCES_EXCEEDED: 5006,
  CONTRADICTING_AVPS: 5007,
  AVP_NOT_ALLOWED: 5008,
  AVP_OCCURS_TOO_MANY_TIMES: 5009,
  NO_COMMON_APPLICATION: 5010,
  UNSUPPORTED_VERSION: 5011,
  UNABLE_TO_COMPLY: 5012,
  INVALID_BIT_IN_HEADER: 5013,
  INVALID_AVP_LENGTH: 5014,
  INVALID_MESSAGE_LENGTH: 5015,
  INVALID_AVP_BIT_COMBO: 5016,
  NO_COMMON_SECURITY: 5017,
  ERROR_MIP6_AUTH_MODE: 5041,
} as const;

/** The name of a Result-Code; its number if unknown. */
export function resultName(code: number): string {
  return Object.entries(RESULT).find(([, value]) => value === code)?.[0] ?? String(code);
}

/** RFC 6733 7.1.2: whether the request was successful. */
export function isSuccess(code: number): boolean {
  return code === RESULT.SUCCESS || code === RESULT.LIMITED_SUCCESS;
}

/** RFC 6733 7.1.3: whether another peer, or the same one later, may succeed. */
export function isTemporary(code: number): boolean {
  return code === RESULT.UNABLE_TO_DELIVER || code === RESULT.TOO_BUSY;
}

/** RFC 6733 7.1.3: protocol errors, which have the E bit. */
export function isProtocolError(code: number): boolean {
  return code >= 3000 && code < 4000;
}
