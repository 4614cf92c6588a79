import { encodeRandomRequest } from '../../protocol/radius/wire/authenticators.js';
import { type Attribute, CODE } from '../../protocol/radius/wire/codec.js';
import { RADSEC_SECRET } from '../../protocol/radius/wire/radsec.js';
import type { TlsTransport } from '../diameter/tls.js';
import { connectRadSec, type RadSecPlace, type RadSecSocket } from '../radius/radsec-socket.js';
import type { Computer } from './computer.js';
import { error, type Finding } from './finding.js';
import { routeFindings } from './peers.js';
import { judgeAnswer } from './radius-servers.js';

/** How long an answer to Status-Server may take, in milliseconds. */
const TRIAL_TIME = 4_000;

type TrialResult = ReturnType<typeof judgeAnswer> | 'silent' | 'closed';

/** Connects to each server by RadSec, as the daemon does, and sends Status-Server (RFC 5997). */
export async function radSecFindings(
  servers: readonly (RadSecPlace & { readonly 'status-server': boolean })[],
  identity: readonly Attribute[],
  transport: TlsTransport,
  computer: Pick<Computer, 'udp' | 'host'>,
): Promise<Finding[]> {
  const found = await Promise.all(
    servers.map(async (server) => {
      const where = `${server.certificate} at ${server.address} port ${server.port}`;
      const lost = await routeFindings(server.address, server.port, where, computer);
      if (lost.length > 0) return lost;
      try {
        const result = await tryServer(server, identity, transport, computer);
        return result === undefined ? [] : explained(result, where);
      } catch (failure) {
        const { message } = failure as Error;
        const what = `no connection: ${message === 'aborted' ? 'no answer within 5 s' : message}`;
        return [error(where, what, 'does it listen for RADIUS over TLS, and has its certificate this name?')];
      }
    }),
  );
  return found.flat();
}

/** Undefined: the server is not asked. Rejects if there is no connection. */
async function tryServer(
  server: RadSecPlace & { readonly 'status-server': boolean },
  identity: readonly Attribute[],
  transport: TlsTransport,
  { host }: Pick<Computer, 'host'>,
): Promise<TrialResult | undefined> {
  const authenticator = host.random(16);
  let end: (result: TrialResult) => void = () => undefined;
  const ended = new Promise<TrialResult>((resolve) => {
    end = resolve;
  });
  const socket: RadSecSocket = await connectRadSec(server, transport, host, {
    onPacket: (answer) => end(judgeAnswer(answer, authenticator, RADSEC_SECRET)),
    onClosed: () => end('closed'),
  });
  const cancel = host.after(TRIAL_TIME, () => end('silent'));
  const code = CODE['Status-Server'];
  if (server['status-server']) {
    socket.send(encodeRandomRequest({ code, identifier: 0, attributes: identity }, authenticator, RADSEC_SECRET));
  }
  const result = server['status-server'] ? await ended : undefined;
  cancel();
  await socket.close();
  return result;
}

function explained(result: TrialResult, where: string): Finding[] {
  switch (result) {
    case 'answered':
    case 'unsigned':
      return [];
    case 'closed':
      return [
        error(where, 'it closes the connection', 'does it trust the CA of radius.tls.certificate, and list its name?'),
      ];
    case 'silent':
      return [
        error(
          where,
          `no answer to Status-Server within ${TRIAL_TIME / 1000} s`,
          'does it list the name in radius.tls.certificate as a client, and answer Status-Server? If it cannot, set status-server: false',
        ),
      ];
    case 'forged':
    case 'not-radius':
      return [error(where, 'what it answers is not RADIUS with the secret radsec', 'correct the port')];
  }
}
