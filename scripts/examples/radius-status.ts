// Asks a RADIUS server whether it works (RFC 5997): node out/radius-status.js SECRET-FILE HOST PORT
// docs/library.md says how to compile this.
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { AttributeReader, CODE, checkResponse, decodeRadius, encodeRandomRequest, Secret } from 'pana-mip6/radius';

const [file = 'secret', host = '::1', port = '1812'] = process.argv.slice(2);
const secret = Secret.take(new TextEncoder().encode(readFileSync(file, 'utf8').trim()));
const authenticator = randomBytes(16);
const request = encodeRandomRequest(
  { code: CODE['Status-Server'], identifier: 1, attributes: [] },
  authenticator,
  secret,
);

const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
const timer = setTimeout(() => {
  console.log('no answer within 3 s');
  socket.close();
}, 3000);
socket.on('message', (octets) => {
  try {
    const answer = decodeRadius(octets);
    if (checkResponse(octets, authenticator, secret) === 'forged') return;
    const text = new AttributeReader(answer).all('Reply-Message').join('');
    console.log(`code ${answer.code}${text === '' ? '' : `: ${text}`}`);
  } catch {
    return; // not RADIUS
  }
  clearTimeout(timer);
  socket.close();
});
socket.send(request, Number(port), host);
