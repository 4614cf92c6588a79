/** Authentication, RFC 2865 3. */
export const RADIUS_PORT = 1812;
/** Accounting, RFC 2866 3. */
export const RADIUS_ACCOUNTING_PORT = 1813;
/** Dynamic authorization, RFC 5176 2.3. */
export const RADIUS_DYNAMIC_PORT = 3799;
