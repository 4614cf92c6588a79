import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Argv } from 'yargs';
import { OperatorError } from '../../runtime/system/failure.js';

/** The largest number of mobile nodes in a lab: each has a namespace, a pana-pac and a charon. */
const MOST_NODES = 50;

/** How a node gets its home agent and home address. */
export const WAYS = ['pana', 'ikev2', 'dns', 'dhcpv6'] as const;
export type Way = (typeof WAYS)[number];

/** What a lab shows. */
export interface LabChoices {
  /** Number of mobile nodes on one home agent. */
  readonly nodes: number;
  /** Move the first node to a second access router, and back. */
  readonly handover: boolean;
  /** Establish a new key for the first node. */
  readonly reauth: boolean;
  /** Kill the programs of the home agent, and wait for the traffic to come back. */
  readonly restartHa: boolean;
  /** Write a picture of the first start to this file. */
  readonly timeline?: string | undefined;
  /** Compare these ways, with a node for each, instead of the above. */
  readonly ways?: readonly Way[] | undefined;
}

/** The flags of `pana-mip6 lab`. */
export function labOptions(cli: Argv) {
  return cli
    .option('nodes', {
      type: 'number',
      default: 1,

      description: 'mobile nodes on one home agent, one after another',
    })
    .option('handover', {
      type: 'boolean',
      default: false,
      description: 'move a node to another access router and back; two nodes: also one with link-local PAAs',
    })
    .option('reauth', { type: 'boolean', default: false, description: 'establish a new key while traffic flows' })
    .option('restart-ha', {
      type: 'boolean',
      default: false,
      description: 'kill the home agent’s programs, and measure the time until traffic is back',
    })
    .option('timeline', {
      type: 'string',

      description: 'write a picture (SVG) of the first start to this file',
    })
    .option('way', {
      choices: [...WAYS, 'all'] as const,
      description: 'how a node gets home agent and home address, with times and messages; all: side by side',
    })
    .option('wait', {
      type: 'boolean',
      default: false,
      description: 'before the session ends, print commands to inspect the lab, and wait for Enter',
    })
    .option('json', { type: 'boolean', default: false, description: 'print results as JSON' })
    .option('kernel', {
      choices: ['host', 'uml'] as const,
      default: 'host' as const,
      description: 'run the lab on the kernel of this host, or in user-mode Linux, which needs no root',
    })
    .option('memory', {
      type: 'string',

      default: '1G',
      description: 'memory of user-mode Linux, such as 1500M or 2G',
    })
    .option('verbose', {
      type: 'boolean',
      default: false,
      description: 'show the messages of the kernel of user-mode Linux',
    })
    .example('sudo pana-mip6 lab', 'print which phases work, with their times and those of the paper')
    .example('pana-mip6 lab --kernel uml', 'the same in user-mode Linux, with ESP and without root')
    .example('sudo pana-mip6 lab --way all', 'PANA, IKEv2, DNS and DHCPv6 side by side')
    .example('sudo pana-mip6 lab --nodes 3 --handover --reauth --restart-ha', 'and count lost packets in each case')
    .epilogue(
      'Needs Linux and root. Uses strongSwan (charon, swanctl), nftables, radvd and UMIP (mip6d) if they are\n' +
        'installed, and says what is missing. Exit status 1: at least one test failed.',
    );
}

type Given = Awaited<ReturnType<typeof labOptions>['argv']>;

/** Reads the flags. Throws OperatorError. */
export function labChoices(given: Given): LabChoices {
  const { nodes, handover, reauth, 'restart-ha': restartHa, timeline } = given;
  if (!Number.isInteger(nodes) || nodes < 1 || nodes > MOST_NODES) {
    throw new OperatorError(`--nodes must be a whole number from 1 to ${MOST_NODES}`);
  }
  if (timeline !== undefined) checkFile(timeline);
  const { way } = given;
  if (way !== undefined) {
    if (nodes > 1 || handover || reauth || restartHa || given.wait || timeline !== undefined) {
      throw new OperatorError(
        '--way is a lab of its own: without --nodes, --handover, --reauth, --restart-ha, --timeline and --wait',
      );
    }
    const ways = way === 'all' ? WAYS : [way];
    // One node for each way; two access routers, of which one has no PAA.
    return { nodes: ways.length, handover: true, reauth, restartHa, ways };
  }
  return { nodes, handover, reauth, restartHa, ...(timeline === undefined ? {} : { timeline }) };
}

/** A lab that takes minutes should not fail at its end. Throws OperatorError. */
function checkFile(timeline: string): void {
  if (timeline === '') throw new OperatorError('--timeline needs the name of a file');
  const isFolder = existsSync(timeline) && statSync(timeline).isDirectory();
  if (isFolder) throw new OperatorError(`--timeline: ${timeline} is a folder; give the name of a file`);
  try {
    accessSync(existsSync(timeline) ? timeline : dirname(timeline), constants.W_OK);
  } catch (error) {
    throw new OperatorError(`--timeline: cannot write ${timeline}: ${(error as Error).message}`);
  }
}
