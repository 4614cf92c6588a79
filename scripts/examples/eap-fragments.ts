// Carries a TLS flight of 3,000 octets from one end to the other in EAP-TLS packets, each acknowledged (RFC 5216 2.1.5):
// node out/eap-fragments.js
// docs/library.md says how to compile this.
import { decodeEap, decodeEapTls, EAP_CODE, EAP_TYPE, encodeEap, encodeEapTls, FragmentExchange } from 'pana-mip6/eap';

const server = new FragmentExchange(1_020);
const client = new FragmentExchange(1_020);
const flight = new Uint8Array(3_000).fill(0x16);

let data = server.send(flight);
for (let identifier = 1; ; identifier += 1) {
  const type = EAP_TYPE.EAP_TLS;
  const request = encodeEap({ code: EAP_CODE.REQUEST, identifier, type, data: encodeEapTls(data) });
  const step = client.receive(decodeEapTls(decodeEap(request).data));
  console.log(`EAP-Request ${identifier} of ${request.length} octets: ${step.type}`);
  if (step.type === 'flight') {
    console.log(`flight of ${step.flight.length} octets is complete`);
    break;
  }
  if (step.type !== 'acknowledge') throw new Error(`not expected: ${step.type}`);
  const next = server.receive(step.data);
  if (next.type !== 'fragment') throw new Error(`not expected: ${next.type}`);
  data = next.data;
}
