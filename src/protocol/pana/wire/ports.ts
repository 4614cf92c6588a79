/** UDP port of PANA, RFC 5191 10.1. */
export const PANA_PORT = 716;
