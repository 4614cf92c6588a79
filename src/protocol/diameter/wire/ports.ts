/** TCP port of Diameter without TLS, RFC 6733 2.1. */
export const DIAMETER_PORT = 3868;

/** TCP port of Diameter over TLS as registered by IANA. RFC 6733 prints 5658, which is an error. */
export const DIAMETER_TLS_PORT = 5868;
