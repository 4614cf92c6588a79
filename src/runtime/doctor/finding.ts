import { counted } from '../system/counted.js';
import { explainFailure, OperatorError } from '../system/failure.js';
import { visible } from '../system/terminal.js';

/** `error`: the daemon does not start, or does not do its work. `warning`: it works now, or perhaps. */
export type Severity = 'error' | 'warning';

/** One thing that is wrong. The texts are single lines that a terminal can show. */
export interface Finding {
  readonly severity: Severity;
  /** The configuration key, file, or host that is concerned. */
  readonly where: string;
  /** What is wrong. */
  readonly what: string;
  /** What to do. */
  readonly remedy: string;
}

/** Maximum length of a text that somebody else has chosen, such as the Error-Message of a peer, in characters. */
const MAX_FOREIGN = 200;

/** Makes a text that somebody else has chosen safe and short. */
export function foreign(text: string): string {
  const cut = text.length > MAX_FOREIGN ? `${text.slice(0, MAX_FOREIGN)}…` : text;
  return visible(cut);
}

export function error(where: string, what: string, remedy: string): Finding {
  return finding('error', where, what, remedy);
}

export function warning(where: string, what: string, remedy: string): Finding {
  return finding('warning', where, what, remedy);
}

function finding(severity: Severity, where: string, what: string, remedy: string): Finding {
  return { severity, where: visible(where), what: visible(what), remedy: visible(remedy) };
}

/** A key or place at the beginning of a message: `tls.key: …`, `/etc/pana-mip6/pana-pac.yaml:3: …`. */
const PLACE = /^(\S+): (.*)$/s;

/** Converts an error to findings: one for each line of an OperatorError. Throws what is no error for the operator. */
export function findingsOf(failure: unknown, where: string, remedy: string): Finding[] {
  const text = failure instanceof OperatorError ? failure.problem : explainFailure(failure);
  if (text === undefined) throw failure;
  const own = failure instanceof OperatorError ? (failure.remedy ?? remedy) : remedy;
  return text.split('\n').map((line) => {
    const { place = where, what } = placed(line);
    return error(place, what, own);
  });
}

/** Divides a message into its place, if it begins with one, and the rest. */
export function placed(line: string): { readonly place: string | undefined; readonly what: string } {
  const [, place, what = line] = PLACE.exec(line) ?? [];
  return { place, what };
}

/** Exit status: 0 without findings, 1 with warnings only, 2 with an error. */
export function statusOf(findings: readonly Finding[]): 0 | 1 | 2 {
  if (findings.some(({ severity }) => severity === 'error')) return 2;
  return findings.length > 0 ? 1 : 0;
}

/** A finding as one line. */
export function lineOf({ severity, where, what, remedy }: Finding): string {
  return `${severity}: ${where}: ${what}: ${remedy}`;
}

/** `1 error, 2 warnings` */
export function summaryOf(findings: readonly Finding[]): string {
  const errors = findings.filter(({ severity }) => severity === 'error').length;
  const warnings = findings.length - errors;
  const counts = [
    ...(errors > 0 ? [counted(errors, 'error')] : []),
    ...(warnings > 0 ? [counted(warnings, 'warning')] : []),
  ];
  return counts.length > 0 ? counts.join(', ') : 'no problem found';
}
