import { createHmac } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';

/** A mobility security association, as services-files.sh writes it. */
export type Association = Readonly<Record<string, string>>;

export function readAssociation(text: string): Association {
  return Object.fromEntries(
    text
      .trim()
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]),
  );
}

/** A Registration Request (RFC 5944 3.3) with a Mobile-Home Authentication Extension (3.5.2). */
export function registrationRequest(association: Association, at = Date.now()): Buffer {
  const { 'home-agent': agent = '', 'home-address': home = '', spi, key = '' } = association;
  const fixed = Buffer.alloc(24);
  fixed[0] = 1;
  fixed.writeUInt16BE(600, 2);
  quad(home.split('/')[0] ?? '').copy(fixed, 4);
  quad(agent).copy(fixed, 8);
  quad('127.0.0.1').copy(fixed, 12);
  // RFC 5944 5.7.1: the time in the form of NTP.
  fixed.writeUInt32BE(Math.floor(at / 1000) + 2_208_988_800, 16);
  const head = Buffer.alloc(6);
  head[0] = 32;
  head[1] = 20;
  head.writeUInt32BE(Number(spi), 2);
  const covered = Buffer.concat([fixed, head]);
  const authenticator = createHmac('md5', Buffer.from(key.slice(2), 'hex'))
    .update(covered)
    .digest();
  return Buffer.concat([covered, authenticator]);
}

/** Sends a request. Resolves with the code of the reply, and whether its authenticator is right. */
export async function register(port: number, request: Buffer, { key = '' }: Association) {
  const socket = createSocket('udp4');
  try {
    socket.send(request, port, '127.0.0.1');
    const [reply] = (await once(socket, 'message')) as [Buffer];
    const right = createHmac('md5', Buffer.from(key.slice(2), 'hex'))
      .update(reply.subarray(0, 26))
      .digest();
    return { code: reply[1], authentic: reply.length === 42 && right.equals(reply.subarray(26)) };
  } finally {
    socket.close();
  }
}

function quad(address: string): Buffer {
  return Buffer.from(address.split('.').map(Number));
}
