/** Authentication, RFC 2865 3. */
export const RADIUS_PORT = 1812;
/** Accounting, RFC 2866 3. */
export const RADIUS_ACCOUNTING_PORT = 1813;
/** RadSec: TCP, for all packets, RFC 6614 2.1. */
export const RADSEC_PORT = 2083;
/** Dynamic authorization, RFC 5176 2.3. */
export const RADIUS_DYNAMIC_PORT = 3799;
