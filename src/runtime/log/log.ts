import { type DestinationStream, type Logger as PinoLogger, pino, stdTimeFunctions } from 'pino';
import { isJournal, STDOUT } from '../system/journal.js';
import { visible, visibleColours, visibleLines } from '../system/terminal.js';
import type { Logger } from './events.js';
import { boundArguments, boundFields } from './log-bounds.js';
import { LogOutput } from './log-output.js';

export interface LogOptions {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';
  /**
   * `pretty` is for people, `json` for programs. `journal` and `plain` leave out the time, which the reader of the log
   * adds, and begin with the sd-daemon(3) priority or the level's name. `auto` is `pretty` on a terminal, `journal` if
   * systemd's journal reads the output, else `json`.
   */
  readonly format: 'auto' | 'json' | 'pretty' | 'journal' | 'plain';
}

/** Fields that are redacted in case a key is logged by mistake. */
const SECRETS = ['msk', 'emsk', 'psk', 'key', 'secret', '*.msk', '*.emsk', '*.psk', '*.key', '*.secret'];

/** sd-daemon(3) priority and name of each pino level. */
const LEVELS: Readonly<Record<number, { readonly priority: number; readonly name: string }>> = {
  10: { priority: 7, name: 'trace' },
  20: { priority: 7, name: 'debug' },
  30: { priority: 6, name: 'info' },
  40: { priority: 4, name: 'warn' },
  50: { priority: 3, name: 'error' },
};

/**
 * Opens the log on standard output: one line per event, a constant message, and fields. Times are UTC with
 * milliseconds; `at` is milliseconds since 1970 with fractions, for merging the logs of several daemons. No line is
 * longer than MAX_LINE.
 */
export async function openLog(name: string, { level, format }: LogOptions): Promise<Logger> {
  const options = {
    name,
    level,
    redact: { paths: SECRETS, censor: '[key]' },
    // The system's clock and not that of Host: the line states when pino writes it, and programs other than daemons
    // also write lines.
    timestamp: () => `${stdTimeFunctions.isoTime()},"at":${(performance.timeOrigin + performance.now()).toFixed(3)}`,
    base: { name },
    formatters: { log: boundFields },
    hooks: {
      logMethod(this: PinoLogger, given: unknown[], method: (...all: unknown[]) => void) {
        method.apply(this, boundArguments(given));
      },
    },
  };
  const makeLogger = (destination: DestinationStream): Logger => pino(options, destination);
  const chosen = format === 'auto' ? formatFor(process.stdout.isTTY, isJournal(STDOUT, process.env)) : format;
  const lost = (count: number) =>
    `{"level":40${options.timestamp()},${JSON.stringify({ name, count, msg: 'log lines lost' }).slice(1)}\n`;
  if (chosen === 'json') {
    const out = new LogOutput(STDOUT, lost);
    return makeLogger({ write: (line: string) => out.write(visibleLines(line)) });
  }
  if (chosen !== 'pretty') {
    const out = new LogOutput(STDOUT, (count) => `${plainLine(lost(count), chosen)}\n`);
    return makeLogger({ write: (line: string) => out.write(`${visibleLines(plainLine(line, chosen))}\n`) });
  }
  const { default: prettyStream } = await import('pino-pretty');
  const out = new LogOutput(STDOUT, (count) => `WARN: log lines lost {"count":${count}}\n`);
  const destination = out.stream(visibleColours);
  return makeLogger(
    prettyStream({ destination, sync: true, singleLine: true, ignore: 'at,name', translateTime: 'SYS:HH:MM:ss.l' }),
  );
}

function formatFor(isTerminal: boolean, isJournalStream: boolean): Exclude<LogOptions['format'], 'auto'> {
  if (isTerminal) return 'pretty';
  return isJournalStream ? 'journal' : 'json';
}

/** Converts a line of JSON to plain text, without time and name: `<6>session authorized session=0a1b2c3d`. */
export function plainLine(json: string, format: 'journal' | 'plain'): string {
  const { level, time, at, name, msg, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const known = LEVELS[Number(level)] ?? { priority: 2, name: 'fatal' };
  const prefix = format === 'journal' ? `<${known.priority}>` : `${known.name}: `;
  const words = Object.entries(fields).map(([key, value]) => `${key}=${plainValue(value)}`);
  return `${prefix}${[visible(String(msg ?? '')), ...words].join(' ')}`;
}

/** Writes a value as it is if it is unambiguous, otherwise as JSON, which has no line breaks. */
function plainValue(value: unknown): string {
  if (typeof value === 'string' && /^[!#-<>-~]+$/.test(value)) return value;
  return JSON.stringify(value);
}
