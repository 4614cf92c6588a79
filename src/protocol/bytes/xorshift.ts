/**
 * Uniform numbers in [0, 1) from a seed (xorshift32): cheap, and no secret. For jitter and for shares of a load, which are drawn
 * at each message.
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
