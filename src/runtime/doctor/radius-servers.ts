import { DecodeError } from '../../protocol/bytes/decode-error.js';
import type { Secret } from '../../protocol/bytes/secret.js';
import { checkResponse, encodeRandomRequest } from '../../protocol/radius/wire/authenticators.js';
import type { Attribute } from '../../protocol/radius/wire/codec.js';
import { CODE, decodeRadius } from '../../protocol/radius/wire/codec.js';
import { readRadiusSecret, SHORT_SECRET } from '../radius/secret-file.js';
import type { Computer } from './computer.js';
import { unreadableFindings } from './credentials.js';
import { error, type Finding, findingsOf, warning } from './finding.js';
import { routeFindings } from './peers.js';

/** How long an answer to Status-Server may take, and when it is sent again, in milliseconds. */
const TRIAL_TIME = 4_000;
const AGAIN = 1_500;

/** A server as the configuration names it. */
export interface RadiusServerSection {
  readonly address: string;
  readonly port: number;
  readonly 'accounting-port'?: number | undefined;
  readonly 'secret-file': string;
  readonly 'status-server': boolean;
  /** Its index in the configuration. */
  readonly number: number;
}

type Needs = Pick<Computer, 'files' | 'user' | 'host' | 'service' | 'udp'>;

/** Checks the files of the secrets. */
export async function secretFindings(
  servers: readonly RadiusServerSection[],
  computer: Pick<Computer, 'files' | 'user'>,
): Promise<Finding[]> {
  const named = servers.map((server) => [keyOf(server.number), server['secret-file']] as const);
  const hidden = await unreadableFindings(named, computer);
  if (hidden.length > 0) return hidden;
  const found = await Promise.all(
    named.map(async ([key, path]): Promise<Finding[]> => {
      try {
        const secret = await readRadiusSecret(key, path);
        const { length } = secret;
        secret.wipe();
        if (length >= SHORT_SECRET) return [];
        const what = `the secret in ${path} has ${length} octets, and can be found by trying`;
        return [warning(key, what, `at least ${SHORT_SECRET}: openssl rand -hex 16 > ${path}`)];
      } catch (failure) {
        return findingsOf(failure, key, 'see docs/radius.md');
      }
    }),
  );
  return found.flat();
}

/** Sends Status-Server (RFC 5997) to each port of each server, and says why there is no answer. */
export async function serverFindings(
  servers: readonly RadiusServerSection[],
  identity: readonly Attribute[],
  source: string | undefined,
  computer: Needs,
): Promise<Finding[]> {
  const found = await Promise.all(
    servers.flatMap((server) => {
      if (!server['status-server']) return [];
      const ports = [server.port, ...(server['accounting-port'] === undefined ? [] : [server['accounting-port']])];
      return ports.map(async (port) => {
        // A secret that cannot be read is reported by the check of secrets.
        const secret = await readRadiusSecret(keyOf(server.number), server['secret-file']).catch(() => undefined);
        if (!secret) return [];
        const where = `${server.address} port ${port}`;
        const lost = await routeFindings(server.address, port, where, computer);
        if (lost.length > 0) return lost;
        const result = await tryServer({ address: server.address, port }, secret, identity, source, computer);
        secret.wipe();
        return explained(result, where);
      });
    }),
  );
  return found.flat();
}

type TrialResult = 'answered' | 'silent' | 'forged' | 'unsigned' | 'not-radius';

async function tryServer(
  place: { readonly address: string; readonly port: number },
  secret: Secret,
  identity: readonly Attribute[],
  source: string | undefined,
  { udp, host }: Pick<Computer, 'udp' | 'host'>,
): Promise<TrialResult> {
  const authenticator = host.random(16);
  const octets = encodeRandomRequest(
    { code: CODE['Status-Server'], identifier: 0, attributes: identity },
    authenticator,
    secret,
  );
  let end: (result: TrialResult) => void = () => undefined;
  const ended = new Promise<TrialResult>((resolve) => {
    end = resolve;
  });
  const socket = await udp.connect(place, source === undefined ? {} : { address: source, port: 0 }, (answer) =>
    end(judgeAnswer(answer, authenticator, secret)),
  );
  const cancels = [host.after(AGAIN, () => socket.send(octets, place)), host.after(TRIAL_TIME, () => end('silent'))];
  socket.send(octets, place);
  const result = await ended;
  for (const cancel of cancels) cancel();
  await socket.close();
  return result;
}

/** What an answer to Status-Server says about the server. */
export function judgeAnswer(
  answer: Uint8Array,
  authenticator: Uint8Array,
  secret: Secret,
): Exclude<TrialResult, 'silent'> {
  try {
    decodeRadius(answer);
  } catch (failure) {
    if (failure instanceof DecodeError) return 'not-radius';
    throw failure;
  }
  const found = checkResponse(answer, authenticator, secret);
  if (found === 'missing') return 'unsigned';
  return found === 'authentic' ? 'answered' : 'forged';
}

function explained(result: TrialResult, where: string): Finding[] {
  const seconds = TRIAL_TIME / 1000;
  switch (result) {
    case 'answered':
      return [];
    case 'unsigned':
      return [
        warning(
          where,
          'its answers have no Message-Authenticator',
          'an Access-Accept without one is dropped (CVE-2024-3596): update the server',
        ),
      ];
    case 'forged':
      return [error(where, 'its answer is signed with another secret', 'compare the secret files of both ends')];
    case 'not-radius':
      return [error(where, 'what it answers is not RADIUS', 'correct the port')];
    case 'silent':
      return [
        error(
          where,
          `no answer to Status-Server within ${seconds} s`,
          'does it run, list this host as a client, have the same secret, and answer Status-Server? If it cannot, set status-server: false',
        ),
      ];
  }
}

function keyOf(i: number): string {
  return `radius.servers.${i}.secret-file`;
}
