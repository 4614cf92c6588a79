/**
 * `pana-mip6/radius`: RADIUS (RFC 2865, RFC 2866, RFC 3579, RFC 5176, RFC 5997) for other programs. Converts packets
 * between octets and values, computes and checks their authenticators, hides passwords and keys (RFC 2548), reads and
 * writes the attributes of a dictionary, and frames streams (RFC 6613). The caller sends, repeats and matches packets.
 */
export { DecodeError } from '../protocol/bytes/decode-error.js';
export { Secret } from '../protocol/bytes/secret.js';
export {
  AttributeReader,
  attribute,
  type Hiding,
  type Ipv6Prefix,
  mppeKeys,
  readVendor,
  type ValueOf,
  vendorAttribute,
} from '../protocol/radius/wire/attributes.js';
export {
  type Authenticity,
  checkRequest,
  checkResponse,
  encodeDigestedRequest,
  encodeRandomRequest,
  encodeResponse,
} from '../protocol/radius/wire/authenticators.js';
export { type Attribute, CODE, decodeRadius, encodeRadius, type RadiusPacket } from '../protocol/radius/wire/codec.js';
export {
  ACCT_STATUS_TYPE,
  ACCT_TERMINATE_CAUSE,
  ATTRIBUTES,
  type AttributeName,
  type AttributeSpec,
  ERROR_CAUSE,
  SERVICE_TYPE,
  TERMINATION_ACTION,
} from '../protocol/radius/wire/dictionary.js';
export { RadiusFramer } from '../protocol/radius/wire/framer.js';
export { hidePassword, hideSalted, revealPassword, revealSalted } from '../protocol/radius/wire/hidden.js';
