import { chooseAlgorithms, chooseEncryption } from '../protocol/pana/session/key-agreement.js';
import { receive } from '../protocol/pana/session/session.js';
import { FLAG, MESSAGE_TYPE } from '../protocol/pana/wire/codec.js';
import type { Computer } from '../runtime/doctor/computer.js';
import { error, type Finding, warning } from '../runtime/doctor/finding.js';
import { answerToPci, TRIAL_TIME } from '../runtime/doctor/pci-trial.js';
import { routeFindings } from '../runtime/doctor/peers.js';
import type { PacOptions } from './options.js';

type Answer =
  | { readonly type: 'offer'; readonly isUsable: boolean; readonly isClear: boolean }
  | { readonly type: 'invalid'; readonly code: string };

/** Sends PCI to a PAA and reads its PAR with the S bit, which ends there. */
export async function paaFindings(paa: string, { pana }: PacOptions, computer: Computer): Promise<Finding[]> {
  const where = `PAA ${paa} port ${pana.port}`;
  const lost = await routeFindings(paa, pana.port, where, computer);
  if (lost.length > 0) return lost;
  const answer = await asked(paa, pana, computer);
  if (answer === undefined) {
    return [
      error(
        where,
        `no answer to PCI within ${TRIAL_TIME / 1000} s`,
        'is pana-paa running there with this address in pana.listen, and does a packet filter drop this UDP port?',
      ),
    ];
  }
  if (answer.type === 'invalid') {
    return [warning(where, `its answer is not a valid PAR (${answer.code})`, 'is this a PAA?')];
  }
  if (answer.isUsable) return [];
  if (answer.isClear) {
    const what = 'it offers no encryption, which pana.encryption requires';
    return [error(where, what, 'set pana.encryption: wanted on both')];
  }
  return [error(where, 'it offers no algorithm of pana.prf and pana.integrity', 'configure a common one on both')];
}

async function asked(paa: string, pana: PacOptions['pana'], computer: Computer): Promise<Answer | undefined> {
  const from = pana['local-address'] === undefined ? {} : { address: pana['local-address'] };
  const octets = await answerToPci({ address: paa, port: pana.port }, from, computer);
  return octets && answerOf(octets, pana);
}

function answerOf(octets: Uint8Array, pana: PacOptions['pana']): Answer {
  const received = receive(octets, pana['vendor-id']);
  if ('code' in received) return { type: 'invalid', code: received.code };
  const { message, values } = received;
  const wanted = FLAG.R | FLAG.S;
  if (message.type !== MESSAGE_TYPE.AUTH || (message.flags & wanted) !== wanted) {
    return { type: 'invalid', code: 'no PAR with the S bit' };
  }
  const chosen = chooseAlgorithms(pana, values['PRF-Algorithm'], values['Integrity-Algorithm']);
  const cipher = chooseEncryption(pana.encryption, values['Encryption-Algorithm']);
  return { type: 'offer', isUsable: chosen !== 'none' && cipher !== 'none', isClear: cipher === 'none' };
}
