import { encodeUtf8 } from '../../bytes/octets.js';
import { Secret } from '../../bytes/secret.js';

/** The shared secret of RadSec, RFC 6614 2.3: TLS protects the packets. Never accepted over UDP. */
export const RADSEC_SECRET = Secret.copyOf(encodeUtf8('radsec'));
