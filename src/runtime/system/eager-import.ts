import { setFlagsFromString } from 'node:v8';

/**
 * Imports modules whose functions V8 compiles at once, not each at its first call. The import takes about as long, and the
 * first exchange of messages, during which a peer waits, then compiles nothing.
 */
export async function importEagerly<T>(load: () => Promise<T>): Promise<T> {
  setFlagsFromString('--no-lazy');
  try {
    return await load();
  } finally {
    setFlagsFromString('--lazy');
  }
}
