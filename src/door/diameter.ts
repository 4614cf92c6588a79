/**
 * `pana-mip6/diameter`: Diameter (RFC 6733) with EAP (RFC 4072) and Mobile IPv6 bootstrapping (RFC 5447), for other
 * programs. Converts messages between octets and values, validates them by the grammar of their command with types
 * computed from it, and frames streams. The caller manages connections.
 */
export { DecodeError } from '../protocol/bytes/decode-error.js';
export { answerTo, errorAnswer, type Origin } from '../protocol/diameter/wire/answers.js';
export {
  AVP_FLAG,
  type Avp,
  type DiameterHeader,
  type DiameterMessage,
  decodeDiameter,
  encodeDiameter,
  FLAG,
} from '../protocol/diameter/wire/codec.js';
export {
  APPLICATION,
  ASA,
  ASR,
  CEA,
  CER,
  COMMANDS,
  type CommandSpec,
  commandOf,
  DEA,
  DER,
  DPA,
  DPR,
  DWA,
  DWR,
  RAA,
  RAR,
  STA,
  STR,
} from '../protocol/diameter/wire/commands.js';
export { AVPS, type AvpName, Dictionary } from '../protocol/diameter/wire/dictionary.js';
export { DiameterFramer } from '../protocol/diameter/wire/framer.js';
export {
  type Content,
  Grammarian,
  isViolation,
  type Message,
  type ValueOf,
  type Violation,
} from '../protocol/diameter/wire/grammar.js';
export { isSuccess, RESULT, resultName } from '../protocol/diameter/wire/result-codes.js';
