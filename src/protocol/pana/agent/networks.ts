const ZERO = 0x30;
const NINE = 0x39;
const DOT = 0x2e;
const COLON = 0x3a;
const PERCENT = 0x25;

/**
 * Parses an IP address into `words`, five 32-bit numbers. Four hold the IPv6 address; an IPv4 address is in the last
 * one, preceded by the family. The fifth holds a hash of the scope. The text comes from the platform and is not
 * validated. The function allocates no memory and takes less than a microsecond, because it runs for every datagram
 * from an unknown address.
 */
export function readAddressWords(text: string, words: Uint32Array): void {
  words.fill(0);
  let group = 0;
  let value = 0;
  let decimal = 0;
  let dots = 0;
  let quad = 0;
  let gap = -1;
  let hasDigit = false;
  let at = 0;
  for (; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === PERCENT) break;
    if (code === COLON) {
      if (hasDigit) {
        if (group < 8) setGroup(words, group, value);
        group += 1;
      } else if (at > 0) gap = group;
      value = 0;
      decimal = 0;
      hasDigit = false;
    } else if (code === DOT) {
      quad = (quad << 8) | decimal;
      dots += 1;
      value = 0;
      decimal = 0;
      hasDigit = false;
    } else {
      const digit = code <= NINE ? code - ZERO : (code & 0x1f) + 9;
      value = ((value << 4) | digit) & 0xffff;
      decimal = (decimal * 10 + digit) & 0xff;
      hasDigit = true;
    }
  }
  if (dots === 3 && group === 0 && gap < 0) {
    words[2] = 0xffff;
    words[3] = (quad << 8) | decimal;
    return;
  }
  if (dots === 3) {
    const last = (quad << 8) | decimal;
    if (group < 8) setGroup(words, group, last >>> 16);
    if (group < 7) setGroup(words, group + 1, last & 0xffff);
    group += 2;
  } else if (hasDigit) {
    if (group < 8) setGroup(words, group, value);
    group += 1;
  }
  if (gap >= 0 && group < 8) spread(words, gap, group);
  let scope = 0;
  for (; at < text.length; at += 1) scope = (Math.imul(scope, 31) + text.charCodeAt(at)) | 0;
  words[4] = scope;
}

function setGroup(words: Uint32Array, group: number, value: number): void {
  const word = group >> 1;
  words[word] = group & 1 ? ((words[word] ?? 0) & 0xffff_0000) | value : ((words[word] ?? 0) & 0xffff) | (value << 16);
}

function groupOf(words: Uint32Array, group: number): number {
  const word = words[group >> 1] ?? 0;
  return group & 1 ? word & 0xffff : word >>> 16;
}

/** Moves the groups after `::` to the end and fills the gap with zeros. */
function spread(words: Uint32Array, gap: number, count: number): void {
  const move = 8 - count;
  for (let group = count - 1; group >= gap; group -= 1) setGroup(words, group + move, groupOf(words, group));
  for (let group = gap; group < gap + move; group += 1) setGroup(words, group, 0);
}

/** Clears all bits that do not identify the network. */
export function cutToNetwork(words: Uint32Array): void {
  const isV4 = words[0] === 0 && words[1] === 0 && words[2] === 0xffff;
  if (isV4) words[3] = (words[3] ?? 0) & ~0xff;
  else {
    words[2] = 0;
    words[3] = 0;
  }
}

const SCRATCH = new Uint32Array(5);

/** The network of an address as a table key: its /64, or /24 for IPv4, as in addressPath, but without an allocation. */
export function networkOf(address: string): string {
  readAddressWords(address, SCRATCH);
  cutToNetwork(SCRATCH);
  return SCRATCH.join('.');
}
