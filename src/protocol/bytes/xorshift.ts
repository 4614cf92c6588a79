/**
 * A cheap generator of uniform numbers in [0, 1) from a seed (xorshift32). Its output is predictable: use it only for
 * retransmission jitter and load sharing, which draw a number for each message.
 */
export function xorshift(seed: number): () => number {
  let state = seed || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 0x1_0000_0000;
  };
}
