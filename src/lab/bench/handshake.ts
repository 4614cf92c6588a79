import { once } from 'node:events';
import { duplexPair } from 'node:stream';
import { connect, createSecureContext, createServer, type TLSSocket } from 'node:tls';
import type { Issued } from '../../pki/certificate-authority.js';

export interface HandshakeParts {
  readonly caPem: string;
  readonly server: Issued;
  readonly client: Issued;
}

/**
 * CPU milliseconds of both ends of one full TLS 1.3 handshake with client certificate, in memory, including the key
 * export.
 */
export async function measureHandshake(parts: HandshakeParts, count: number): Promise<number> {
  const { caPem, server, client } = parts;
  const tlsServer = createServer({
    ca: caPem,
    cert: server.certificatePem,
    key: server.keyPem,
    requestCert: true,
    minVersion: 'TLSv1.3',
  });
  const secureContext = createSecureContext({
    ca: caPem,
    cert: client.certificatePem,
    key: client.keyPem,
    minVersion: 'TLSv1.3',
  });
  const one = async () => {
    const [a, b] = duplexPair();
    const accepted = once(tlsServer, 'secureConnection') as Promise<[TLSSocket]>;
    tlsServer.emit('connection', a);
    const socket = connect({ socket: b, secureContext, servername: 'aaa.home.example' });
    const [[peer]] = await Promise.all([accepted, once(socket, 'secureConnect')]);
    for (const end of [peer, socket]) {
      end.exportKeyingMaterial(128, 'EXPORTER_EAP_TLS_Key_Material', Buffer.of(13));
      end.destroy();
    }
  };
  for (let i = 0; i < count / 5; i += 1) await one();
  const before = process.cpuUsage();
  for (let i = 0; i < count; i += 1) await one();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / count;
}
