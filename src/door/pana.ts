/**
 * `pana-mip6/pana`: PANA (RFC 5191), for other programs. Converts messages between octets and values, and runs the two
 * state machines of RFC 5609 without sockets or clocks: pass inputs and the time in milliseconds to `handle`, perform
 * its outputs, and pass a tick at `deadline`. The caller provides the EAP method.
 */
export { DecodeError } from '../protocol/bytes/decode-error.js';
export { Secret } from '../protocol/bytes/secret.js';
export { CAPABILITY, type MobilityAssignment } from '../protocol/mip6/assignment.js';
export { Paa } from '../protocol/pana/agent/paa.js';
export type {
  PaaConfig,
  PaaInput,
  PaaLimits,
  PaaOutput,
  PaaSessionView,
} from '../protocol/pana/agent/paa-interface.js';
export type { Grant, PaaClosed, PaaSessionInput, PaaSessionOutput } from '../protocol/pana/session/paa-interface.js';
export { PacSession } from '../protocol/pana/session/pac.js';
export type { PacClosed, PacConfig, PacInput, PacMobility, PacOutput } from '../protocol/pana/session/pac-interface.js';
export {
  PCI_DEFAULTS,
  REQUEST_DEFAULTS,
  type RetransmissionParameters,
} from '../protocol/pana/session/retransmission.js';
export type { PacEndpoint } from '../protocol/pana/session/start.js';
export { INTEGRITY, PRF } from '../protocol/pana/wire/algorithms.js';
export {
  decodePana,
  encodePana,
  FLAG,
  MESSAGE_TYPE,
  type PanaAvp,
  type PanaMessage,
} from '../protocol/pana/wire/codec.js';
export {
  AVPS,
  type AvpName,
  type AvpValue,
  makeAvp,
  messageName,
  PANA_TERMINATION_CAUSE as TERMINATION_CAUSE,
  type PanaValues,
  type PanaViolation,
  RESULT_CODE,
  readPana,
} from '../protocol/pana/wire/dictionary.js';
