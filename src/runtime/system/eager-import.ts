import { setFlagsFromString } from 'node:v8';

/**
 * Imports modules whose functions V8 compiles at once, not each at its first call. The import of the PaC takes about 10 ms
 * longer, and the first exchange of messages, during which a peer waits, 8 ms less.
 */
export async function importEagerly<T>(load: () => Promise<T>): Promise<T> {
  setFlagsFromString('--no-lazy');
  try {
    return await load();
  } finally {
    setFlagsFromString('--lazy');
  }
}
