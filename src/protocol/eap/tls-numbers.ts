/** ContentType of a TLS record, RFC 8446 5.1. */
export const CONTENT_TYPE = { CHANGE_CIPHER_SPEC: 20, ALERT: 21, HANDSHAKE: 22 } as const;

/** HandshakeType, RFC 5246 7.4, RFC 8446 4. */
export const HANDSHAKE_TYPE = { CLIENT_HELLO: 1, SERVER_HELLO: 2, CERTIFICATE: 11 } as const;
