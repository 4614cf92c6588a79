/** Bits of MIP6-Feature-Vector, RFC 5447 4.2.5: the same in Diameter and RADIUS. */
export const FEATURE = { MIP6_INTEGRATED: 1n, LOCAL_HOME_AGENT_ASSIGNMENT: 2n } as const;
