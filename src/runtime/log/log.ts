import { type DestinationStream, type Logger as PinoLogger, pino, stdTimeFunctions } from 'pino';
import { isJournal, STDOUT } from '../system/journal.js';
import { visible, visibleColours, visibleLines } from '../system/terminal.js';
import type { Logger } from './events.js';
import { boundArguments, boundFields } from './log-bounds.js';
import { LogOutput } from './log-output.js';

export interface LogOptions {
  readonly level: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'silent';
  /**
   * Pretty for people, JSON for programs; `journal` and `plain` for whoever adds the time himself, with sd-daemon(3)'s
   * priority or the level's name before it; `auto`: pretty on a terminal, `journal` where that is the journal.
   */
  readonly format: 'auto' | 'json' | 'pretty' | 'journal' | 'plain';
}

/** Fields that hold keys, should one ever be logged by mistake. */
const SECRETS = ['msk', 'emsk', 'psk', 'key', 'secret', '*.msk', '*.emsk', '*.psk', '*.key', '*.secret'];

/** Priorities of sd-daemon(3) and names by pino's levels. */
const LEVELS: Readonly<Record<number, { readonly priority: number; readonly name: string }>> = {
  10: { priority: 7, name: 'trace' },
  20: { priority: 7, name: 'debug' },
  30: { priority: 6, name: 'info' },
  40: { priority: 4, name: 'warn' },
  50: { priority: 3, name: 'error' },
};

/**
 * The log on standard output: one line an event, the message a constant, what varies in fields. Times are UTC with
 * milliseconds; `at` is milliseconds since 1970 with fractions, by which lines of several daemons are put in order. No line
 * is longer than MAX_LINE.
 */
export async function openLog(name: string, { level, format }: LogOptions): Promise<Logger> {
  const options = {
    name,
    level,
    redact: { paths: SECRETS, censor: '[key]' },
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

/** A line of JSON as one that a person reads behind time and name: `<6>session authorized session=0a1b2c3d`. */
export function plainLine(json: string, format: 'journal' | 'plain'): string {
  const { level, time, at, name, msg, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const known = LEVELS[Number(level)] ?? { priority: 2, name: 'fatal' };
  const prefix = format === 'journal' ? `<${known.priority}>` : `${known.name}: `;
  const words = Object.entries(fields).map(([key, value]) => `${key}=${plainValue(value)}`);
  return `${prefix}${[visible(String(msg ?? '')), ...words].join(' ')}`;
}

/** As it is where nothing in it could be taken for something else; else as JSON, which has no line breaks. */
function plainValue(value: unknown): string {
  if (typeof value === 'string' && /^[!#-<>-~]+$/.test(value)) return value;
  return JSON.stringify(value);
}
