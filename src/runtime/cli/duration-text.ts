const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** Formats milliseconds as the web page does, rounded down: `12.3 ms`, `4.5 s`, `45 s`, `59 min`, `8 h`, `3 d`. */
export function durationText(milliseconds: number): string {
  const value = Math.max(0, milliseconds);
  if (value < 100) return `${Number(value.toFixed(1))} ms`;
  if (value < SECOND) return `${Math.floor(value)} ms`;
  if (value < 10 * SECOND) return `${Math.floor(value / 100) / 10} s`;
  if (value < 2 * MINUTE) return `${Math.floor(value / SECOND)} s`;
  if (value < 2 * HOUR) return `${Math.floor(value / MINUTE)} min`;
  if (value < 2 * DAY) return `${Math.floor(value / HOUR)} h`;
  return `${Math.floor(value / DAY)} d`;
}

/** Formats a configured number of seconds without rounding: `90 s`, `59 min`, `8 h`, `3601 s`. */
export function exactDuration(seconds: number): string {
  const value = seconds * SECOND;
  for (const [unit, name] of [
    [DAY, 'd'],
    [HOUR, 'h'],
    [MINUTE, 'min'],
  ] as const) {
    if (value >= 2 * unit && value % unit === 0) return `${value / unit} ${name}`;
  }
  return `${seconds} s`;
}
