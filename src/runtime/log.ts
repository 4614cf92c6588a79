import { type Logger, pino, stdTimeFunctions } from 'pino';

export type { Logger } from 'pino';

export interface LogOptions {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';
  /** Pretty for people, JSON for programs; `auto`: pretty on a terminal. */
  readonly format: 'auto' | 'json' | 'pretty';
}

/** Fields that hold keys, should one ever be logged by mistake. */
const SECRETS = ['msk', 'emsk', 'psk', 'key', 'secret', '*.msk', '*.emsk', '*.psk', '*.key', '*.secret'];

/**
 * The log on standard output: one line an event, the message a constant, what varies in fields. Times are UTC with
 * milliseconds; `at` is milliseconds since 1970 with fractions, by which lines of several daemons are put in order.
 */
export async function openLog(name: string, { level, format }: LogOptions): Promise<Logger> {
  const options = {
    name,
    level,
    redact: { paths: SECRETS, censor: '[key]' },
    timestamp: () => `${stdTimeFunctions.isoTime()},"at":${(performance.timeOrigin + performance.now()).toFixed(3)}`,
    base: { name },
  };
  const pretty = format === 'pretty' || (format === 'auto' && process.stdout.isTTY);
  if (!pretty) return pino(options);
  const { default: prettyStream } = await import('pino-pretty');
  return pino(
    options,
    prettyStream({ sync: true, singleLine: true, ignore: 'at,name', translateTime: 'SYS:HH:MM:ss.l' }),
  );
}
