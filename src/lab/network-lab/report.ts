import { table } from '../../runtime/cli/cli.js';
import { type Count, PING_INTERVAL, type Traffic } from './pings.js';

/** The paper's phases, in order. Findings without a phase are additional checks. */
export type Phase = 'PANA' | 'PANA → IKE' | 'IKE' | 'IKE → BU' | 'BU/BA';

/** Description of each phase, and its duration in the paper (one node, computers of about 1 GHz), in milliseconds. */
export const PHASES: Readonly<Record<Phase, { readonly what: string; readonly paper: number }>> = {
  PANA: { what: 'authenticated: PCI to PAN[C]', paper: 40 },
  'PANA → IKE': { what: 'PAN[C] to the first message of IKE', paper: 3800 },
  IKE: { what: 'IKE_SA up', paper: 2200 },
  'IKE → BU': { what: 'IKE_SA to the first binding update', paper: 1300 },
  'BU/BA': { what: 'bound: binding update to acknowledgement', paper: 800 },
};

/** The sum of all phases in milliseconds, as rounded in the paper. */
const PAPER_SUM = 8400;

/** The result of one check. */
export interface Finding {
  readonly phase?: Phase;
  readonly what: string;
  /** `skipped`: the check was not possible here; `detail` states why. */
  readonly result: 'yes' | 'no' | 'skipped';
  readonly detail?: string;
  readonly milliseconds?: number;
  /** Pings of each observed node during the step. */
  readonly traffic?: readonly Traffic[];
}

const MARKS = { yes: 'yes', no: 'NO', skipped: '-' } as const;

/** Formats the findings, one line each, and the sum of the completed phases. */
export function report(findings: readonly Finding[]): string {
  const rows = findings.map(({ phase, what, result, detail = '', milliseconds }) => {
    const times =
      milliseconds === undefined ? ['', ''] : [milliseconds, phase ? PHASES[phase].paper : undefined].map(time);
    return [phase ?? '', what, MARKS[result], ...times, detail];
  });
  const timed = findings.flatMap(({ phase, milliseconds }) =>
    phase && milliseconds !== undefined ? [{ ours: milliseconds, paper: PHASES[phase].paper }] : [],
  );
  const isWhole = timed.length === Object.keys(PHASES).length;
  const ours = timed.reduce((sum, each) => sum + each.ours, 0);
  const paper = isWhole ? PAPER_SUM : timed.reduce((sum, each) => sum + each.paper, 0);
  rows.push(['', isWhole ? 'all five phases' : `${timed.length} of the five phases`, '', time(ours), time(paper), '']);
  const phases = table(['PHASE', 'WHAT', 'WORKS', 'TIME', 'PAPER', ''], rows);
  const pings = findings.flatMap(({ what, traffic = [] }) => traffic.map((each) => pingRow(what, each)));
  if (pings.length === 0) return phases;
  const title = `Pings between home address and CN, one every ${PING_INTERVAL} ms in each direction:`;
  const heads = ['DURING', 'NODE', 'LOST FROM NODE', 'PAUSE', 'LOST TO NODE', 'PAUSE'];
  return `${phases}\n\n${title}\n\n${table(heads, pings)}`;
}

function pingRow(what: string, { node, fromNode, toNode }: Traffic): string[] {
  return [what, `MN${node}`, ...lostOf(fromNode), ...lostOf(toNode)];
}

function lostOf({ sent, lost, pause }: Count): [string, string] {
  return [`${lost} of ${sent}`, lost === 0 ? '' : time(pause)];
}

function time(milliseconds: number | undefined): string {
  if (milliseconds === undefined) return '';
  return `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`.padStart(7);
}
