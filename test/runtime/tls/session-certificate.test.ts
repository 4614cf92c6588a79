import { once } from 'node:events';
import { duplexPair } from 'node:stream';
import { connect, createServer, type SecureVersion, type TLSSocket } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { issueCertificate, makeCa, validFor } from '../../../src/pki/certificate-authority.js';
import { certificateOf, certificateOfSession } from '../../../src/runtime/tls/session-certificate.js';
import { derOf } from './certificates/authority.js';

const ca = await makeCa('Test CA', 'p256', validFor(30));
const server = await issueCertificate(ca, { kind: 'server', hosts: ['aaa.home.example'] }, validFor(10));
const client = await issueCertificate(ca, { kind: 'client', nai: 'mn@home.example' }, validFor(10));

/** Both ends of a completed handshake. */
async function handshake(version: SecureVersion, hasCertificate: boolean): Promise<readonly [TLSSocket, TLSSocket]> {
  const [atServer, atClient] = duplexPair();
  const listener = createServer({
    ca: ca.certificatePem,
    cert: server.certificatePem,
    key: server.keyPem,
    maxVersion: version,
    requestCert: true,
    rejectUnauthorized: false,
  });
  const accepted = once(listener, 'secureConnection') as Promise<[TLSSocket]>;
  listener.emit('connection', atServer);
  const own = hasCertificate ? { cert: client.certificatePem, key: client.keyPem } : {};
  const socket = connect({ socket: atClient, ca: ca.certificatePem, servername: 'aaa.home.example', ...own });
  const [[peer]] = await Promise.all([accepted, once(socket, 'secureConnect')]);
  return [peer, socket];
}

/** Makes the Node function that the session replaces fail. */
function withoutCall(socket: TLSSocket): TLSSocket {
  socket.getPeerCertificate = () => {
    throw new Error('the certificate was not read from the session');
  };
  return socket;
}

describe.each<SecureVersion>(['TLSv1.2', 'TLSv1.3'])('The session of a %s handshake', (version) => {
  it('contains the certificate of the other end', async () => {
    const [peer, socket] = await handshake(version, true);
    expect(certificateOf(withoutCall(peer))).toEqual(Uint8Array.from(derOf(client.certificatePem)));
    expect(certificateOf(withoutCall(socket))).toEqual(Uint8Array.from(derOf(server.certificatePem)));
  });

  it('contains none if the client sent none', async () => {
    const [peer] = await handshake(version, false);
    expect(certificateOf(peer)).toBeUndefined();
  });
});

describe('certificateOfSession', () => {
  it('returns nothing for octets in another encoding, and wipes them', () => {
    const session = Buffer.from('not a session');
    expect(certificateOfSession(session)).toBeUndefined();
    expect(session.every((octet) => octet === 0)).toBe(true);
  });
});
