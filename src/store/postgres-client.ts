import pg from 'pg';
import { type PasswordPlace, passwordFromFile } from './password-file.js';

const INT8 = 20;

/** Parses bigint as a number: times in milliseconds and counts are all below 2^53. */
export const types = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    oid === INT8 ? Number : pg.types.getTypeParser(oid, format as 'text'),
};

/**
 * A client that looks up passwords as libpq does, including the password file. The driver's own look-up prints a
 * deprecation warning.
 */
export class Client extends pg.Client {
  constructor(config?: pg.ClientConfig) {
    super(config);
    const own = this as unknown as { password?: unknown; connection: { stream: { destroy(): void } } };
    if (own.password !== null) return;
    own.password = (place: PasswordPlace) =>
      passwordFromFile(place).catch((error: unknown) => {
        // Close the connection: otherwise the server waits for a password, and the driver for the server.
        setImmediate(() => own.connection.stream.destroy());
        throw error;
      });
  }
}
